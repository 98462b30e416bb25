"""Convolutions in float16, all else in float32: weights take half the room, and colours are not rounded.

A processor that computes float16 as such (ARM's since 2018, x86 with AVX-512 FP16) rounds every sum to 11 bits. What
Pocket's colour transform and shoulder lose that way is seen on every photo, and in float32 they cost no more time.
Kernels of one pixel stay float32, too: in analyze they decide the tone of the whole photo.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


@torch.library.custom_op("pocket_dslr::to_half", mutates_args=())
def to_half(x: Tensor) -> Tensor:
    """A cast that XNNPACK's delegate takes (`delegate.py`), which leaves those of torch outside."""
    return x.half()


@torch.library.custom_op("pocket_dslr::to_float", mutates_args=())
def to_float(x: Tensor) -> Tensor:
    """The way back."""
    return x.float()


@to_half.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x, dtype=torch.float16)


@to_float.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x, dtype=torch.float32)


class HalfConvolution(nn.Module):
    """A convolution in float16 between tensors in float32."""

    def __init__(self, convolution: nn.Conv2d):
        super().__init__()
        self.convolution = copy.deepcopy(convolution).half()

    def forward(self, x: Tensor) -> Tensor:
        return to_float(self.convolution(to_half(x)))  # type: ignore[no-any-return]


def with_half_convolutions(module: nn.Module) -> nn.Module:
    """A copy of a module whose convolutions are computed in float16, but for kernels of one pixel."""
    changed = copy.deepcopy(module)
    for name, convolution in module.named_modules():
        if isinstance(convolution, nn.Conv2d) and convolution.kernel_size != (1, 1):
            changed.set_submodule(name, HalfConvolution(convolution))
    return changed
