"""Run Core ML packages by Core ML itself, on a Mac: the compute units of the machine, the arithmetic of Apple.

Written against coremltools 9; its calls are tested with a stand-in for `MLModel`, since Core ML exists on macOS only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
from coremltools.models.compute_plan import MLComputePlan
from PIL import Image

from conversion.artifact import ArtifactError, EntryPoint, TensorSpec
from conversion.runtimes import ArtifactEngine, Tensor

UNITS = {
    "all": ct.ComputeUnit.ALL,
    "cpu": ct.ComputeUnit.CPU_ONLY,
    "gpu": ct.ComputeUnit.CPU_AND_GPU,
    "ane": ct.ComputeUnit.CPU_AND_NE,
}
DEVICES = {"MLCPUComputeDevice": "cpu", "MLGPUComputeDevice": "gpu", "MLNeuralEngineComputeDevice": "ane"}


class CoremlDeviceEngine(ArtifactEngine):
    """One `MLModel` per entry point.

    compute_unit: which units Core ML prefers for how many operators of enhance, such as "ane 60, cpu 2".

    Raises:
        ArtifactError: not a Mac, or Core ML refuses a package.
    """

    def __init__(self, folder: Path, entry_points: Sequence[EntryPoint], compute_unit: str):
        super().__init__(entry_points)
        self.compute_unit = compute_unit
        self._models: dict[str, Any] = {}
        for point in entry_points:
            try:
                model = ct.models.MLModel(str(folder / point.file), compute_units=UNITS[compute_unit])
                self._models[point.name] = model
                if point.name == "enhance":
                    self.compute_unit = preferred_units(model, compute_unit)
            except Exception as error:  # coremltools raises bare Exception
                raise ArtifactError(f"{folder / point.file}: Core ML refuses it ({error!s:.300})") from error

    def run(self, entry_point: EntryPoint, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        feeds = {s.name: to_feature(array, s) for s, array in zip(entry_point.inputs, inputs, strict=True)}
        made = self._models[entry_point.name].predict(feeds)
        return [from_feature(made[spec.name], spec) for spec in entry_point.outputs]


def to_feature(array: Tensor, spec: TensorSpec) -> Tensor | Image.Image:
    """Images (uint8) [1, 3, H, W] as pictures, all else as arrays."""
    return Image.fromarray(array[0].transpose(1, 2, 0)) if spec.dtype == "uint8" else array


def from_feature(value: Any, spec: TensorSpec) -> Tensor:
    """The inverse of `to_feature`."""
    if spec.dtype == "uint8":
        return np.asarray(value.convert("RGB"), np.uint8).transpose(2, 0, 1)[None]
    return np.asarray(value, np.float32)


def preferred_units(model: Any, asked: str) -> str:
    """By the compute plan: the units that Core ML prefers, with the number of operators, the most first."""
    plan = MLComputePlan.load_from_path(model.get_compiled_model_path(), compute_units=UNITS[asked])
    program = plan.model_structure.program
    counts: Counter[str] = Counter()
    for operation in program.functions["main"].block.operations:
        usage = plan.get_compute_device_usage_for_mlprogram_operation(operation)
        if usage is not None:  # constants have none
            name = type(usage.preferred_compute_device).__name__
            counts[DEVICES.get(name, name)] += 1
    return ", ".join(f"{unit} {count}" for unit, count in counts.most_common())
