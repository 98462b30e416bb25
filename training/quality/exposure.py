"""Exposure, as a camera app sets it: the peers that an enhancement has to beat before it may call itself one.

Photos are [H, W, 3] sRGB in [0, 1]; gains are in linear light (IEC 61966-2-1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from training.photos.srgb import Array, to_encoded, to_linear

CONSTANT_STOPS = 0.9
# Mean of linear light: the median of 197 photos of good cameras (cc0, clic2025, camera_1024), none of them a judge.
TARGET_MEAN = 0.21
MAX_GAIN = 4.0


def brighten(photo: npt.NDArray[np.floating[Any]], stops: float = CONSTANT_STOPS) -> Array:
    """The photo, `stops` brighter."""
    return to_encoded(to_linear(photo) * 2**stops)


def auto_exposure(photo: npt.NDArray[np.floating[Any]]) -> Array:
    """The photo, brightened until its mean is TARGET_MEAN; never darkened, and at most two stops brighter."""
    light = to_linear(photo)
    gain = np.clip(TARGET_MEAN / max(float(light.mean()), 1e-6), 1, MAX_GAIN)
    return to_encoded(light * gain)
