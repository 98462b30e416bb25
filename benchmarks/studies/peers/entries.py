"""What precisions.py compares: artifacts, the float network in other runtimes, and a peer, each with its tile."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from benchmarks.studies.peers.contender import convert
from benchmarks.studies.peers.rounds import Candidate
from conversion.artifact import Artifact
from conversion.export import EnhanceForExport
from conversion.runtimes import to_layout
from training.checkpoint import Checkpoint, find
from training.commandline import UserError
from training.data.embedded_sample import SAMPLE
from training.enhancer import Array, TorchEngine, thumbnail_planes, to_planes
from training.photos import from_samples, read_pixels

RUNTIMES = {"tflite": "litert", "executorch": "executorch"}  # format -> runtime, as contender.py names it
RUN_HERE = ("litert", "xnnpack")  # targets
ONNX = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class Entry:
    """One row of the table.

    reference: the clamped output of the float generator, [1, 3, tile_px, tile_px].
    candidate: what is timed; None where `why_not` says why nothing is.
    """

    group: Literal["artifact", "float", "peer"]
    name: str
    runtime: str
    precision: str
    io: str
    tile_px: int
    halo_px: int
    reference: Array
    candidate: Candidate | None
    artifact: Artifact | None = None
    why_not: str | None = None

    @property
    def useful_megapixels(self) -> float:
        return (self.tile_px - 2 * self.halo_px) ** 2 / 1e6


class Scene:
    """A checkpoint with a photo of the embedded sample, which repeats where a tile is larger."""

    def __init__(self, name_or_path: str):
        self.path, self.checkpoint = find(name_or_path), Checkpoint.load(name_or_path)
        self.generator, self.engine = self.checkpoint.generator, TorchEngine(self.checkpoint.generator)
        self.photo = from_samples(read_pixels(SAMPLE[0].path()))
        self.condition = self.engine.analyze(thumbnail_planes(self.photo, self.generator.thumbnail_px))

    def tile(self, tile_px: int) -> Array:
        """[tile_px, tile_px, 3] in [0, 1]."""
        repeats = [-(-tile_px // side) for side in self.photo.shape[:2]]
        return np.tile(self.photo, (*repeats, 1))[:tile_px, :tile_px]

    def inputs(self, tile_px: int) -> tuple[Array, ...]:
        """Of enhance."""
        return to_planes(self.tile(tile_px)), *self.condition

    def reference(self, tile_px: int) -> Array:
        return self.engine.enhance(to_planes(self.tile(tile_px)), self.condition)


def artifact_entry(group: Literal["artifact", "peer"], artifact: Artifact, scene: Scene) -> Entry:
    """Raises UserError: the artifact was made from another checkpoint."""
    manifest, tile_px = artifact.manifest, artifact.manifest.tiling.tile_px
    if manifest.source.sha256 != scene.checkpoint.sha256:
        raise UserError(
            f"{artifact.folder}: was made from {manifest.source.name}, sha256 {manifest.source.sha256[:12]}, and not "
            f"from {scene.path}; leave it out or give its --checkpoint"
        )
    candidate, why_not = None, None
    if manifest.format == "coreml":
        why_not = "not timed: packages are evaluated here, by no Core ML"
    elif manifest.target not in RUN_HERE:
        why_not = f"not timed: nothing here runs {manifest.target}"
    else:
        specs = manifest.entry_point("enhance").inputs
        feeds = tuple(to_layout(array, spec) for array, spec in zip(scene.inputs(tile_px), specs, strict=True))
        candidate = Candidate(manifest.name, manifest.format, artifact.folder, feeds)
    return Entry(
        group, manifest.name, RUNTIMES.get(manifest.format, manifest.format), manifest.precision, manifest.io, tile_px,
        manifest.tiling.halo_px, scene.reference(tile_px), candidate, artifact, why_not,
    )  # fmt: skip


def float_entries(tile_px: int, scene: Scene, folder: Path) -> Iterator[Entry]:
    """The network itself in three runtimes, of which two may be absent."""
    models = {"eager": scene.path, "torch.compile": scene.path, "onnxruntime": folder / f"{tile_px}.onnx"}
    inputs, reference = scene.inputs(tile_px), scene.reference(tile_px)
    for runtime, model in models.items():
        name = f"{scene.checkpoint.name}-{runtime}"
        why_not = export_onnx(scene, inputs, model) if runtime == "onnxruntime" else None
        candidate = None if why_not else Candidate(name, runtime, model, inputs, may_fail=runtime != "eager")
        yield Entry(
            "float", name, runtime, "fp32", "float", tile_px, scene.generator.tiling.halo, reference, candidate,
            why_not=why_not,
        )  # fmt: skip


def export_onnx(scene: Scene, inputs: tuple[Array, ...], path: Path) -> str | None:
    """enhance with its clamp and fixed shapes, by torch's exporter over torch.export. Returns why not, or None."""
    absent = [package for package in ONNX if importlib.util.find_spec(package) is None]
    if absent:
        return f"not timed: not installed: {', '.join(absent)}; pip install -e .[dev]"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.onnx.export(
            EnhanceForExport(scene.generator).eval(),
            tuple(map(torch.from_numpy, inputs)),
            path,
            input_names=["tile", *scene.generator.condition_names],
            output_names=["output"],
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    except RuntimeError as error:  # the base of torch.onnx's own
        return f"not timed: torch.onnx: {(str(error).splitlines() or [type(error).__name__])[0]}"
    return None


def peer_entry(peer: str, scene: Scene, tile_px: int, runtime: str, folder: Path) -> Entry:
    """The peer, converted to fp32 for a runtime.

    Raises:
        UserError: its converter failed, or made another precision.
    """
    artifact = convert(peer, tile_px, scene.tile(tile_px), runtime, folder / f"{runtime}-{tile_px}")
    if artifact.manifest.precision != "fp32":
        raise UserError(f"{peer}: was converted to {artifact.manifest.precision}, and the comparison is with fp32")
    return artifact_entry("peer", artifact, scene)
