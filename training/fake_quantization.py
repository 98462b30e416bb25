"""Quantization imitated in float, in plain torch: what any backend's 8-bit convolutions do to a network.

Weights: symmetric, a scale per output channel. Activations: input and output of each convolution, affine, a range per
tensor. Rounding passes gradients on as they are (Bengio et al. 2013), so that a network can learn to bear it; what is
then saved is the ordinary float network. (Jacob et al., CVPR 2018, section 3.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0]


def _round(x: Tensor) -> Tensor:
    return _Round.apply(x)  # type: ignore[no-untyped-call, no-any-return]


def quantize_weight(weight: Tensor, bits: int) -> Tensor:
    """[O, ...] -> the same, on 2^bits - 1 levels, symmetric about zero, per output channel."""
    most = 2 ** (bits - 1) - 1
    scale = weight.detach().abs().amax(tuple(range(1, weight.ndim)), keepdim=True).clamp_min(1e-12) / most
    return _round(weight / scale).clamp(-most, most) * scale


@dataclass
class Range:
    """Values that a tensor takes, zero always among them."""

    low: float = 0.0
    high: float = 0.0

    def see(self, x: Tensor) -> None:
        self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))

    def quantize(self, x: Tensor, bits: int) -> Tensor:
        """On 2^bits levels of the range; what lies outside is clamped."""
        scale = max(self.high - self.low, 1e-12) / (2**bits - 1)
        zero = round(self.low / scale)
        return (_round(x / scale).clamp(zero, zero + 2**bits - 1)) * scale


class _Weight(nn.Module):
    def __init__(self, bits: int):
        super().__init__()
        self.bits = bits

    def forward(self, weight: Tensor) -> Tensor:
        return quantize_weight(weight, self.bits)


@dataclass
class FakeQuantization:
    """Ranges by convolution. While `observing`, they grow and activations pass as they are."""

    bits: int | None
    observing: bool = False
    inputs: dict[str, Range] = field(default_factory=dict)
    outputs: dict[str, Range] = field(default_factory=dict)

    def _pass(self, ranges: dict[str, Range], name: str, x: Tensor) -> Tensor:
        if self.bits is None:
            return x
        if self.observing:
            ranges.setdefault(name, Range()).see(x.detach())
            return x
        return ranges[name].quantize(x, self.bits)


@contextmanager
def fake_quantized(
    network: nn.Module, layers: Sequence[str], weight_bits: int = 8, activation_bits: int | None = 8
) -> Iterator[FakeQuantization]:
    """Inside the block the named convolutions of `network` compute as if quantized; afterwards it is as before.

    Set `observing` and run samples first: activations need ranges. Weights may be trained inside the block.

    Args:
        activation_bits: None leaves activations float.
    """
    state = FakeQuantization(activation_bits)
    handles = []
    for name in layers:
        convolution = network.get_submodule(name)
        parametrize.register_parametrization(convolution, "weight", _Weight(weight_bits))
        handles += [
            convolution.register_forward_pre_hook(
                lambda module, given, name=name: (state._pass(state.inputs, name, given[0]),)
            ),
            convolution.register_forward_hook(
                lambda module, given, made, name=name: state._pass(state.outputs, name, made)
            ),
        ]
    try:
        yield state
    finally:
        for handle in handles:
            handle.remove()
        for name in layers:
            parametrize.remove_parametrizations(network.get_submodule(name), "weight", leave_parametrized=False)
