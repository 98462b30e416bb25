"""The Pocket generator for Core ML: the arithmetic of training/generators/pocket.py in fewer operators.

Only order and grouping differ: one `split` for many slices, one logarithm of all variances, one product for the colour
matrices. An operator takes a hundred bytes of a package that is to stay small.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.generators.base import Condition
from training.generators.pocket import COLOUR_TERMS, Pocket, depth_to_space, shouldered, space_to_depth


def _mean(x: Tensor) -> Tensor:
    return x.mean((2, 3), keepdim=True)


class PocketAnalyze(nn.Module):
    """Thumbnail [1, 3, t, t] -> the condition, as `Pocket.analyze`."""

    def __init__(self, generator: Pocket):
        super().__init__()
        analyser = generator.analyser
        self.down, self.same, self.hidden = analyser.down, analyser.same, analyser.hidden
        self.cells, self.modulations = generator.config.factor**2, analyser.modulations
        self.eye = torch.eye(self.cells).reshape(1, self.cells, 1, self.cells, 1)
        # Here all means come first, then the logarithms of all variances.
        means, logarithms, at = [0, 1, 2], [3, 4, 5, 6], 7
        for width in (len(bias) for name, bias in analyser.same.named_parameters() if name.endswith("bias")):
            means += range(at, at + width)
            logarithms += range(at + width, at + 2 * width)
            at += 2 * width
        self.pooled, self.head = copy.deepcopy(analyser.pooled), copy.deepcopy(analyser.head)
        with torch.no_grad():
            self.pooled.weight.copy_(analyser.pooled.weight[:, means + logarithms])
            self.head.bias[-COLOUR_TERMS:][:9] += torch.eye(3).flatten()  # type: ignore[index]

    def forward(self, thumbnail: Tensor) -> Condition:
        mean = _mean(thumbnail)
        centred = thumbnail - mean
        variance = _mean(centred * centred)
        contrast = variance.mean(1, keepdim=True)
        x = torch.cat([thumbnail, centred * (torch.rsqrt(contrast + 1e-3) * 0.5)], 1)
        means, variances = [mean * 2.0 - 1.0], [variance, contrast]
        for down, same in zip(self.down, self.same, strict=True):
            x = F.relu(down(x))
            x = x + F.relu(same(x))
            at = _mean(x)
            means.append(at)
            variances.append(_mean((x - at) * (x - at)))
        logarithms = torch.log(torch.cat(variances, 1) + 1e-4) * 0.25 + 1.0
        x = F.relu(self.pooled(torch.cat([*means, logarithms], 1)))
        x = self.head(x + F.relu(self.hidden(x)))

        m, size = self.modulations, 3 * self.cells
        gain, shift, pivot, linear, square, offset, centre = x.split([m, m, m, 9, 9, 3, 3], 1)
        gain = torch.exp(gain)
        moved = torch.bmm((centre + mean).reshape(1, 1, 3), linear.reshape(1, 3, 3)).reshape(1, 3, 1, 1)
        matrix = (torch.cat([linear, square], 1).reshape(2, 1, 3, 1, 3) * self.eye).reshape(1, 2 * size, size)
        offset = (offset + mean - moved).repeat(1, self.cells, 1, 1)
        return torch.cat([gain, shift - gain * pivot], 1), matrix, offset


class PocketEnhance(nn.Module):
    """As `Pocket.enhance`, clamped to [0, 1]; with `scales` of `palettes.Palettized`, on its generator."""

    def __init__(self, generator: Pocket, scales: Mapping[str, Tensor] | None = None):
        super().__init__()
        self.scales = [(scales or {}).get(f"body.{layer}") for layer in range(len(generator.body))]
        self.down, self.body, self.up, self.factor = (
            generator.down,
            generator.body,
            generator.up,
            generator.config.factor,
        )

    def forward(self, tile: Tensor, modulation: Tensor, matrix: Tensor, offset: Tensor) -> tuple[Tensor]:
        cells = space_to_depth(tile, self.factor)
        x = self.down(cells)
        parts = modulation.chunk(2 * len(self.body), 1)
        gains, shifts = parts[: len(self.body)], parts[len(self.body) :]
        for convolution, gain, shift, scale in zip(self.body, gains, shifts, self.scales, strict=True):
            if scale is not None:
                gain = gain * scale.reshape(1, -1, 1, 1)
            x = x + convolution(F.relu(x)) * gain + shift
        n, size, h, w = map(int, cells.shape)
        basis = torch.cat([cells, cells * cells], 1).permute(0, 2, 3, 1).reshape(n, h * w, 2 * size)
        colour = torch.bmm(basis, matrix).reshape(n, h, w, size).permute(0, 3, 1, 2)
        output = shouldered(colour + self.up(x) + offset, cells).clamp(0, 1)
        return (depth_to_space(output, self.factor),)
