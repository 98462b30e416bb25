"""A model's output for a whole photo at once: what models are compared by, free of tiles and of thumbnails' errors.

Generators that normalize take the statistics of the photo itself, as in their papers.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from training.enhancer import Array, TorchEngine
from training.photos import from_samples
from training.tiling import thumbnail

Pixels = npt.NDArray[np.uint8]
MOST_PX = 4_000_000  # DPED's feature maps of such a photo take 5 GB


def reduced(pixels: Pixels, most_px: int = MOST_PX) -> tuple[Pixels, int]:
    """A photo [H, W, 3] uint8 and 1, or, above `most_px`, box-averaged to 1/2, 1/3, ... of its sides, and 2, 3, ..."""
    height, width = pixels.shape[:2]
    divisor = max(1, math.isqrt(height * width // most_px))
    while max(1, height // divisor) * max(1, width // divisor) > most_px:
        divisor += 1
    if divisor == 1:
        return pixels, 1
    return thumbnail(pixels, max(1, height // divisor), max(1, width // divisor)), divisor


def whole_output(engine: TorchEngine, pixels: Pixels, strength: float = 1.0) -> Array:
    """[H, W, 3] uint8 -> [H, W, 3] float32 in [0, 1]; `strength` blends with the photo, as enhance.py does."""
    photo = from_samples(pixels)
    return photo + np.float32(strength) * (engine.whole(photo) - photo)
