"""Pictures to ask teachers about: patches and whole photos, drawn at random, that look as if the phone took them.

Photos of other cameras get the tone of a phone's, so that a few phone photos teach about many scenes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter

from training.photos import from_samples
from training.tiling import to_uint8

Pixels = npt.NDArray[np.uint8]
Random = np.random.Generator
MAX_WHOLE_PX = 1_500_000  # larger photos are halved first: the teachers' tone hardly changes, their cost does
MAX_CONTRAST_GAIN = 2.5  # more would show the steps of 8 bit


class Pictures:
    """Photos of the phone, and photos of other cameras which are given its tone."""

    def __init__(self, phone: Sequence[Pixels], others: Sequence[Pixels], patch_px: int):
        self.phone, self.others, self.patch_px = phone, others, patch_px

    def patch(self, random: Random) -> Pixels:
        """[patch, patch, 3]: three of five from a phone photo, mostly at its own scale."""
        if not self.others or random.random() < 0.6:
            own_scale = random.random() < 0.65
            side_px = self.patch_px if own_scale else int(self.patch_px * random.uniform(0.7, 4))
            patch = self._square(self._one(self.phone, random), side_px, random)
        else:
            side_px = int(self.patch_px * random.uniform(0.9, 3.2))
            patch = degraded(self._square(self._one(self.others, random), side_px, random), random)
            if random.random() < 0.7:
                patch = matched(patch, self._square(self._one(self.phone, random), self.patch_px, random))
        return jittered(patch, random) if random.random() < 0.5 else patch

    def whole(self, random: Random) -> Pixels:
        """A whole photo, two of five the phone's."""
        phones = not self.others or random.random() < 0.4
        photo = self._one(self.phone if phones else self.others, random)
        while photo.shape[0] * photo.shape[1] > MAX_WHOLE_PX:
            photo = np.asarray(Image.fromarray(photo).reduce(2))
        if random.random() < 0.5:
            photo = np.ascontiguousarray(np.rot90(photo, int(random.integers(4))))
        return jittered(photo, random) if random.random() < 0.5 else photo

    def _one(self, photos: Sequence[Pixels], random: Random) -> Pixels:
        return photos[int(random.integers(len(photos)))]

    def _square(self, photo: Pixels, side_px: int, random: Random) -> Pixels:
        """A random square of a photo, scaled to a patch."""
        side_px = min(side_px, *photo.shape[:2])
        top, left = (int(random.integers(side - side_px + 1)) for side in photo.shape[:2])
        square = photo[top : top + side_px, left : left + side_px]
        if side_px == self.patch_px:
            return square
        size = (self.patch_px, self.patch_px)
        reduced = Image.fromarray(np.ascontiguousarray(square))
        return np.asarray(reduced.resize(size, Image.Resampling.BICUBIC))  # widens its kernel when it makes smaller


def crops(shape: tuple[int, ...], patch_px: int, count: int, random: Random) -> Iterator[tuple[slice, slice]]:
    """`count` random squares of a photo [H, W, ...]."""
    for _ in range(count):
        top, left = (int(random.integers(side - patch_px + 1)) for side in shape[:2])
        yield slice(top, top + patch_px), slice(left, left + patch_px)


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
