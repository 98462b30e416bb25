"""What every generator is: analyze once per photo, enhance its tiles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from training.tiling import Tiling

Condition = tuple[Tensor, ...]
ReadTile = Callable[[int, int, int, int], Tensor]


class Generator(nn.Module, ABC):
    """A network in two parts, so that a photo can be cut into tiles without a seam.

    All images are [N, 3, H, W] float, sRGB-encoded RGB in [0, 1]. Outputs may leave [0, 1]; the
    *reference* of this project is the output clamped to it.
    """

    name: ClassVar[str]
    condition_names: ClassVar[tuple[str, ...]]
    tiling: Tiling
    thumbnail_px: int

    def __init__(self, config: Any):
        super().__init__()
        self.config = config

    @abstractmethod
    def analyze(self, thumbnail: Tensor) -> Condition:
        """Once per photo: its thumbnail [N, 3, thumbnail_px, thumbnail_px] -> condition."""

    @abstractmethod
    def enhance(self, tile: Tensor, *condition: Tensor) -> Tensor:
        """Per tile [N, 3, size, size]; within `tiling.halo` of the tile's border the output is not valid."""

    @abstractmethod
    def forward(self, photo: Tensor, thumbnail: Tensor) -> Tensor:
        """The whole photo [N, 3, H, W] at once: what tiles must add up to."""

    def exact_condition(self, photo_size: tuple[int, int], read: ReadTile, tile_px: int) -> Condition | None:
        """The condition that `forward` uses, from the photo itself, in bounded memory.

        None where `analyze` of the thumbnail already is that condition.

        Args:
            photo_size: (height, width).
            read: (y0, y1, x0, x1) -> that part of the photo as [1, 3, y1 - y0, x1 - x0].
            tile_px: side of the square parts to read.
        """
        return None

    def describe(self) -> dict[str, Any]:
        """Name and config: all that `generators.build` needs to make this network again."""
        return {"name": self.name, "config": asdict(self.config)}

    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())

    @torch.no_grad()
    def mac_per_px(self, size: int = 256) -> float:
        """Multiply-accumulates per pixel of `enhance`, counted by torch (halo not included)."""
        from torch.utils.flop_counter import FlopCounterMode

        condition = self.analyze(torch.zeros(1, 3, self.thumbnail_px, self.thumbnail_px))
        with FlopCounterMode(display=False) as counter:
            self.enhance(torch.zeros(1, 3, size, size), *condition)
        return float(counter.get_total_flops()) / 2 / size**2
