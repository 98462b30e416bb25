"""The sensor: one colour a pixel, electrons that are counted with noise, ten bits; and what rebuilds three colours."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from training.camera.light import Light
from training.camera.shot import Shot

BITS = 10
BLACK_LEVEL = 64  # of 1,023: noise goes below black, too
PATTERNS = ((0, 1, 1, 2), (1, 0, 2, 1), (1, 2, 0, 1), (2, 1, 1, 0))  # channels of the four pixels of a cell
BAYER = ("BayerRGGB", "BayerGRBG", "BayerGBRG", "BayerBGGR")
METHODS = {"bilinear": "2RGB", "edge-aware": "2RGB_EA", "gradients": "2RGB_VNG"}


def expose(light: Light, shot: Shot) -> npt.NDArray[np.uint16]:
    """Light [H, W, 3], 1 is full -> mosaic [H, W] of 10 bits.

    The number of electrons is a Poisson count, here Gaussian with the same variance, plus read noise.
    """
    height, width = light.shape[:2]
    mosaic = np.empty((height, width), np.float32)
    for place, channel in enumerate(PATTERNS[shot.pattern]):
        rows, columns = slice(place // 2, None, 2), slice(place % 2, None, 2)
        mosaic[rows, columns] = light[rows, columns, channel]
    electrons = mosaic.clip(0, 1) * np.float32(shot.full_well_electrons)
    deviation = np.sqrt(electrons + np.float32(shot.read_noise_electrons**2))
    noise = np.random.default_rng(shot.noise_seed).standard_normal(mosaic.shape, np.float32)
    signal = (electrons + deviation * noise) / np.float32(shot.full_well_electrons)
    largest = 2**BITS - 1
    return (signal * (largest - BLACK_LEVEL) + BLACK_LEVEL + 0.5).clip(0, largest).astype(np.uint16)


def demosaic(mosaic: npt.NDArray[np.uint16], shot: Shot) -> Light:
    """[H, W] of 10 bits -> light [H, W, 3]; black may be a little below 0.

    OpenCV's bilinear, edge-aware and variable-number-of-gradients methods; the last works in 8 bits.
    """
    code = getattr(cv2, f"COLOR_{BAYER[shot.pattern]}{METHODS[shot.demosaicing]}")
    largest = 2**BITS - 1
    if shot.demosaicing == "gradients":
        rebuilt = cv2.cvtColor(cv2.convertScaleAbs(mosaic, alpha=255 / largest), code).astype(np.float32) / 255
    else:
        rebuilt = cv2.cvtColor(mosaic, code).astype(np.float32) / largest
    black = BLACK_LEVEL / largest
    return ((rebuilt - black) / (1 - black)).astype(np.float32)


def noise_deviation(level: Light | float, shot: Shot) -> Light:
    """Standard deviation of the noise at a level of light in [0, 1], in units of full light."""
    electrons = np.clip(level, 0, 1) * shot.full_well_electrons + shot.read_noise_electrons**2
    return np.asarray(np.sqrt(electrons) / shot.full_well_electrons, np.float32)
