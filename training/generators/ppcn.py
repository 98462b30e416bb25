"""PPCN (Hui et al., PIRM 2018 challenge): the best published small networks on this data, as peers for tables.

The structure is what the published weights imply. Student 2,624 and teacher 21,504 MAC per pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.generators.statistics import Contrast, InstanceNorm, Normalize, StatisticsGenerator
from training.tiling import Tiling


@dataclass(frozen=True)
class PpcnConfig:
    thumbnail_px: int = 256


def _convolution(inputs: int, outputs: int, kernel: tuple[int, int], dilation: int = 1) -> nn.Conv2d:
    padding = (kernel[0] // 2 * dilation, kernel[1] // 2 * dilation)
    return nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation)


def _lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.05)


class _Ppcn(StatisticsGenerator):
    """Norm 0 is the input contrast; `convolutions[k]` and the other norms are numbered as published."""

    def __init__(self, config: PpcnConfig | None, convolutions: list[nn.Conv2d], norm_channels: list[int]):
        config = config or PpcnConfig()
        super().__init__(config)
        self.convolutions = nn.ModuleList(convolutions)
        self.norms = nn.ModuleList([Contrast(), *(InstanceNorm(n) for n in norm_channels)])
        self.thumbnail_px = config.thumbnail_px
        self.tiling = Tiling(halo=10, align=1, border="shift")  # both have a receptive radius of 10


class PpcnStudent(_Ppcn):
    name = "ppcn_student"

    def __init__(self, config: PpcnConfig | None = None):
        convolutions = [
            _convolution(3, 8, (1, 7)),
            _convolution(8, 8, (7, 1)),
            _convolution(8, 16, (1, 7), dilation=2),
            _convolution(16, 8, (7, 1), dilation=2),
            _convolution(8, 3, (3, 3)),
        ]
        super().__init__(config, convolutions, norm_channels=[16, 8])

    def layers(self, x: Tensor, normalize: Normalize) -> Tensor:
        w = self.convolutions
        x = _lrelu(w[0](normalize(0, x)))
        c1 = _lrelu(w[1](x))
        x = _lrelu(normalize(1, w[2](c1)))
        x = _lrelu(normalize(2, w[3](x))) + c1
        return torch.tanh(w[4](x)) * 0.58 + 0.5


class PpcnTeacher(_Ppcn):
    name = "ppcn_teacher"

    def __init__(self, config: PpcnConfig | None = None):
        convolutions = [
            _convolution(3, 16, (1, 7)),
            _convolution(16, 16, (7, 1)),
            _convolution(16, 32, (3, 3)),
            _convolution(32, 16, (3, 3)),
            _convolution(16, 32, (3, 3), dilation=2),
            _convolution(32, 16, (3, 3), dilation=2),
            _convolution(32, 16, (1, 1)),
            _convolution(16, 3, (3, 3)),
        ]
        super().__init__(config, convolutions, norm_channels=[32, 16, 32, 16])

    def layers(self, x: Tensor, normalize: Normalize) -> Tensor:
        w = self.convolutions
        x = _lrelu(w[0](normalize(0, x)))
        c1 = _lrelu(w[1](x))
        x = _lrelu(normalize(1, w[2](c1)))
        c3 = normalize(2, w[3](x)) + c1
        x = _lrelu(normalize(3, w[4](c3)))
        c5 = normalize(4, w[5](x)) + c3
        x = _lrelu(w[6](torch.cat([c3, c5], 1)))
        return torch.tanh(w[7](x)) * 0.58 + 0.5
