"""The Pocket generator as LiteRT likes it: channels last, one XNNPACK delegate per entry point, few operators.

The same arithmetic as training/generators/pocket.py on the same weights; only order and grouping differ. What XNNPACK
leaves out, and so is avoided: a concatenation of more than five tensors, BROADCAST_TO, RELU_0_TO_1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.generators.base import Condition
from training.generators.pocket import COLOUR_TERMS, Pocket, shouldered


def channels_last(convolution: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return convolution(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def _mean(x: Tensor) -> Tensor:
    return x.mean((1, 2), keepdim=True)


def part_of(convolution: nn.Conv2d, outputs: slice = slice(None), inputs: Sequence[int] | None = None) -> nn.Conv2d:
    """Some outputs of a convolution; its inputs in another order."""
    assert convolution.bias is not None
    weight, bias = convolution.weight[outputs], convolution.bias[outputs]
    part = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
    part.weight = nn.Parameter(weight.detach().clone() if inputs is None else weight[:, list(inputs)].detach().clone())
    part.bias = nn.Parameter(bias.detach().clone())
    return part


class PocketAnalyze(nn.Module):
    """[1, t, t, 3] -> modulation [1, 1, 1, 2 L C], matrix [1, 6 f f, 3 f f], offset [1, 1, 1, 3 f f]."""

    with_contrast: Tensor
    diagonal_of_row: Tensor
    diagonal_of_cell: Tensor

    def __init__(self, generator: Pocket):
        super().__init__()
        self.analyser, self.factor = generator.analyser, generator.config.factor
        m = self.analyser.modulations
        widths = [cast(nn.Conv2d, same).out_channels for same in self.analyser.same]
        # Here all means come first, then the logarithms of all variances, as one operator takes all of them.
        means, logarithms, at = [0, 1, 2], [3, 4, 5, 6], 7
        for width in widths:
            means += range(at, at + width)
            logarithms += range(at + width, at + 2 * width)
            at += 2 * width
        self.pooled = part_of(self.analyser.pooled, inputs=means + logarithms)
        head = self.analyser.head
        self.gain, self.shift, self.centre = (part_of(head, slice(k * m, (k + 1) * m)) for k in range(3))
        self.colour = part_of(head, slice(3 * m, 3 * m + COLOUR_TERMS))
        with torch.no_grad():
            self.colour.bias[:9] += torch.eye(3).flatten()  # type: ignore[index]
        contrast = torch.cat([torch.eye(3), torch.full((3, 1), 1 / 3)], 1)[None]
        self.register_buffer("with_contrast", contrast, persistent=False)
        for name, pixels in (("row", self.factor), ("cell", self.factor**2)):
            size = 3 * pixels // self.factor
            diagonal = torch.kron(torch.eye(self.factor), torch.ones(size, size))[None]
            self.register_buffer(f"diagonal_of_{name}", diagonal, persistent=False)

    def forward(self, thumbnail: Tensor) -> Condition:
        analyser = self.analyser
        mean = _mean(thumbnail)
        centred = thumbnail - mean
        # Variances of the colours and their mean, the contrast: a product, as a mean over channels is not delegated.
        spread = torch.bmm(_mean(centred * centred).reshape(1, 1, 3), self.with_contrast).reshape(1, 1, 1, 4)
        x = torch.cat([thumbnail, centred / (spread[..., 3:] + 1e-3).sqrt() * 0.5], 3)
        means, variances = [], [spread]
        for down, same in zip(analyser.down, analyser.same, strict=True):
            x = F.relu(channels_last(down, x))
            x = x + F.relu(channels_last(same, x))
            at = _mean(x)
            means.append(at)
            variances.append(_mean((x - at) * (x - at)))
        logarithms = torch.log(torch.cat(variances, 3) + 1e-4) * 0.25 + 1.0
        # These means are positive; without RELU the converter makes one concatenation of many parts out of two.
        x = torch.cat([mean * 2.0 - 1.0, F.relu(torch.cat(means, 3)), logarithms], 3)
        x = F.relu(channels_last(self.pooled, x))
        x = x + F.relu(channels_last(analyser.hidden, x))

        gain = torch.exp(channels_last(self.gain, x))
        shift = channels_last(self.shift, x) - gain * channels_last(self.centre, x)
        colour = channels_last(self.colour, x)
        linear, offset, centre = colour[..., :9], colour[..., 18:21], colour[..., 21:24]
        moved = torch.bmm((centre + mean).reshape(1, 1, 3), linear.reshape(1, 3, 3)).reshape(1, 1, 1, 3)
        offset = self._repeat(self._repeat(offset + mean - moved))
        transforms = [colour[..., at : at + 9].reshape(1, 3, 3) for at in (0, 9)]
        matrix = torch.cat([self._on_diagonal(block) for block in transforms], 1)
        return torch.cat([gain, shift], 3), matrix, offset

    def _on_diagonal(self, block: Tensor) -> Tensor:
        """[1, 3, 3] -> [1, 3 f f, 3 f f] with f f copies on the diagonal, f of them first.

        By concatenation and a constant: a broadcast over the batch axis is zeros on LiteRT's GPU.
        """
        for diagonal in (self.diagonal_of_row, self.diagonal_of_cell):
            block = torch.cat([torch.cat([block] * self.factor, 1)] * self.factor, 2) * diagonal
        return block

    def _repeat(self, x: Tensor) -> Tensor:
        return torch.cat([x] * self.factor, 3)


class PocketEnhance(nn.Module):
    """[1, H, W, 3], condition -> [1, H, W, 3]: the shoulder keeps it inside [0, 1], so nothing is left to clamp."""

    def __init__(self, generator: Pocket):
        super().__init__()
        self.generator = generator

    def forward(self, tile: Tensor, modulation: Tensor, matrix: Tensor, offset: Tensor) -> tuple[Tensor]:
        config = self.generator.config
        width, layers, f = config.channels, config.layers, config.factor
        _, height, across, _ = map(int, tile.shape)
        h, w, size = height // f, across // f, 3 * f * f
        cells = tile.reshape(h, f, w, 3 * f).permute(0, 2, 1, 3).reshape(1, h, w, size)
        x = channels_last(self.generator.down, cells)
        for k, convolution in enumerate(self.generator.body):
            gain = modulation[..., k * width : (k + 1) * width]
            shift = modulation[..., (layers + k) * width : (layers + k + 1) * width]
            x = x + channels_last(convolution, F.relu(x)) * gain + shift
        # Joined at rank 3: at rank 4 LiteRT's GPU takes the reshape as part of the product, and gives zeros.
        pixels = cells.reshape(1, h * w, size)
        colour = torch.bmm(torch.cat([pixels, pixels * pixels], 2), matrix).reshape(1, h, w, size)
        output = shouldered(colour + channels_last(self.generator.up, x) + offset, cells)
        return (output.reshape(h, w, f, 3 * f).permute(0, 2, 1, 3).reshape(1, height, across, 3),)
