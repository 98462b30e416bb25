"""Run artifacts on a device that adb reaches, an emulated phone or a real one: the same runner, files and code.

with on_device(adb) as device:
    measurement = device.measure(artifact, photos, protocol)
"""

from __future__ import annotations

import importlib.metadata
import logging
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.bench import Measurement, Photo
from benchmarks.report import Protocol
from benchmarks.report.measured import Sustained, Thermal
from benchmarks.targets.device.adb import Adb, AdbError, quote
from benchmarks.targets.device.results import (
    TEXT_BYTES_MAX,
    DeviceError,
    outputs_bytes,
    read_instructions,
    read_outputs,
    read_result,
    tiles_of,
)
from benchmarks.targets.runner.build import LOADER, RUNNER, RUNTIMES, bundle
from conversion.artifact import Artifact
from training.tiling import read_tile, thumbnail

HOME = "/data/local/tmp"  # where adb may write, and run what it wrote
ABI = "arm64-v8a"
COUNTER = "/opt/libinstructions.so"  # on the emulated phone
MODEL = "model"  # a plain name, whatever it is called here
WINDOW_S = 10.0
SLACK_S = 600.0  # beyond a sustained run: pushing nothing, warm-up, runs, photos

log = logging.getLogger(__name__)


@contextmanager
def on_device(adb: Adb) -> Iterator[Device]:
    """A folder of its own on the device, gone at the end, whatever happens.

    Raises:
        DeviceError: the device is not arm64.
        AdbError: it cannot be used.
    """
    abi = adb.shell("getprop ro.product.cpu.abi").strip()
    if abi != ABI:
        raise DeviceError(f"device {adb.serial!r}: is {abi or 'of an unknown kind'}, and the runner needs {ABI}; "
                          "use a 64-bit phone")  # fmt: skip
    folder = f"{HOME}/pocket-dslr-{secrets.token_hex(4)}"
    adb.shell(f"mkdir {quote(folder)}")
    try:
        yield Device(adb, folder)
    finally:
        try:
            adb.shell(f"rm -rf {quote(folder)}")
        except AdbError as error:
            log.warning("%s is left on the device: %s", folder, error)


class Device:
    """A device with a folder for this session."""

    def __init__(self, adb: Adb, folder: str):
        self.adb = adb
        self.folder = folder
        self._bundles: set[str] = set()

    def measure(
        self,
        artifact: Artifact,
        photos: Sequence[Photo],
        protocol: Protocol,
        counting: bool = False,
        sustained_s: float = 0.0,
        thermal: Callable[[], Thermal | None] | None = None,
    ) -> Measurement:
        """Run the protocol and enhance the photos on the device.

        Args:
            counting: count instructions, which an emulated phone can.
            sustained_s: then enhance the first tile over and over for so long.
            thermal: asked at the end of each window of a sustained run.

        Raises:
            EmulatorError: the runner cannot be built here.
            DeviceError: the runner failed, or its output is not whole.
            AdbError: the device fails on the way.
        """
        artifact.verify()
        manifest = artifact.manifest
        self._push_bundle(manifest.format)
        states: list[Thermal | None] = []

        def on_line(line: str) -> None:
            if window := re.fullmatch(r"window (\d+(?:\.\d+)?(?:e[+-]?\d+)?)", line):
                log.info("  %.1f ms per tile", 1e3 * float(window[1]))
                states.append(thermal() if thermal else None)

        with TemporaryDirectory(prefix="pocket-dslr-") as name:
            here, there = Path(name), f"{self.folder}/job"
            counts = write_job(here, artifact, photos, protocol, sustained_s)
            self.adb.shell(f"rm -rf {quote(there)} && mkdir {quote(there)}")
            self.adb.push(sorted(here.iterdir()), there)
            self.run(manifest.format, there, counting, sustained_s + SLACK_S, on_line)
            limits = {"result": TEXT_BYTES_MAX, "outputs": outputs_bytes(artifact, counts)}
            for made, most in (limits | ({"instructions": TEXT_BYTES_MAX} if counting else {})).items():
                self.adb.pull(f"{there}/{made}", here / made, most)
            self.adb.shell(f"rm -rf {quote(there)}")
            result = read_result(here / "result", artifact.folder)
            outputs = read_outputs(here / "outputs", artifact, photos, counts, int(result["done"][0]))
            instructions = read_instructions(here / "instructions", manifest) if counting else None
        known = tuple(state for state in states if state is not None)
        return Measurement(
            outputs=outputs,
            load_s=tuple(result["load_s"]),
            analyze_s=tuple(result["analyze_s"]),
            enhance_s=tuple(result["enhance_s"]),
            peak_memory_mb=result["peak_kib"][0] * 1024 / 1e6,
            baseline_memory_mb=result["baseline_kib"][0] * 1024 / 1e6,
            compute_unit="cpu",
            tool_versions={RUNTIMES[manifest.format].package: bundle_version(manifest.format)},
            instructions=instructions,
            sustained=Sustained(WINDOW_S, tuple(1e3 * s for s in result["window_s"]),
                                known if len(known) == len(states) else ()) if sustained_s else None,
        )  # fmt: skip

    def run(
        self,
        format_: str,
        job: str,
        counting: bool = False,
        timeout_s: float = SLACK_S,
        on_line: Callable[[str], object] | None = None,
    ) -> None:
        """Start the runner of a format on a job's folder on the device."""
        there = quote(f"{self.folder}/{format_}")
        count = f"QEMU_PLUGIN={quote(f'{COUNTER},out={job}/instructions')} " if counting else ""
        runner = f"./{LOADER} --library-path . ./{RUNNER} {quote(job)}"
        self.adb.shell(f"cd {there} && chmod 755 {LOADER} {RUNNER} && {count}{runner}", on_line, timeout_s)

    def _push_bundle(self, format_: str) -> None:
        if format_ in self._bundles:
            return
        files = sorted(bundle(format_).iterdir())
        there = f"{self.folder}/{format_}"
        self.adb.shell(f"mkdir -p {quote(there)}")
        self.adb.push(files, there)
        self._bundles.add(format_)


def bundle_version(format_: str) -> str:
    """Of the runtime in a bundle, which is that of the host."""
    return importlib.metadata.version(RUNTIMES[format_].package)


def write_job(
    folder: Path, artifact: Artifact, photos: Sequence[Photo], protocol: Protocol, sustained_s: float = 0.0
) -> list[int]:
    """The files that runner/main.cpp reads. Returns how many tiles each photo has."""
    manifest = artifact.manifest
    points = {name: manifest.entry_point(name) for name in ("analyze", "enhance")}
    if points["analyze"].file != points["enhance"].file:
        raise DeviceError(f"{artifact.folder}: its entry points lie in two files; the runner takes one")
    shutil.copyfile(artifact.folder / points["enhance"].file, folder / MODEL)
    counts = []
    with (folder / "tiles").open("wb") as tiles, (folder / "thumbnails").open("wb") as thumbnails:
        for photo in photos:
            planned = list(tiles_of(photo, manifest))
            counts.append(len(planned))
            thumbnails.write(thumbnail(photo.phone, *2 * [manifest.thumbnail_px]).tobytes())
            for tile in planned:
                tiles.write(np.ascontiguousarray(read_tile(photo.phone, tile)).tobytes())
    job: dict[str, object] = {
        "model": MODEL,
        "type": points["enhance"].inputs[0].dtype,
        "thumbnail_px": manifest.thumbnail_px,
        "tile_px": manifest.tiling.tile_px,
        "halo_px": manifest.tiling.halo_px,
        "tiles": " ".join(map(str, counts)),
        "threads": protocol.threads,
        "warm_up": protocol.warm_up_runs,
        "runs": protocol.runs,
        "cool_down_s": protocol.cool_down_s,
        "sustained_s": sustained_s,
        "window_s": WINDOW_S,
    }
    for name, point in points.items():
        job[f"{name}.function"] = point.function
        job[f"{name}.inputs"] = " ".join(spec.name for spec in point.inputs)
        job[f"{name}.outputs"] = " ".join(spec.name for spec in point.outputs)
        job[f"{name}.layout"] = point.inputs[0].layout
    (folder / "job").write_text("".join(f"{key} {value}\n" for key, value in job.items()))
    return counts
