"""Run an ExecuTorch program on the host."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
from executorch.runtime import Runtime

from conversion.artifact import ArtifactError, EntryPoint
from conversion.runtimes import ArtifactEngine, Tensor


class PteEngine(ArtifactEngine):
    """Methods of one `.pte` by the official bindings.

    The thread pool is one per process and is set before any method is loaded.
    """

    def __init__(self, folder: Path, entry_points: Sequence[EntryPoint], threads: int):
        super().__init__(entry_points)
        _unsafe_reset_threadpool(threads)
        self._methods = {}
        for point in entry_points:
            try:
                self._methods[point.name] = Runtime.get().load_program(folder / point.file).load_method(point.function)
            except (RuntimeError, KeyError) as error:
                raise ArtifactError(f"{folder / point.file}: ExecuTorch refuses {point.function} ({error})") from error

    def run(self, entry_point: EntryPoint, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        # The bindings accept a channels_last tensor and read it as if it were contiguous: garbage, silently.
        tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in inputs]
        return [output.numpy().copy() for output in self._methods[entry_point.name].execute(tensors)]
