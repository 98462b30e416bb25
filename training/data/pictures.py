"""Pictures to ask teachers about: patches and whole photos, drawn at random, that look as if the phone took them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from training.data import phone_tone

Pixels = npt.NDArray[np.uint8]
Random = np.random.Generator
MAX_WHOLE_PX = 1_500_000  # larger photos are halved first: the teachers' tone hardly changes, their cost does


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
            patch = phone_tone.degraded(self._square(self._one(self.others, random), side_px, random), random)
            if random.random() < 0.7:
                patch = phone_tone.matched(patch, self._square(self._one(self.phone, random), self.patch_px, random))
        return phone_tone.jittered(patch, random) if random.random() < 0.5 else patch

    def whole(self, random: Random) -> Pixels:
        """A whole photo, two of five the phone's."""
        phones = not self.others or random.random() < 0.4
        photo = self._one(self.phone if phones else self.others, random)
        while photo.shape[0] * photo.shape[1] > MAX_WHOLE_PX:
            photo = np.asarray(Image.fromarray(photo).reduce(2))
        if random.random() < 0.5:
            photo = np.ascontiguousarray(np.rot90(photo, int(random.integers(4))))
        return phone_tone.jittered(photo, random) if random.random() < 0.5 else photo

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
