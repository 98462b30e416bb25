"""The ranges that activations of a Core ML program take on samples, found without a Mac by the evaluator in `mil.py`.

coremltools calibrates by Core ML itself, on macOS only, and its version 9.0 keeps the range of the last sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy.typing as npt
from torch import Tensor

from conversion.runtimes.mil import MilProgram

Range = tuple[float, float]


def ranges(program: MilProgram, samples: Iterable[Mapping[str, npt.NDArray[Any]]]) -> dict[str, Range]:
    """Name of each input and result -> its least and its greatest value over all samples, zero always among them.

    Args:
        samples: an array for every input of the program, as `MilProgram.run` takes them.
    """
    found: dict[str, Range] = {}

    def see(name: str, value: Tensor) -> None:
        low, high = found.get(name, (0.0, 0.0))
        found[name] = min(low, float(value.min())), max(high, float(value.max()))

    for sample in samples:
        program.run(sample, see)
    return found
