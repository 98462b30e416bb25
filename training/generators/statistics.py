"""Generators that normalize with statistics of the whole photo (DPED, PPCN), made to run in tiles.

Instance norm scales and shifts each channel by numbers that depend on the whole photo. Those numbers are
the condition: `analyze` records them on a thumbnail, `exact_condition` gathers them by streaming over the
photo, one norm after the other, and `enhance` applies them to a tile.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from training.generators.base import Condition, Generator, ReadTile

EPSILON = 1e-3  # inside the root, as in the authors' code
Normalize = Callable[[int, Tensor], Tensor]
Measure = Callable[[Tensor], tuple[Tensor, Tensor]]


class InstanceNorm(nn.Module):
    """Per image and channel: (x - mean) / sqrt(biased variance + 1e-3) * weight + bias.

    Written by hand rather than as F.instance_norm: the backends then take the graph in one piece.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def affine(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Statistics [N, C, 1, 1] -> (scale, shift), with which the norm is x * scale + shift."""
        scale = torch.rsqrt(variance + EPSILON) * self.weight.view(1, -1, 1, 1)
        return scale, self.bias.view(1, -1, 1, 1) - mean * scale


class Contrast(nn.Module):
    """PPCN's input contrast: x -> (x - mean) * 1.2 + mean, mean per image and channel."""

    channels = 3

    def affine(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full_like(mean, 1.2), mean * -0.2


def mean_and_variance(x: Tensor) -> tuple[Tensor, Tensor]:
    """[N, C, H, W] -> mean and biased variance per image and channel, [N, C, 1, 1] each."""
    mean = x.mean((2, 3), keepdim=True)
    centred = x - mean
    return mean, (centred * centred).mean((2, 3), keepdim=True)


class _Affine(Protocol):
    channels: int

    def affine(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]: ...


class _Reached(Exception):
    """A streaming pass has come to the norm whose input it wants."""

    def __init__(self, features: Tensor):
        self.features = features


class StatisticsGenerator(Generator):
    """A network whose norms take their statistics from the photo, its thumbnail, or a given condition."""

    condition_names = ("statistics",)
    norms: nn.ModuleList

    @abstractmethod
    def layers(self, x: Tensor, normalize: Normalize) -> Tensor:
        """The network; `normalize(k, x)` stands where norm k works."""

    def _norm(self, index: int) -> _Affine:
        return cast(_Affine, self.norms[index])

    def with_own_statistics(self, x: Tensor, measure: Measure) -> tuple[Tensor, list[Tensor]]:
        """Run on `x` with its own statistics -> output, and scale and shift of each norm in turn."""
        recorded: list[Tensor] = []

        def own(index: int, x: Tensor) -> Tensor:
            scale, shift = self._norm(index).affine(*measure(x))
            recorded.extend((scale, shift))
            return x * scale + shift

        return self.layers(x, own), recorded

    def forward(self, photo: Tensor, thumbnail: Tensor | None = None) -> Tensor:
        """With the photo's own statistics, as the papers do. The thumbnail is not needed."""
        return self.with_own_statistics(photo, mean_and_variance)[0]

    def analyze(self, thumbnail: Tensor) -> Condition:
        """-> one tensor [N, 2 * (channels of all norms), 1, 1]: scale and shift of each norm in turn."""
        return (torch.cat(self.with_own_statistics(thumbnail, mean_and_variance)[1], 1),)

    def enhance(self, tile: Tensor, *condition: Tensor) -> Tensor:
        (statistics,) = condition
        return self.layers(tile, self._given(statistics))

    def _given(self, statistics: Tensor) -> Normalize:
        sizes = [self._norm(index).channels for index in range(len(self.norms))]

        def apply(index: int, x: Tensor) -> Tensor:
            at, size = 2 * sum(sizes[:index]), sizes[index]
            return x * statistics[:, at : at + size] + statistics[:, at + size : at + 2 * size]

        return apply

    def _before(self, wanted: int, part: Tensor, known: list[Tensor]) -> Tensor:
        """The input of norm `wanted`, with the norms before it given."""
        apply = self._given(torch.cat(known, 1)) if known else None

        def until_wanted(index: int, x: Tensor) -> Tensor:
            if index == wanted:
                raise _Reached(x)
            assert apply is not None
            return apply(index, x)

        try:
            self.layers(part, until_wanted)
        except _Reached as reached:
            return reached.features
        raise AssertionError(f"{self.name} has no norm {wanted}")

    @torch.no_grad()
    def exact_condition(self, photo_size: tuple[int, int], read: ReadTile, tile_px: int) -> Condition:
        """One pass over the photo per norm, since each needs the norms before it; sums in float64."""
        height, width = photo_size
        halo = self.tiling.halo
        known: list[Tensor] = []
        for wanted in range(len(self.norms)):
            total = squares = torch.zeros(1, dtype=torch.float64)
            for y in range(0, height, tile_px):
                for x in range(0, width, tile_px):
                    y0, x0 = max(y - halo, 0), max(x - halo, 0)
                    y1, x1 = min(y + tile_px + halo, height), min(x + tile_px + halo, width)
                    features = self._before(wanted, read(y0, y1, x0, x1), known)
                    kept = features[:, :, y - y0 : y - y0 + tile_px, x - x0 : x - x0 + tile_px].double()
                    total = total + kept.sum((2, 3), keepdim=True)
                    squares = squares + (kept * kept).sum((2, 3), keepdim=True)
            mean = total / (height * width)
            variance = (squares / (height * width) - mean * mean).clamp_min(0)
            known += self._norm(wanted).affine(mean.to(features.dtype), variance.to(features.dtype))
        return (torch.cat(known, 1),)
