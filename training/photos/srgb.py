"""sRGB's curve between encoded values and linear light (IEC 61966-2-1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def to_linear(photo: npt.NDArray[np.floating[Any]]) -> Array:
    """sRGB-encoded values -> linear light, both in [0, 1]."""
    return np.where(photo <= 0.04045, photo / 12.92, ((photo + 0.055) / 1.055) ** 2.4).astype(np.float32)


def to_encoded(light: npt.NDArray[np.floating[Any]]) -> Array:
    """Linear light -> sRGB-encoded values, both in [0, 1]; light beyond is clipped."""
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055).astype(np.float32)
