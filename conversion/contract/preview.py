"""The look at the price of a shader: Pocket's colour transform of a pixel under a condition (SPEC.md, `preview.json`).

A live camera shows this, a few `analyze` a second, smoothed over time; a shot takes the whole network and its detail.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
# Of `shouldered` in training/generators/pocket.py, which a test compares: no torch here.
END_SLOPE, SHOULDER_SLOPE, SHOULDER_OFFSET = np.float32(0.55), np.float32(0.1), np.float32(0.008)
TIME_CONSTANT_S = 0.4  # after which a change of light is seen to 63 %


@dataclass(frozen=True)
class ColourTransform:
    """linear, square: [3, 3], rows are the colours that go in; offset: [3]."""

    linear: Array
    square: Array
    offset: Array

    @classmethod
    def of(cls, condition: Sequence[Array]) -> ColourTransform:
        """Of modulation, matrix [1, 6 f f, 3 f f] and offset [1, 3 f f, 1, 1]: the blocks of a cell's first pixel.

        Raises:
            ValueError: the condition of another network.
        """
        if len(condition) != 3 or condition[1].ndim != 3 or condition[1].shape[1] != 2 * condition[1].shape[2]:
            raise ValueError("a condition of Pocket has modulation, matrix and offset")
        matrix, offset = condition[1][0], condition[2].reshape(-1)
        rows = matrix.shape[0] // 2
        return cls(matrix[:3, :3], matrix[rows : rows + 3, :3], offset[:3])

    def __call__(self, pixels: Array) -> Array:
        """Colours [..., 3] in [0, 1], encoded sRGB -> the same."""
        output = pixels @ self.linear + (pixels * pixels) @ self.square + self.offset
        steep, flat = pixels * END_SLOPE, pixels * SHOULDER_SLOPE
        most = np.maximum(steep + (1 - END_SLOPE), flat + (1 - SHOULDER_SLOPE - SHOULDER_OFFSET))
        shouldered = np.maximum(np.minimum(output, most), np.minimum(steep, flat + SHOULDER_OFFSET))
        return np.asarray(shouldered, np.float32)

    def towards(self, other: ColourTransform, elapsed_s: float) -> ColourTransform:
        """What is shown `elapsed_s` seconds later when `other` is what the camera sees now: nothing flickers."""
        share = np.float32(1 - math.exp(-max(0.0, elapsed_s) / TIME_CONSTANT_S))
        pairs = ((self.linear, other.linear), (self.square, other.square), (self.offset, other.offset))
        return ColourTransform(*(shown + share * (seen - shown) for shown, seen in pairs))
