"""What the lens does to light [H, W, 3] before it reaches the sensor."""

from __future__ import annotations

import cv2
import numpy as np

from training.camera.light import Light
from training.camera.shot import Shot

KERNEL_PX = 9


def through_the_lens(light: Light, shot: Shot) -> Light:
    """Lateral chromatic aberration, point spread, vignetting and flare, in this order. May exceed 1."""
    height, width = light.shape[:2]
    red = _scaled(light[..., 0], 1 + shot.aberration)
    blue = _scaled(light[..., 2], 1 - shot.aberration)
    spread = cv2.filter2D(np.dstack([red, light[..., 1], blue]), -1, point_spread(shot), borderType=cv2.BORDER_REFLECT)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    dimmed = spread * (1 - np.float32(shot.vignetting / 2) * (x**2 + y**2))[..., None]
    return (dimmed * np.float32(1 - shot.veil) + np.float32(shot.veil) * dimmed.mean((0, 1))).astype(np.float32)


def point_spread(shot: Shot) -> Light:
    """[9, 9], adds up to 1: a Gaussian, longer in one direction than in the other."""
    offsets = np.arange(KERNEL_PX) - KERNEL_PX // 2
    y, x = np.meshgrid(offsets, offsets, indexing="ij")
    along = x * np.cos(shot.blur_angle) + y * np.sin(shot.blur_angle)
    across = y * np.cos(shot.blur_angle) - x * np.sin(shot.blur_angle)
    kernel = np.exp(-0.5 * ((along / shot.blur_px) ** 2 + (across / (shot.blur_px * shot.blur_ratio)) ** 2))
    return (kernel / kernel.sum()).astype(np.float32)


def _scaled(plane: Light, factor: float) -> Light:
    """The plane, larger or smaller about its centre."""
    height, width = plane.shape
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    transform = np.array([[factor, 0, centre_x * (1 - factor)], [0, factor, centre_y * (1 - factor)]])
    size = (width, height)
    scaled = cv2.warpAffine(plane, transform, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(scaled, np.float32)
