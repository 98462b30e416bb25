"""Run Core ML packages without a Mac, by the evaluator of ML programs in `mil.py`.

It proves what was converted, at the precision that the program declares; it is not Neural Engine arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from conversion.artifact import EntryPoint
from conversion.runtimes import Array, ArtifactEngine, Tensor
from conversion.runtimes.mil import MilProgram


class CoremlEngine(ArtifactEngine):
    """One function of a package per entry point; tensors by the names in the manifest."""

    def __init__(self, folder: Path, entry_points: Sequence[EntryPoint], threads: int):
        super().__init__(entry_points)
        torch.set_num_threads(threads)  # the evaluator computes with torch
        self._programs = {point.name: MilProgram.load(folder / point.file, point.function) for point in entry_points}

    def run(self, entry_point: EntryPoint, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        feeds = {spec.name: array for spec, array in zip(entry_point.inputs, inputs, strict=True)}
        outputs = self._programs[entry_point.name].run(feeds)
        return [_image(outputs[s.name]) if s.dtype == "uint8" else outputs[s.name] for s in entry_point.outputs]


def _image(values: Array) -> npt.NDArray[np.uint8]:
    """As Core ML fills a pixel buffer: to the nearest of 0..255."""
    return np.nan_to_num(np.rint(values)).clip(0, 255).astype(np.uint8)
