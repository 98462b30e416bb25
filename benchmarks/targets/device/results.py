"""What a runner leaves on a device, read as what it is: the words of a stranger."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.bench import Array, Photo
from benchmarks.report.latency import percentile
from benchmarks.report.measured import InstructionCount, Instructions
from benchmarks.targets.device.adb import AdbError
from conversion.artifact import Artifact, Manifest
from conversion.runtimes import from_layout
from training.enhancer import from_planes
from training.tiling import Tile, Tiling, plan

MARKS = {1: "analyze", 2: "enhance"}  # as in runner/main.cpp
TEXT_BYTES_MAX = 2**24  # a sustained run of a day writes less
ALWAYS = ("done", "peak_kib", "baseline_kib")


class DeviceError(AdbError):
    """The runner cannot do its job on this device; the message says why and what to do."""


def tiles_of(photo: Photo, manifest: Manifest) -> Iterator[Tile]:
    height, width, _ = photo.phone.shape
    spec = manifest.tiling
    return plan(height, width, spec.tile_px, Tiling(spec.halo_px, spec.align_px, spec.border))


def read_result(path: Path, folder: Path) -> dict[str, list[float]]:
    """Key -> values of the runner's result for the artifact in `folder`, finite and not negative.

    Raises:
        DeviceError: it breaks off, or is not what a runner writes.
    """
    result: dict[str, list[float]] = defaultdict(list)
    try:
        for line in _text(path).splitlines():
            key, _, value = line.partition(" ")
            result[key].append(float(value))
        if not all(0 <= value < math.inf for values in result.values() for value in values):
            raise ValueError("a figure is not one")
    except ValueError as error:
        raise DeviceError(f"{folder}: the runner's result is damaged ({error!s:.80}); run it again") from None
    if any(key not in result for key in ALWAYS):
        raise DeviceError(f"{folder}: the runner's result breaks off; run it again")
    return result


def outputs_bytes(artifact: Artifact, counts: Sequence[int]) -> int:
    """Of the tiles of photos with so many each."""
    (spec,) = artifact.manifest.entry_point("enhance").outputs
    return sum(counts) * math.prod(spec.shape) * np.dtype(spec.dtype).itemsize


def read_outputs(
    path: Path, artifact: Artifact, photos: Sequence[Photo], counts: Sequence[int], promised: int
) -> tuple[Array, ...]:
    """The enhanced photos [H, W, 3] in [0, 1], of the tiles that the device made.

    Raises:
        DeviceError: bytes are missing.
    """
    manifest = artifact.manifest
    (spec,) = manifest.entry_point("enhance").outputs
    expected, found = outputs_bytes(artifact, counts), path.stat().st_size
    if found != expected or promised != expected:
        raise DeviceError(f"{artifact.folder}: the device gave {found} bytes of output instead of {expected}; "
                          "free space on it and run it again")  # fmt: skip
    made = np.fromfile(path, np.dtype(spec.dtype).newbyteorder("<"))
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
        DeviceError: marks are missing, or it is not what the plugin writes.
    """
    marks: dict[str, list[dict[str, int]]] = defaultdict(list)
    try:
        for line in _text(path).splitlines():
            tag, *counts = line.split()
            pairs = (count.split("=") for count in counts)
            marks[MARKS[int(tag)]].append({name: int(value) for name, value in pairs})
        calls = {
            name: [
                {kind: after[kind] - before[kind] for kind in after}
                for before, after in zip(m[::2], m[1::2], strict=True)
            ]
            for name, m in marks.items()
        }
        totals = [call["total"] for call in calls.get("enhance", [])]
        if any(count < 0 for counted in calls.values() for call in counted for count in call.values()) or 0 in totals:
            raise ValueError("a count is not one")
        [call["total"] for call in calls.get("analyze", [])]
    except (ValueError, KeyError) as error:
        raise DeviceError(f"what the emulated phone counted is damaged ({error!s:.80}); run it again") from None
    if set(calls) != set(MARKS.values()):
        raise DeviceError("the emulated phone counted no instructions; run make emulator")
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


def _text(path: Path) -> str:
    if path.stat().st_size > TEXT_BYTES_MAX:
        raise ValueError(f"larger than {TEXT_BYTES_MAX >> 20} MiB")
    return path.read_text(encoding="utf-8")
