"""What train.py looks at every few hundred steps: quality on pairs that it does not learn from, and mean losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter

from training.data.pairs import PhotoPair
from training.enhancer import TorchEngine
from training.generators.base import Generator
from training.photos import from_samples
from training.quality.metrics import mse, mse_to_psnr

SCORE = "psnr_mean_of_images_db"  # what early stopping goes by
SHEET_PHOTOS, SHEET_PX = 4, 256


@torch.inference_mode()
def validate(
    generator: Generator, pairs: Sequence[PhotoPair], writer: SummaryWriter | None = None, step: int = 0
) -> dict[str, float]:
    """Quality of whole outputs, clamped, against the DSLR side; draws phone | enhanced | DSLR sheets."""
    engine = TorchEngine(generator, next(generator.parameters()).device.type)
    errors, before = [], []
    for k, pair in enumerate(pairs):
        phone, dslr = map(from_samples, pair.load())
        enhanced = engine.whole(phone)
        errors.append(mse(enhanced, dslr))
        before.append(mse(phone, dslr))
        if writer and k < SHEET_PHOTOS:
            row = np.concatenate([image[:SHEET_PX, :SHEET_PX] for image in (phone, enhanced, dslr)], axis=1)
            writer.add_image(f"phone, enhanced, DSLR/{k}", row, step, dataformats="HWC")
    generator.train()
    return {
        SCORE: float(np.mean([mse_to_psnr(error) for error in errors])),
        "psnr_of_mean_mse_db": mse_to_psnr(float(np.mean(errors))),
        f"identity_{SCORE}": float(np.mean([mse_to_psnr(error) for error in before])),
    }


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
