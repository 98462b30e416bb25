"""What train.py looks at now and then: quality on pairs that it does not learn from, and mean losses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter

from training.data.photo_pair import PhotoPair
from training.enhancer import TorchEngine
from training.generators.base import Generator
from training.photos import Pixels, from_samples
from training.quality.metrics import mse, mse_to_psnr

SCORE = "psnr_mean_of_images_db"  # what chooses the weights
IDENTITY = f"identity_{SCORE}"  # that of the phone photo as it is
SHEET_PHOTOS, SHEET_PX = 4, 256
MAX_CACHED_BYTES = 1 << 29


class Validation:
    """Pairs to validate on, the first 512 MiB of them decoded once."""

    def __init__(self, pairs: Sequence[PhotoPair]):
        self.pairs = list(pairs)
        self._cache: dict[int, tuple[Pixels, Pixels]] = {}
        self._cached_bytes = 0

    @torch.inference_mode()
    def of(self, generator: Generator, writer: SummaryWriter | None = None, step: int = 0) -> dict[str, float]:
        """Quality of whole outputs, clamped, against the DSLR side; draws phone | enhanced | DSLR sheets."""
        engine = TorchEngine(generator, next(generator.parameters()).device.type)
        errors, before = [], []
        for index, sides in enumerate(self._loaded()):
            phone, dslr = map(from_samples, sides)
            enhanced = engine.whole(phone)
            errors.append(mse(enhanced, dslr))
            before.append(mse(phone, dslr))
            if writer and index < SHEET_PHOTOS:
                row = np.concatenate([image[:SHEET_PX, :SHEET_PX] for image in (phone, enhanced, dslr)], axis=1)
                writer.add_image(f"phone, enhanced, DSLR/{index}", row, step, dataformats="HWC")
        generator.train()
        return {
            SCORE: float(np.mean([mse_to_psnr(error) for error in errors])),
            "psnr_of_mean_mse_db": mse_to_psnr(float(np.mean(errors))),
            IDENTITY: float(np.mean([mse_to_psnr(error) for error in before])),
        }

    def _loaded(self) -> Iterator[tuple[Pixels, Pixels]]:
        for index, pair in enumerate(self.pairs):
            sides = self._cache.get(index) or pair.load()
            if index not in self._cache and self._cached_bytes < MAX_CACHED_BYTES:
                self._cached_bytes += sides[0].nbytes + sides[1].nbytes
                self._cache[index] = sides
            yield sides


def stalled_at(rows: Sequence[dict[str, Any]], patience: int) -> int | None:
    """The first step whose best validation so far lies `patience` validations back; None: none, or no patience."""
    best = 0
    for index, row in enumerate(rows):
        if row[SCORE] > rows[best][SCORE]:
            best = index
        if patience and index - best >= patience:
            return int(row["step"])
    return None


class Means:
    """Means of each loss since the last validation."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, named: dict[str, float]) -> None:
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in named.items()}
        self._count += 1

    def take(self) -> dict[str, float]:
        means = {name: total / self._count for name, total in self._sums.items()}
        self._sums, self._count = {}, 0
        return means


def draw_row(writer: SummaryWriter, row: dict[str, Any]) -> None:
    """A row of log.jsonl as TensorBoard's scalars."""
    for name, value in row.items():
        if name == "loss":
            for term, mean in value.items():
                writer.add_scalar(f"loss/{term}", mean, row["step"])
        elif name != "step":
            writer.add_scalar(name, value, row["step"])
