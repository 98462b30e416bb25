"""Artifacts as models for photos: `Enhancer.load` finds this file and takes what it opens.

A release with an artifact in `conversion/releases/` runs by it: the model and its manifest, without the golden pair.
"""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress
from pathlib import Path

from conversion.artifact import MANIFEST, Artifact, ArtifactError, EntryPoint, ModelFile
from conversion.runtimes import Array, ArtifactEngine, open_engine
from training.enhancer.photo_model import MAX_THREADS, PhotoModel
from training.tiling import Tiling
from training.weights import is_release_name

RELEASES = Path(__file__).parent / "releases"


def open_model(name_or_path: str | Path, device: str) -> PhotoModel | None:
    """By the name of a release that has an artifact, or an artifact's folder; None for anything else, and on a GPU.

    Raises:
        ArtifactError: a file differs from its checksum, or the runtime is not installed.
    """
    if device != "cpu":
        return None
    release = RELEASES / str(name_or_path)
    if is_release_name(str(name_or_path)) and (release / MANIFEST).is_file():
        return _model(_verified_models(Artifact.load(release)))
    if (Path(name_or_path) / MANIFEST).is_file():
        return _model(Artifact.load(Path(name_or_path)).verify())
    return None


def _verified_models(artifact: Artifact) -> Artifact:
    """Checks what runs; a release has not the golden pair of its manifest."""
    models = {point.file for point in artifact.manifest.entry_points}
    for file in artifact.manifest.files:
        if file.path in models and ModelFile.of(artifact.folder, file.path) != file:
            raise ArtifactError(f"{artifact.folder / file.path}: differs from its checksum; install the release again")
    return artifact


def _model(artifact: Artifact) -> PhotoModel:
    manifest, is_tflite = artifact.manifest, artifact.manifest.format == "tflite"
    models = {point.file for point in manifest.entry_points}
    engine = _EnginePerThread(artifact, threads=1 if is_tflite else _cores())
    return PhotoModel(
        engine=engine,
        name=manifest.name,
        licence=manifest.licence,
        sha256=hashlib.sha256("".join(f.sha256 for f in manifest.files if f.path in models).encode()).hexdigest(),
        tiling=Tiling(manifest.tiling.halo_px, manifest.tiling.align_px, manifest.tiling.border),
        tile_px=manifest.tiling.tile_px,
        thumbnail_px=manifest.thumbnail_px,
        any_size=False,
        threads=_cores() if is_tflite else 1,  # others have one set of threads for the process
        prepare=engine.prepare,
    )


def _cores() -> int:
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MAX_THREADS)


class _EnginePerThread:
    """An engine that several threads may call: each opens its own, when it first needs it."""

    def __init__(self, artifact: Artifact, threads: int):
        self.artifact, self.threads = artifact, threads
        self._own = threading.local()

    def prepare(self) -> None:
        """Open what enhances tiles, in this thread. What prevents it is said when a tile comes."""
        with suppress(ArtifactError):
            self._engine("enhance")

    def analyze(self, thumbnail: Array) -> tuple[Array, ...]:
        return self._engine("analyze").analyze(thumbnail)

    def enhance(self, tile: Array, condition: tuple[Array, ...]) -> Array:
        return self._engine("enhance").enhance(tile, condition)

    def _engine(self, name: str) -> ArtifactEngine:
        engine: ArtifactEngine | None = getattr(self._own, name, None)
        if engine is None:
            point: EntryPoint = self.artifact.manifest.entry_point(name)
            engine = open_engine(self.artifact.manifest.format, self.artifact.folder, [point], self.threads)
            setattr(self._own, name, engine)
        return engine
