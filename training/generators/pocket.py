"""The Pocket generator: low resolution decides, full resolution applies.

The analyser looks at the thumbnail and predicts a quadratic colour transform and a feature modulation; the
tile network adds detail with a few 3x3 convolutions on factor x factor cells. Only operations that
ExecuTorch XNNPACK, LiteRT XNNPACK and Core ML take in one piece (conversion/README.md says which fail).
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
    layers: int = 3
    factor: int = 4
    thumbnail_px: int = 64
    analyser_channels: int = 7
    hidden: int = 36


END_SLOPE, SHOULDER_SLOPE, SHOULDER_OFFSET = 0.55, 0.1, 0.008
COLOUR_TERMS = 24  # linear 3x3, square 3x3, offset 3, centre 3


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
    """Thumbnail -> colour transform and modulation. Starts as the identity.

    Tone is a matter of ratios, so the network sees the thumbnail relative to its own mean and contrast, is told
    the logarithms of what that took away, and answers with gains as exponentials about a centre: the instance norm
    of the teachers, (x - mean) / deviation, is linear in these terms.
    """

    def __init__(self, config: PocketConfig):
        super().__init__()
        self.modulations = config.channels * config.layers
        widths = [k * config.analyser_channels for k in (2, 3, 4, 5)]
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise((6, *widths)))
        self.same = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for width in widths)
        self.pooled = nn.Conv2d(7 + 2 * sum(widths), config.hidden, 1)
        self.hidden = nn.Conv2d(config.hidden, config.hidden, 1)
        self.head = nn.Conv2d(config.hidden, 3 * self.modulations + COLOUR_TERMS, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        self.register_buffer("identity", torch.eye(3).reshape(1, 9, 1, 1), persistent=False)

    def forward(self, thumbnail: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """[N, 3, t, t] -> modulation [N, 2 layers channels, 1, 1]; linear, square [N, 9, 1, 1]; offset [N, 3, 1, 1]."""
        mean = _mean(thumbnail)
        centred = thumbnail - mean
        variance = _mean(centred * centred)
        contrast = (variance[:, 0:1] + variance[:, 1:2] + variance[:, 2:3]) / 3.0  # a mean of channels is not delegated
        x = torch.cat([thumbnail, centred / (contrast + 1e-3).sqrt() * 0.5], 1)
        terms = [mean * 2.0 - 1.0, _logarithm(variance), _logarithm(contrast)]
        for down, same in zip(self.down, self.same, strict=True):
            x = F.relu(down(x))
            x = x + F.relu(same(x))
            at = _mean(x)
            centred = x - at
            terms += [at, _logarithm(_mean(centred * centred))]
        x = F.relu(self.pooled(torch.cat(terms, 1)))
        x = self.head(x + F.relu(self.hidden(x)))

        m = self.modulations
        gain = torch.exp(x[:, :m])
        modulation = torch.cat([gain, x[:, m : 2 * m] - gain * x[:, 2 * m : 3 * m]], 1)
        colour = x[:, 3 * m :]
        linear, square = colour[:, 0:9] + self.identity, colour[:, 9:18]
        offset, centre = colour[:, 18:21], colour[:, 21:24]
        moved = torch.bmm((centre + mean).reshape(-1, 1, 3), linear.reshape(-1, 3, 3)).reshape(-1, 3, 1, 1)
        return modulation, linear, square, offset + mean - moved


def _mean(x: Tensor) -> Tensor:
    return x.mean((2, 3), keepdim=True)


def _logarithm(variance: Tensor) -> Tensor:
    """About -1 .. 1 for variances that photos have."""
    return torch.log(variance + 1e-4) * 0.25 + 1.0


def shouldered(output: Tensor, photo: Tensor) -> Tensor:
    """Keep `output` so far from black and white that what has gradations in the photo, in [0, 1], keeps some.

    Where the photo is u below white, the output is at least min(.55 u, .008 + .1 u) below it; likewise above black. So
    a value that the photo does not clip is not clipped at 8 bits either, and half of the steps next to the end remain.
    """
    steep, flat = photo * END_SLOPE, photo * SHOULDER_SLOPE
    most = torch.maximum(steep + (1 - END_SLOPE), flat + (1 - SHOULDER_SLOPE - SHOULDER_OFFSET))
    return torch.maximum(torch.minimum(output, most), torch.minimum(steep, flat + SHOULDER_OFFSET))


class Pocket(Generator):
    """Enhances factor x factor cells: quadratic colour transform + what the convolutions add, short of clipping."""

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
        modulation, linear, square, offset = self.analyser(thumbnail)
        size = 3 * self.config.factor**2
        linear = (self.eye * linear.reshape(-1, 1, 3, 1, 3)).reshape(-1, size, size)
        square = (self.eye * square.reshape(-1, 1, 3, 1, 3)).reshape(-1, size, size)
        offset = (self.ones * offset.reshape(-1, 1, 3)).reshape(-1, size, 1, 1)
        return modulation, torch.cat([linear, square], 1), offset

    def enhance(self, tile: Tensor, *condition: Tensor) -> Tensor:
        modulation, matrix, offset = condition
        width, layers, factor = self.config.channels, self.config.layers, self.config.factor
        cells = space_to_depth(tile, factor)
        x = self.down(cells)
        for k, convolution in enumerate(self.body):
            gain = modulation[:, k * width : (k + 1) * width]
            shift = modulation[:, (layers + k) * width : (layers + k + 1) * width]
            x = x + convolution(F.relu(x)) * gain + shift
        n, size, h, w = map(int, cells.shape)
        basis = torch.cat([cells, cells * cells], 1).permute(0, 2, 3, 1).reshape(n, h * w, 2 * size)
        colour = torch.bmm(basis, matrix).reshape(n, h, w, size).permute(0, 3, 1, 2)
        return depth_to_space(shouldered(colour + self.up(x) + offset, cells), factor)

    def forward(self, photo: Tensor, thumbnail: Tensor) -> Tensor:
        """Pads by the repeated edge, as border tiles do, so that tiles add up to exactly this."""
        height, width = photo.shape[2:]
        halo, align = self.tiling.halo, self.tiling.align
        below, right = halo + -height % align, halo + -width % align
        padded = F.pad(photo, (halo, right, halo, below), mode="replicate")
        output = self.enhance(padded, *self.analyze(thumbnail))
        return output[:, :, halo : halo + height, halo : halo + width]
