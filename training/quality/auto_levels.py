"""Auto levels, as photo apps have it: each channel stretched until a little of it is black and a little white."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

PHOTO_APP = "photo app (auto levels)"  # the name of its row in tables
CLIPPED = 0.5  # percent of a channel's pixels at either end, a usual setting of photo apps


def auto_levels(photo: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """[H, W, 3] in [0, 1] -> the same, stretched. A channel without any range stays as it is."""
    low, high = np.percentile(photo, (CLIPPED, 100 - CLIPPED), axis=(0, 1))
    flat = high - low < 1 / 255
    low, high = np.where(flat, 0, low), np.where(flat, 1, high)
    return ((photo - low) / (high - low)).clip(0, 1).astype(np.float32)
