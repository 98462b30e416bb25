"""The generator of DPED: "DSLR-Quality Photos on Mobile Devices" (Ignatov et al., ICCV 2017), section 3.2.

12 convolutions, 401,475 parameters, 399,744 MAC per pixel. The paper names batch normalization; the authors'
code and published weights use instance norm, and so does this.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.generators.statistics import InstanceNorm, Normalize, StatisticsGenerator
from training.tiling import Tiling


@dataclass(frozen=True)
class DpedConfig:
    channels: int = 64
    blocks: int = 4
    thumbnail_px: int = 256


class Dped(StatisticsGenerator):
    """9x9 convolution, residual blocks of two 3x3 with instance norm, two 3x3, 9x9, tanh."""

    name = "dped"

    def __init__(self, config: DpedConfig | None = None):
        config = config or DpedConfig()
        super().__init__(config)
        width = config.channels
        self.head = nn.Conv2d(3, width, 9, padding=4)
        self.body = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2 * config.blocks))
        self.norms = nn.ModuleList(InstanceNorm(width) for _ in range(2 * config.blocks))
        self.post = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.tail = nn.Conv2d(width, 3, 9, padding=4)
        self.thumbnail_px = config.thumbnail_px
        # Receptive radius: 4 + 1 per 3x3 + 4.
        self.tiling = Tiling(halo=4 + 2 * config.blocks + 2 + 4, align=1, border="shift")
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The authors' initialization: truncated normal of deviation 0.01, bias 0.01."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.01, a=-0.02, b=0.02)
                nn.init.constant_(module.bias, 0.01)  # type: ignore[arg-type]

    def layers(self, x: Tensor, normalize: Normalize) -> Tensor:
        x = F.relu(self.head(x))
        for k in range(0, len(self.body), 2):
            inner = F.relu(normalize(k, self.body[k](x)))
            x = F.relu(normalize(k + 1, self.body[k + 1](inner))) + x  # skip after the second ReLU
        for convolution in self.post:
            x = F.relu(convolution(x))
        return torch.tanh(self.tail(x)) * 0.58 + 0.5
