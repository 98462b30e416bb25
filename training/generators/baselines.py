"""Baselines for tables: networks without a condition. What they do to a pixel is the same in every photo.

Beside them stands what a network gains that looks at the photo as a whole, and what neighbouring pixels tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from training.generators.base import Condition, Generator
from training.tiling import Tiling

SLOPE = 0.1  # of the leaky ReLU


@dataclass(frozen=True)
class SrcnnConfig:
    features: int = 64
    mapped: int = 32


@dataclass(frozen=True)
class PerPixelConfig:
    hidden: int = 32


class _Unconditioned(Generator):
    """Convolutions, each but the last followed by a leaky ReLU; what they make is added to the photo."""

    condition_names = ()
    thumbnail_px = 64  # nothing is read from it

    def __init__(self, config: Any, widths: list[int], kernels: list[int]):
        super().__init__(config)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
            for (inputs, outputs), kernel in zip(pairwise(widths), kernels, strict=True)
        )
        self.tiling = Tiling(halo=sum(kernel // 2 for kernel in kernels), align=1, border="shift")

    def analyze(self, thumbnail: Tensor) -> Condition:
        return ()

    def enhance(self, tile: Tensor, *condition: Tensor) -> Tensor:
        x = tile
        for convolution in self.convolutions[:-1]:
            x = F.leaky_relu(convolution(x), SLOPE)
        return tile + self.convolutions[-1](x)

    def forward(self, photo: Tensor, thumbnail: Tensor | None = None) -> Tensor:
        return self.enhance(photo)


class Srcnn(_Unconditioned):
    """SRCNN (Dong et al., ECCV 2014) with its kernels of 9, 1 and 5 px, on RGB of one size; 20,000 MAC per pixel.

    Unlike the original it learns what to add to the photo, so that a few thousand steps are enough.
    """

    name = "srcnn"

    def __init__(self, config: SrcnnConfig | None = None):
        config = config or SrcnnConfig()
        super().__init__(config, [3, config.features, config.mapped, 3], [9, 1, 5])


class PerPixel(_Unconditioned):
    """Colour in, colour out: the best that a fixed map of colours can do, as a filter of a photo app is one."""

    name = "per_pixel"

    def __init__(self, config: PerPixelConfig | None = None):
        config = config or PerPixelConfig()
        super().__init__(config, [3, config.hidden, config.hidden, 3], [1, 1, 1])
