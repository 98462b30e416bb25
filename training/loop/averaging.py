"""Averages of weights: the moving one of training, and the mean of before and after fine-tuning."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from training.generators.base import Generator

EMA_DECAY = 0.999


Tensors = tuple[Tensor, ...] | list[Tensor]


def moving_average(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
    """Exponential, over a ninth of the steps so far and at most 1,000, so that a short run forgets its start."""
    decay = min(EMA_DECAY, (1 + int(count)) / (10 + int(count)))
    get_ema_multi_avg_fn(decay)(averaged, current, count)  # type: ignore[no-untyped-call]


@torch.no_grad()
def keep(initial: Generator, share: float, tuned: Generator) -> None:
    """Move the weights of `tuned` back towards the initial ones (Wortsman et al., CVPR 2022: WiSE-FT).

    What fine-tuning on few pairs gains is mostly kept, what it forgets mostly comes back.
    """
    for before, after in zip(initial.parameters(), tuned.parameters(), strict=True):
        after.lerp_(before, share)
