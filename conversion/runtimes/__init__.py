"""Run an artifact: `engine = open_artifact(artifact)`, then analyze once, enhance tiles.

One file per runtime, imported only when an artifact of its format is opened.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import cast

import numpy as np
import numpy.typing as npt

from conversion.artifact import Artifact, ArtifactError, EntryPoint, Format, TensorSpec
from training.tiling import to_uint8

Array = npt.NDArray[np.float32]
Tensor = npt.NDArray[np.float32] | npt.NDArray[np.uint8]  # in layout and type of the artifact
THREADS = 2


@dataclass(frozen=True)
class Runtime:
    """What runs artifacts of a format.

    module: of this package, imported when an artifact is opened. engine: its ArtifactEngine.
    package: the vendor's, whose version reports name.
    """

    module: str
    engine: str
    package: str


RUNTIMES: dict[Format, Runtime] = {
    "executorch": Runtime("pte", "PteEngine", "executorch"),
    "tflite": Runtime("litert_rt", "LitertEngine", "ai-edge-litert"),
    "coreml": Runtime("coreml", "CoremlEngine", "coremltools"),
}


def import_runtime(kind: Format) -> ModuleType:
    """The module of a format's runtime, which brings the vendor's packages with it.

    Raises:
        ImportError: they are not installed.
    """
    return importlib.import_module(f"{__name__}.{RUNTIMES[kind].module}")


class ArtifactEngine(ABC):
    """A training.enhancer.Engine over an artifact: float32 NCHW outside, the artifact's own layout inside."""

    def __init__(self, entry_points: Sequence[EntryPoint]):
        self.entry_points = {point.name: point for point in entry_points}

    def analyze(self, thumbnail: Array) -> tuple[Array, ...]:
        """[1, 3, thumbnail_px, thumbnail_px] in [0, 1] -> condition."""
        return self._call(self.entry_points["analyze"], [thumbnail])

    def enhance(self, tile: Array, condition: tuple[Array, ...]) -> Array:
        """[1, 3, tile_px, tile_px] in [0, 1] -> the same, in [0, 1]."""
        (output,) = self._call(self.entry_points["enhance"], [tile, *condition])
        return output

    @abstractmethod
    def run(self, entry_point: EntryPoint, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """Arrays in layout and type of `entry_point.inputs`, any strides -> those of its outputs, in order."""

    def _call(self, entry_point: EntryPoint, inputs: Sequence[Array]) -> tuple[Array, ...]:
        feeds = [to_layout(array, spec) for array, spec in zip(inputs, entry_point.inputs, strict=True)]
        outputs = self.run(entry_point, feeds)
        return tuple(from_layout(array, spec) for array, spec in zip(outputs, entry_point.outputs, strict=True))


def to_layout(array: Array, spec: TensorSpec) -> Tensor:
    """From the order of `training` (NCHW) and [0, 1] to layout and type of `spec`; of float arrays, a view.

    Raises:
        ValueError: not the shape that the entry point takes.
    """
    if array.shape != spec.nchw:
        raise ValueError(f"{spec.name} must be {list(spec.nchw)}, not {list(array.shape)}")
    turned = array.transpose(0, 2, 3, 1) if spec.layout == "NHWC" else array
    if spec.dtype == "uint8":
        return to_uint8(turned)
    return np.asarray(turned, np.float32)


def from_layout(array: Tensor, spec: TensorSpec) -> Array:
    """The inverse of `to_layout`; of float outputs, a view.

    Raises:
        ValueError: not the shape that the manifest promises.
    """
    if array.shape != spec.shape:
        raise ValueError(f"{spec.name} must be {list(spec.shape)}, not {list(array.shape)}")
    turned = np.asarray(array.transpose(0, 3, 1, 2) if spec.layout == "NHWC" else array, np.float32)
    return turned / np.float32(255) if spec.dtype == "uint8" else turned


def open_engine(
    kind: Format,
    folder: Path,
    entry_points: Sequence[EntryPoint],
    threads: int = THREADS,
    compute_unit: str | None = None,
) -> ArtifactEngine:
    """Load the model files of an artifact, unchecked: what a converter has just written.

    Args:
        compute_unit: of Core ML on a Mac, a key of `coreml_device.UNITS`; without it an evaluator runs the package.

    Raises:
        ArtifactError: the runtime is not installed, or it refuses the model.
    """
    try:
        if kind == "coreml" and compute_unit:
            from conversion.runtimes.coreml_device import CoremlDeviceEngine

            return CoremlDeviceEngine(folder, entry_points, compute_unit)
        engine = getattr(import_runtime(kind), RUNTIMES[kind].engine)
        return cast(ArtifactEngine, engine(folder, entry_points, threads))
    except ImportError as error:
        raise ArtifactError(f"{folder}: its runtime is not installed ({error}); pip install -e .[{kind}]") from error


def open_artifact(artifact: Artifact | Path, threads: int = THREADS) -> ArtifactEngine:
    """Check every file of an artifact, then load it into the runtime of its format.

    Raises:
        ArtifactError: a file differs from its checksum, the runtime is not installed, or it refuses the model.
    """
    artifact = (Artifact.load(artifact) if isinstance(artifact, Path) else artifact).verify()
    return open_engine(artifact.manifest.format, artifact.folder, artifact.manifest.entry_points, threads)
