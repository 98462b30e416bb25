"""Photos of other cameras, given the tone of a phone's: what makes a few phone photos teach about many scenes.

Teachers can be asked about any picture, so these pictures need no DSLR side; they need to lie where phone photos lie.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from training.photos import from_samples
from training.tiling import to_uint8

Pixels = npt.NDArray[np.uint8]
Random = np.random.Generator
MAX_CONTRAST_GAIN = 2.5  # more would show the steps of 8 bit


def matched(pixels: Pixels, phone: Pixels) -> Pixels:
    """`pixels` moved to the mean colour and the contrast of `phone` (Reinhard et al. 2001, in sRGB); any sizes."""
    values, like = from_samples(pixels), from_samples(phone)
    gain = (_spread(like) + 0.02) / (_spread(values) + 0.02)
    return to_uint8((values - values.mean((0, 1))) * min(gain, MAX_CONTRAST_GAIN) + like.mean((0, 1)))


def jittered(pixels: Pixels, random: Random) -> Pixels:
    """Another exposure, gamma, white balance, saturation and flare, at random."""
    values = from_samples(pixels) ** np.float32(np.exp(random.normal(0, 0.25)))
    values *= np.exp(random.normal(0, 0.12) + random.normal(0, 0.06, 3)).astype(np.float32)
    if random.random() < 0.5:
        grey = values.mean(-1, keepdims=True)
        values = grey + (values - grey) * np.float32(np.exp(random.normal(0, 0.2)))
    return to_uint8(values + np.float32(random.normal(0, 0.02)))


def degraded(pixels: Pixels, random: Random) -> Pixels:
    """The softness and the noise of a small lens and sensor, at random."""
    values = pixels.astype(np.float32)
    if random.random() < 0.7:
        sigma_px = random.uniform(0.3, 1.0)
        values = gaussian_filter(values, (sigma_px, sigma_px, 0))
    if random.random() < 0.7:
        grain_px = random.uniform(0, 0.8)
        noise = random.normal(0, random.uniform(1, 8), values.shape).astype(np.float32)
        values = values + gaussian_filter(noise, (grain_px, grain_px, 0))
    return to_uint8(values / np.float32(255))


def _spread(values: npt.NDArray[Any]) -> float:
    """Standard deviation within the colour channels, their mean."""
    return float(values.std((0, 1)).mean())
