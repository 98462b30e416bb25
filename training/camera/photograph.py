"""`photograph(photo, shot)`: a DSLR-grade photo as a phone would have taken it, pixel for pixel in the same place.

photo -> light on the sensor -> lens -> mosaic with noise -> three colours -> development -> JPEG, perhaps twice
"""

from __future__ import annotations

import cv2
import numpy as np

from training.camera.development import develop
from training.camera.light import Light, to_sensor
from training.camera.optics import through_the_lens
from training.camera.sensor import demosaic, expose
from training.camera.shot import Shot
from training.photos import Pixels, from_samples

SUBSAMPLED = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]


def photograph(photo: Pixels, shot: Shot) -> Pixels:
    """[H, W, 3] uint8 sRGB -> the same of the phone. The same arguments give the same bytes."""
    height, width = photo.shape[:2]
    even = np.pad(photo, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")  # the mosaic has cells of 2 x 2 px
    light = to_sensor(from_samples(even), shot)
    rebuilt = demosaic(expose(through_the_lens(light, shot), shot), shot)
    return store(develop(rebuilt, shot)[:height, :width], shot)


def store(encoded: Light, shot: Shot) -> Pixels:
    """sRGB in [0, 1] -> 8 bits, through JPEG with chroma at half resolution; before, perhaps through a smaller file."""
    height, width = encoded.shape[:2]
    pixels = (encoded * 255 + 0.5).astype(np.uint8)
    if shot.first_quality:
        size = (max(8, round(width * shot.rescale)), max(8, round(height * shot.rescale)))
        smaller = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        earlier = cv2.resize(_through_jpeg(smaller, shot.first_quality), (width, height), interpolation=cv2.INTER_CUBIC)
        pixels = np.asarray(earlier, np.uint8)
    return _through_jpeg(pixels, shot.jpeg_quality)


def _through_jpeg(pixels: Pixels, quality: int) -> Pixels:
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality, *SUBSAMPLED])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None  # it was encoded a line ago
    return np.ascontiguousarray(decoded[..., ::-1], np.uint8)
