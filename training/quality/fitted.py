"""Detail apart from tone: scores of an output after the best colour transform towards its reference."""

from __future__ import annotations

import numpy as np

from training.quality.metrics import Double, Image


def fit_colours(image: Image, reference: Image) -> Double:
    """The image under the 3x4 colour transform that leaves the least squared error to the reference.

    What tone, white balance and saturation cost is taken out; what is left to tell two images apart is detail, noise
    and local contrast.

    Args:
        image, reference: [H, W, 3] of one size, in [0, 1].

    Returns:
        [H, W, 3] in [0, 1], clamped.
    """
    colours = np.concatenate([image.reshape(-1, 3), np.ones((image.shape[0] * image.shape[1], 1))], axis=1)
    transform, *_ = np.linalg.lstsq(colours.astype(np.float64), reference.reshape(-1, 3).astype(np.float64), rcond=None)
    fitted: Double = (colours @ transform).clip(0, 1).reshape(image.shape)
    return fitted
