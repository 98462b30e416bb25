"""A developed photo back to the light on a sensor, and colour matrices between the two.

After Brooks et al., "Unprocessing Images for Learned Raw Denoising" (CVPR 2019): tone curve, gamma, colour matrix and
white balance are undone, in the reverse of the order in which a camera applies them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.camera.shot import Shot
from training.photos.srgb import to_linear

Light = npt.NDArray[np.float32]

# XYZ to the colours of four sensors, as that paper's code takes them from DNG files.
SENSORS = np.array(
    [
        [[1.0234, -0.2969, -0.2266], [-0.5625, 1.6328, -0.0469], [-0.0703, 0.2188, 0.6406]],
        [[0.4913, -0.0541, -0.0202], [-0.6130, 1.3513, 0.2906], [-0.1564, 0.2151, 0.7183]],
        [[0.8380, -0.2630, -0.0639], [-0.2887, 1.0725, 0.2496], [-0.0627, 0.1427, 0.5438]],
        [[0.6596, -0.2079, -0.0562], [-0.4782, 1.3016, 0.1933], [-0.0970, 0.1581, 0.5181]],
    ]
)
SRGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def to_sensor(photo: Light, shot: Shot) -> Light:
    """sRGB [H, W, 3] in [0, 1] -> light that falls on the sensor under its filters, [H, W, 3]; 1 fills a pixel.

    Longer exposure fills pixels beyond 1, and the sensor clips them; white balance turns what is clipped white again.
    """
    gains = np.array([shot.red_gain, 1.0, shot.blue_gain], np.float32)
    light = to_linear(_undo_curve(photo)) @ srgb_to_sensor(shot).T.astype(np.float32)
    return np.asarray(np.maximum(light, 0) * np.float32(2**shot.exposure_stops) / gains, np.float32)


def srgb_to_sensor(shot: Shot) -> npt.NDArray[np.float64]:
    """[3, 3], rows add up to 1, so that grey stays grey before white balance."""
    matrix = np.tensordot(shot.matrix, SENSORS, 1) @ SRGB_TO_XYZ
    normalized: npt.NDArray[np.float64] = matrix / matrix.sum(1, keepdims=True)
    return normalized


def _undo_curve(photo: Light) -> Light:
    """The inverse of the S-curve 3 x^2 - 2 x^3, half of it: DSLR photos have been given contrast."""
    inverse = 0.5 - np.sin(np.arcsin(1 - 2 * photo.clip(0, 1)) / 3)
    return ((photo + inverse) / 2).astype(np.float32)
