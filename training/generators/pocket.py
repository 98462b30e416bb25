"""The Pocket generator: low resolution decides, full resolution applies.

The analyser looks at the thumbnail and predicts a quadratic colour transform and a feature modulation; the
tile network adds detail with a few 3x3 convolutions on factor x factor cells. Only operations that
ExecuTorch XNNPACK, LiteRT XNNPACK and Core ML take in one piece (training/generators/README.md says which fail).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.generators.base import Condition, Generator
from training.tiling import Tiling


@dataclass(frozen=True)
class PocketConfig:
    channels: int = 32
    layers: int = 4
    factor: int = 4
    thumbnail_px: int = 64
    analyser_channels: int = 16


def space_to_depth(x: Tensor, factor: int) -> Tensor:
    """[N, 3, H, W] -> [N, 3 f f, H/f, W/f], channel order (row, column, colour), as one 4-D transpose per image."""
    n, _, height, width = map(int, x.shape)
    h, w = height // factor, width // factor
    x = x.permute(0, 2, 3, 1).reshape(n * h, factor, w, 3 * factor)
    return x.permute(0, 2, 1, 3).reshape(n, h, w, 3 * factor * factor).permute(0, 3, 1, 2)


def depth_to_space(x: Tensor, factor: int) -> Tensor:
    """The inverse of `space_to_depth`."""
    n, _, h, w = map(int, x.shape)
    x = x.permute(0, 2, 3, 1).reshape(n * h, w, factor, 3 * factor)
    return x.permute(0, 2, 1, 3).reshape(n, h * factor, w * factor, 3).permute(0, 3, 1, 2)


class Analyser(nn.Module):
    """Thumbnail -> colour transform and modulation. Starts as the identity."""

    def __init__(self, config: PocketConfig):
        super().__init__()
        self.modulations = config.channels * config.layers
        width = config.analyser_channels
        widths = [3, width, 2 * width, 2 * width, 4 * width, 4 * width]
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        self.hidden = nn.Conv2d(widths[-1], 64, 1)
        self.head = nn.Conv2d(64, 2 * self.modulations + 21, 1)
        identity = torch.zeros(2 * self.modulations + 21)
        identity[: self.modulations] = 1  # gain
        identity[-21:-12] = torch.eye(3).flatten()  # linear part of the colour transform
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.copy_(identity)  # type: ignore[union-attr]

    def forward(self, thumbnail: Tensor) -> tuple[Tensor, Tensor]:
        """[N, 3, t, t] -> modulation [N, 2 layers channels, 1, 1], colour [N, 21, 1, 1]."""
        x = thumbnail
        for convolution in self.convolutions:
            x = F.relu(convolution(x))
        x = self.head(F.relu(self.hidden(x.mean((2, 3), keepdim=True))))
        return x[:, : 2 * self.modulations], x[:, 2 * self.modulations :]


class Pocket(Generator):
    """Enhances factor x factor cells: quadratic colour transform + what the convolutions add."""

    name = "pocket"
    condition_names = ("modulation", "matrix", "offset")

    def __init__(self, config: PocketConfig | None = None):
        config = config or PocketConfig()
        super().__init__(config)
        cells = config.factor**2
        self.analyser = Analyser(config)
        self.down = nn.Conv2d(3 * cells, config.channels, 1)
        self.body = nn.ModuleList(
            nn.Conv2d(config.channels, config.channels, 3, padding=1) for _ in range(config.layers)
        )
        self.up = nn.Conv2d(config.channels, 3 * cells, 1)
        nn.init.zeros_(self.up.weight)  # a new network is the identity
        nn.init.zeros_(self.up.bias)  # type: ignore[arg-type]
        self.register_buffer("eye", torch.eye(cells).reshape(1, cells, 1, cells, 1), persistent=False)
        # Multiplying by ones repeats in one delegated operation; Tensor.repeat splits ExecuTorch's delegate.
        self.register_buffer("ones", torch.ones(1, cells, 1), persistent=False)
        self.thumbnail_px = config.thumbnail_px
        self.tiling = Tiling(halo=config.factor * config.layers, align=config.factor, border="clamp")

    def analyze(self, thumbnail: Tensor) -> Condition:
        """-> (modulation [N, 2 L C, 1, 1], matrix [N, 6 f f, 3 f f], offset [N, 3 f f, 1, 1]).

        The matrix is the 3x3 colour transform of x and of x squared, repeated for the pixels of a cell.
        """
        modulation, colour = self.analyser(thumbnail)
        size = 3 * self.config.factor**2
        linear = (self.eye * colour[:, 0:9].reshape(-1, 1, 3, 1, 3)).reshape(-1, size, size)
        square = (self.eye * colour[:, 9:18].reshape(-1, 1, 3, 1, 3)).reshape(-1, size, size)
        offset = (self.ones * colour[:, 18:21].reshape(-1, 1, 3)).reshape(-1, size, 1, 1)
        return modulation, torch.cat([linear, square], 1), offset

    def enhance(self, tile: Tensor, *condition: Tensor) -> Tensor:
        modulation, matrix, offset = condition
        width, layers, factor = self.config.channels, self.config.layers, self.config.factor
        cells = space_to_depth(tile, factor)
        x = F.relu(self.down(cells))
        for k, convolution in enumerate(self.body):
            gain = modulation[:, k * width : (k + 1) * width]
            shift = modulation[:, (layers + k) * width : (layers + k + 1) * width]
            x = F.relu(convolution(x) * gain + shift)
        n, size, h, w = map(int, cells.shape)
        basis = torch.cat([cells, cells * cells], 1).permute(0, 2, 3, 1).reshape(n, h * w, 2 * size)
        colour = torch.bmm(basis, matrix).reshape(n, h, w, size).permute(0, 3, 1, 2)
        return depth_to_space(colour + self.up(x) + offset, factor)

    def forward(self, photo: Tensor, thumbnail: Tensor) -> Tensor:
        """Pads by the repeated edge, as border tiles do, so that tiles add up to exactly this."""
        height, width = photo.shape[2:]
        halo, align = self.tiling.halo, self.tiling.align
        below, right = halo + -height % align, halo + -width % align
        padded = F.pad(photo, (halo, right, halo, below), mode="replicate")
        output = self.enhance(padded, *self.analyze(thumbnail))
        return output[:, :, halo : halo + height, halo : halo + width]
