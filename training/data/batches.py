"""Training batches: what step k sees is a function of the seed and k alone, so a resumed run sees the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from training.commandline import UserError
from training.data.photo_pair import PhotoPair
from training.data.shards import Samples
from training.photos import from_samples
from training.tiling import thumbnail, to_uint8

Pixels = npt.NDArray[np.uint8]
CACHE_BYTES = 1 << 30


@dataclass(frozen=True)
class Batch:
    """phone, dslr: [N, 3, patch, patch]; thumbnail of the whole phone photo: [N, 3, t, t].

    uint8 as they are drawn, which travels from process to GPU in a quarter of the time; float in [0, 1] after `to`.
    """

    phone: Tensor
    dslr: Tensor
    thumbnail: Tensor

    def to(self, device: torch.device) -> Batch:
        return Batch(*(side.to(device).float() / 255 for side in (self.phone, self.dslr, self.thumbnail)))


@dataclass(frozen=True)
class _Drawn:
    """A sample by its size (height, width) and by what reads it: phone, dslr, thumbnail."""

    size: Callable[[], tuple[int, int]]
    load: Callable[[], tuple[Pixels, Pixels, Pixels]]


class Batches(Dataset[list[Batch]]):
    """Step -> its batches: one, or a second one for a discriminator.

    A sample is a random crop of a random pair, or of a packed sample, mirrored at random, with the thumbnail of the
    photo that it is from. Never turned: which tone is right depends on what is above, as the sky is. Decoded photos
    are kept in memory up to 1 GiB per worker.

    Args:
        packed, packed_share: sets of packed samples, and which share of every batch is from them all.
        rank, processes: which of how many processes this is. Each has every `processes`-th sample of a batch: together
            they see what a single one would.
        batches_per_step: as many as the recipe takes.
        tone: of a phone photo -> the mean colour [3] in [0, 1] that the DSLR side of its pair is moved to. Pairs then
            lend their detail alone.

    Raises:
        UserError: a photo is smaller than a patch.
    """

    def __init__(
        self,
        pairs: Sequence[PhotoPair],
        *,
        steps: int,
        batch: int,
        patch_px: int,
        thumbnail_px: int,
        seed: int,
        packed: Sequence[Samples] = (),
        packed_share: float = 0.0,
        rank: int = 0,
        processes: int = 1,
        batches_per_step: int = 1,
        tone: Callable[[Pixels], npt.NDArray[np.float32]] | None = None,
    ):
        self.pairs, self.steps, self.batch = list(pairs), steps, batch
        self.packed = list(packed)
        self.from_packed = round(batch * packed_share) if self.packed else 0
        self.patch_px, self.thumbnail_px, self.seed = patch_px, thumbnail_px, seed
        self.rank, self.processes, self.batches_per_step, self.tone = rank, processes, batches_per_step, tone
        self._sizes: dict[int, tuple[int, int]] = {}  # of all photos so far
        self._cache: dict[int, tuple[Pixels, Pixels, Pixels]] = {}
        self._cached_bytes = 0

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> list[Batch]:
        random, count = np.random.default_rng([self.seed, step]), self.batches_per_step
        return [self._draw(random, step * count + index) for index in range(count)]

    def _draw(self, random: np.random.Generator, number: int) -> Batch:
        samples = []
        for index in range(self.batch):
            if index < self.from_packed:
                drawn = self._draw_packed(random, number * self.from_packed + index)
            else:
                drawn = self._draw_pair(random)
            top, left = (int(random.integers(side - self.patch_px + 1)) for side in drawn.size())
            mirror = bool(random.integers(2))
            if index % self.processes == self.rank:  # other processes load the rest; here they only move `random` on
                samples.append(self._augmented(*drawn.load(), top, left, mirror))
        return Batch(*(_to_tensor(side) for side in zip(*samples, strict=True)))

    def _augmented(
        self, phone: Pixels, dslr: Pixels, small: Pixels, top: int, left: int, mirror: bool
    ) -> tuple[Pixels, Pixels, Pixels]:
        patch = self.patch_px

        def mirrored(image: Pixels) -> Pixels:
            return image[:, ::-1] if mirror else image

        crop = np.s_[top : top + patch, left : left + patch]
        return mirrored(phone[crop]), mirrored(dslr[crop]), mirrored(small)

    def _draw_packed(self, random: np.random.Generator, draw: int) -> _Drawn:
        total = sum(map(len, self.packed))
        index = int(random.integers(total))
        for packed in self.packed:
            if index < len(packed):
                return _Drawn(partial(packed.size, index), partial(packed.sample, index, draw, total))
            index -= len(packed)
        raise AssertionError("the index lies within the sum of the lengths")

    def _draw_pair(self, random: np.random.Generator) -> _Drawn:
        index = int(random.integers(len(self.pairs)))
        return _Drawn(partial(self._size, index), partial(self._load, index))

    def _size(self, index: int) -> tuple[int, int]:
        if index not in self._sizes:
            self._load(index)
        return self._sizes[index]

    def _load(self, index: int) -> tuple[Pixels, Pixels, Pixels]:
        if index in self._cache:
            return self._cache[index]
        pair = self.pairs[index]
        phone, dslr = pair.load()
        if min(phone.shape[:2]) < self.patch_px:
            raise UserError(
                f"{pair.name}: {phone.shape[1]}x{phone.shape[0]} px is smaller than a patch of {self.patch_px} px; "
                "remove it or choose a smaller --patch"
            )
        if self.tone:
            values = from_samples(dslr)
            dslr = to_uint8(values + (self.tone(phone) - values.mean((0, 1))))
        self._sizes[index] = phone.shape[0], phone.shape[1]
        loaded = phone, dslr, thumbnail(phone, self.thumbnail_px, self.thumbnail_px)
        if self._cached_bytes < CACHE_BYTES:
            self._cached_bytes += phone.nbytes + dslr.nbytes
            self._cache[index] = loaded
        return loaded


class Timed:
    """Passes batches on and counts for how many seconds they were waited for."""

    def __init__(self, batches: Iterable[list[Batch]]):
        self._batches = batches
        self.waited_s = 0.0

    def __iter__(self) -> Iterator[list[Batch]]:
        batches = iter(self._batches)
        while True:
            start = time.monotonic()
            batch = next(batches, None)
            self.waited_s += time.monotonic() - start
            if batch is None:
                return
            yield batch


def _to_tensor(images: Sequence[Pixels]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
