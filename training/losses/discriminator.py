"""The texture critic of DPED (section 3.1.2): is this grey 100x100 patch a DSLR's or an enhanced one?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PATCH_PX = 100
_EPSILON = 1e-3
_GREY = (0.2989, 0.5870, 0.1140)


class _SameConvolution(nn.Conv2d):
    """TensorFlow's SAME padding: output ceil(size / stride), the odd pixel of padding after the image."""

    def forward(self, x: Tensor) -> Tensor:
        pad: list[int] = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pad += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pad))


class Discriminator(nn.Module):
    """Five convolutions with leaky ReLU 0.2 and then instance norm (not after the first), two dense layers."""

    grey: Tensor

    def __init__(self) -> None:
        super().__init__()
        shapes = [(1, 48, 11, 4), (48, 128, 5, 2), (128, 192, 3, 1), (192, 192, 3, 1), (192, 128, 3, 2)]
        self.convolutions = nn.ModuleList(_SameConvolution(a, b, k, stride=s) for a, b, k, s in shapes)
        self.norms = nn.ModuleList(nn.InstanceNorm2d(b, eps=_EPSILON, affine=True) for _, b, _, _ in shapes[1:])
        self.hidden = nn.Linear(128 * 7 * 7, 1024)
        self.output = nn.Linear(1024, 2)
        self.register_buffer("grey", torch.tensor(_GREY).view(1, 3, 1, 1), persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.01, a=-0.02, b=0.02)
                nn.init.constant_(module.bias, 0.01)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """RGB patches [N, 3, 100, 100] in [0, 1] -> logits [N, 2]: column 0 "DSLR", column 1 "enhanced"."""
        if images.shape[2:] != (PATCH_PX, PATCH_PX):
            raise ValueError(f"the discriminator sees {PATCH_PX}x{PATCH_PX} patches, not {list(images.shape[2:])}")
        x = (images * self.grey).sum(1, keepdim=True)
        for k, convolution in enumerate(self.convolutions):
            x = F.leaky_relu(convolution(x), 0.2)
            if k:
                x = self.norms[k - 1](x)
        return self.output(F.leaky_relu(self.hidden(x.flatten(1)), 0.2))
