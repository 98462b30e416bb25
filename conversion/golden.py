"""The golden pair: one tile with its condition and what the float reference makes of it, for a self-test anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from conversion.artifact import Artifact, EntryPoint, Golden, TensorSpec
from conversion.runtimes import Array, ArtifactEngine, from_layout, to_layout
from training.enhancer import TorchEngine, from_planes, thumbnail_planes, to_planes
from training.generators.base import Generator
from training.quality import metrics
from training.tiling import Tile, read_tile, to_uint8

FOLDER = "golden"


def write_golden(
    folder: Path,
    photo: Array,
    generator: Generator,
    entry_points: Sequence[EntryPoint],
    tolerance_psnr_db: float,
) -> Golden:
    """Raw float32 of every tensor, and a PNG of every image, for the middle tile of a photo [H, W, 3] in [0, 1]."""
    (folder / FOLDER).mkdir()
    analyze, enhance = entry_points
    engine, align = TorchEngine(generator), generator.tiling.align
    size = enhance.inputs[0].nchw[2]
    top, left = (max(0, side - size) // 2 // align * align for side in photo.shape[:2])
    thumbnail = thumbnail_planes(photo, generator.thumbnail_px)
    condition = engine.analyze(thumbnail)
    tile = to_planes(read_tile(photo, Tile(top, left, size, top, top + size, left, left + size)))
    output = engine.enhance(tile, condition)

    def write(array: Array, spec: TensorSpec) -> str:
        path = f"{FOLDER}/{spec.name}.f32"
        to_layout(array, _as_float(spec)).astype("<f4").tofile(folder / path)
        if spec.channel_order:
            Image.fromarray(to_uint8(from_planes(array))).save(folder / FOLDER / f"{spec.name}.png")
        return path

    return Golden(
        thumbnail=write(thumbnail, analyze.inputs[0]),
        condition=tuple(write(part, spec) for part, spec in zip(condition, analyze.outputs, strict=True)),
        tile=write(tile, enhance.inputs[0]),
        output=write(output, enhance.outputs[0]),
        tolerance_psnr_db=tolerance_psnr_db,
    )


def _as_float(spec: TensorSpec) -> TensorSpec:
    """Golden images are float32 in [0, 1] for every artifact; those of 8 bits lose nothing by it."""
    return replace(spec, dtype="float32", range=None)


def golden_psnr(engine: ArtifactEngine, artifact: Artifact) -> float:
    """The self-test of an artifact: PSNR in dB of its golden tile, the worse of two conditions.

    They are the golden condition and the one that the artifact itself makes of the golden thumbnail.
    """
    golden = artifact.manifest.golden
    analyze, enhance = (artifact.manifest.entry_point(name) for name in ("analyze", "enhance"))
    specs = (*analyze.inputs, *analyze.outputs, enhance.inputs[0], *enhance.outputs)
    thumbnail, *condition, tile, output = (
        from_layout(np.fromfile(artifact.folder / path, "<f4").reshape(spec.shape), _as_float(spec))
        for path, spec in zip(golden.paths, specs, strict=True)
    )
    conditions = (tuple(condition), engine.analyze(thumbnail))
    return min(metrics.psnr(from_planes(engine.enhance(tile, given)), from_planes(output)) for given in conditions)
