"""Run artifacts on a device that adb reaches, an emulated phone or a real one: the same runner, files and code.

with on_device(adb) as device:
    measurement = device.measure(artifact, photos, protocol)
"""

from __future__ import annotations

import importlib.metadata
import logging
import secrets
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.adb import Adb, AdbError, quote
from benchmarks.bench import Array, Measurement, Photo
from benchmarks.latency import percentile
from benchmarks.measured import InstructionCount, Instructions, Sustained, Thermal
from benchmarks.report import Protocol
from benchmarks.runner.build import LOADER, RUNNER, RUNTIMES, bundle
from conversion.artifact import Artifact, Manifest
from conversion.runtimes import from_layout
from training.enhancer import from_planes
from training.tiling import Tile, Tiling, plan, read_tile, thumbnail

HOME = "/data/local/tmp"  # where adb may write, and run what it wrote
ABI = "arm64-v8a"
MARKS = {1: "analyze", 2: "enhance"}  # as in runner/main.cpp
COUNTER = "/opt/libinstructions.so"  # on the emulated phone
MODEL = "model"  # a plain name, whatever it is called here
WINDOW_S = 10.0
SLACK_S = 600.0  # beyond a sustained run: pushing nothing, warm-up, runs, photos

log = logging.getLogger(__name__)


class DeviceError(AdbError):
    """The runner cannot do its job on this device; the message says why and what to do."""


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
            if line.startswith("window "):
                log.info("  %.1f ms per tile", 1e3 * float(line.split()[1]))
                states.append(thermal() if thermal else None)

        with TemporaryDirectory(prefix="pocket-dslr-") as name:
            here, there = Path(name), f"{self.folder}/job"
            counts = write_job(here, artifact, photos, protocol, sustained_s)
            self.adb.shell(f"rm -rf {quote(there)} && mkdir {quote(there)}")
            self.adb.push(sorted(here.iterdir()), there)
            self.run(manifest.format, there, counting, sustained_s + SLACK_S, on_line)
            for made in ("result", "outputs", *(["instructions"] if counting else [])):
                self.adb.pull(f"{there}/{made}", here / made)
            self.adb.shell(f"rm -rf {quote(there)}")
            result = read_result(here / "result", artifact)
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


def tiles_of(photo: Photo, manifest: Manifest) -> Iterator[Tile]:
    height, width, _ = photo.phone.shape
    spec = manifest.tiling
    return plan(height, width, spec.tile_px, Tiling(spec.halo_px, spec.align_px, spec.border))


def read_result(path: Path, artifact: Artifact) -> dict[str, list[float]]:
    """Key -> values of the runner's result.

    Raises:
        DeviceError: it breaks off.
    """
    result: dict[str, list[float]] = defaultdict(list)
    for line in path.read_text().splitlines():
        key, _, value = line.partition(" ")
        result[key].append(float(value))
    if "done" not in result:
        raise DeviceError(f"{artifact.folder}: the runner's result breaks off; run it again")
    return result


def read_outputs(
    path: Path, artifact: Artifact, photos: Sequence[Photo], counts: Sequence[int], promised: int
) -> tuple[Array, ...]:
    """The enhanced photos [H, W, 3] in [0, 1], of the tiles that the device made.

    Raises:
        DeviceError: bytes are missing.
    """
    manifest = artifact.manifest
    (spec,) = manifest.entry_point("enhance").outputs
    made = np.fromfile(path, np.dtype(spec.dtype).newbyteorder("<"))
    expected = sum(counts) * int(np.prod(spec.shape))
    if made.size != expected or promised != expected * made.itemsize:
        raise DeviceError(f"{artifact.folder}: the device gave {made.size * made.itemsize} bytes of output instead of "
                          f"{expected * made.itemsize}; free space on it and run it again")  # fmt: skip
    tiles = iter(made.reshape(-1, *spec.shape))
    outputs = []
    for photo in photos:
        output = np.empty(photo.phone.shape, np.float32)
        for tile in tiles_of(photo, manifest):
            enhanced = from_planes(from_layout(next(tiles), spec))
            output[tile.kept] = enhanced[tile.kept_in_tile].clip(0, 1)
        outputs.append(output)
    return tuple(outputs)


def read_instructions(path: Path, manifest: Manifest) -> Instructions:
    """What the plugin counted between the marks around each call.

    Raises:
        DeviceError: marks are missing.
    """
    marks: dict[str, list[dict[str, int]]] = defaultdict(list)
    for line in path.read_text().splitlines():
        tag, *counts = line.split()
        pairs = (count.split("=") for count in counts)
        marks[MARKS[int(tag)]].append({name: int(value) for name, value in pairs})
    calls = {
        name: [
            {kind: after[kind] - before[kind] for kind in after} for before, after in zip(m[::2], m[1::2], strict=True)
        ]
        for name, m in marks.items()
    }
    if set(calls) != set(MARKS.values()):
        raise DeviceError("the emulated phone counted no instructions; run make emulator")
    totals = [call["total"] for call in calls["enhance"]]
    kept_px = (manifest.tiling.tile_px - 2 * manifest.tiling.halo_px) ** 2
    enhance = middle(calls["enhance"])
    return Instructions(
        analyze=middle(calls["analyze"]),
        enhance_tile=enhance,
        instructions_per_px=enhance.total / kept_px,
        repetitions=len(totals),
        relative_spread=(max(totals) - min(totals)) / percentile(totals, 50),
    )


def middle(calls: Sequence[dict[str, int]]) -> InstructionCount:
    """The call with the median number of instructions."""
    call = sorted(calls, key=lambda call: call["total"])[(len(calls) - 1) // 2]
    return InstructionCount(call["total"], {kind: count for kind, count in call.items() if kind != "total"})
