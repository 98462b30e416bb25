"""The Pocket generator for ExecuTorch's 8 bits: what its analyser gathers is rounded about its own middle."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.generators.pocket import Pocket
from training.quantization.equalization import spans


class AboutTheMiddle(nn.Module):
    """The same 1x1 convolution on inputs from which `middle` [1, C, 1, 1] was taken: their range is half as wide."""

    middle: Tensor

    def __init__(self, convolution: nn.Conv2d, middle: Tensor):
        super().__init__()
        self.convolution = copy.deepcopy(convolution)
        self.register_buffer("middle", middle)
        with torch.no_grad():
            self.convolution.bias += (convolution.weight * middle).sum((1, 2, 3))  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(x - self.middle)  # type: ignore[no-any-return]


@torch.no_grad()
def about_the_middle(generator: Pocket, thumbnails: Sequence[Tensor]) -> Pocket:
    """The same function, whose `analyser.pooled` has one range for statistics of all kinds.

    Means are above 0, most logarithms of variances too, and photos differ less in them than they are away from 0.
    Rounded as they are, they shift colours more than all the rest of analyze (training/LOG.md, 2026-11-28).

    Args:
        thumbnails: [1, 3, t, t] each, of photos as varied as what it will meet.
    """

    def analyze_all() -> None:
        for thumbnail in thumbnails:
            generator.analyze(thumbnail)

    pooled = generator.analyser.pooled
    middle = spans(pooled, analyze_all, of_input=True).middle.reshape(1, -1, 1, 1)
    changed = copy.deepcopy(generator)
    changed.analyser.pooled = AboutTheMiddle(pooled, middle)  # type: ignore[assignment]
    return changed
