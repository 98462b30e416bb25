"""Quantization imitated in float, in plain torch: what any backend's 8-bit convolutions do to a network.

Weights: symmetric, a scale per output channel. Activations: input and output of each convolution, affine, a range per
tensor. (Jacob et al., CVPR 2018, section 3.) Rounding passes gradients on as they are (Bengio et al. 2013), so that a
network can learn to bear it; what is then saved is the ordinary float network. Ranges of the batch have gradients as
well, so that a network can learn to need narrower ones (Esser et al., ICLR 2020, equation 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from training.generators.base import Generator

LEAST_RANGE = 1e-12


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
    largest = weight.detach().abs().amax(tuple(range(1, weight.ndim)), keepdim=True)
    scale = largest.clamp_min(LEAST_RANGE) / most
    return _round(weight / scale).clamp(-most, most) * scale


@torch.no_grad()
def put_on_grid(network: nn.Module, bits: int = 8) -> None:
    """Kernels of convolutions become what `bits` hold of them; who then stores them in `bits` loses nothing.

    Of every convolution, also of those that compute in float: of a kernel it is the storing that costs, and an error in
    what is decided once for a photo shifts the colours of all of it.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.copy_(quantize_weight(module.weight, bits))


def quantize_activation(x: Tensor, low: Tensor, high: Tensor, bits: int) -> Tensor:
    """On 2^bits levels from about low <= 0 to about high >= 0, zero among them; what lies outside is clamped."""
    scale = (high - low).clamp_min(LEAST_RANGE) / (2**bits - 1)
    zero = (low / scale).detach().round()
    return _round(x / scale).clamp(zero, zero + 2**bits - 1) * scale


@dataclass
class Range:
    """Values that a tensor takes, zero always among them."""

    low: float = 0.0
    high: float = 0.0

    def see(self, x: Tensor) -> None:
        self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))

    def quantize(self, x: Tensor, bits: int) -> Tensor:
        return quantize_activation(x, x.new_tensor(self.low), x.new_tensor(self.high), bits)


# float: nothing is quantized. observe: weights are, activations pass and their ranges grow. calibrated: activations are
# quantized in the ranges that were observed. batch: in the range of the very tensor, through which gradients flow.
Mode = Literal["float", "observe", "calibrated", "batch"]


@dataclass
class FakeQuantization:
    """What the convolutions do now, and the ranges observed so far, by convolution."""

    weight_bits: int
    activation_bits: int | None
    mode: Mode = "observe"
    inputs: dict[str, Range] = field(default_factory=dict)
    outputs: dict[str, Range] = field(default_factory=dict)

    def convolve(self, name: str, convolution: nn.Conv2d, x: Tensor) -> Tensor:
        weight = convolution.weight if self.mode == "float" else quantize_weight(convolution.weight, self.weight_bits)
        made = convolution._conv_forward(self._activation(self.inputs, name, x), weight, convolution.bias)
        return self._activation(self.outputs, name, made)

    def _activation(self, ranges: dict[str, Range], name: str, x: Tensor) -> Tensor:
        if self.activation_bits is None or self.mode == "float":
            return x
        if self.mode == "observe":
            ranges.setdefault(name, Range()).see(x.detach())
            return x
        if self.mode == "batch":
            return quantize_activation(x, x.amin().clamp_max(0), x.amax().clamp_min(0), self.activation_bits)
        return ranges[name].quantize(x, self.activation_bits)


@contextmanager
def fake_quantized(
    network: nn.Module, layers: Sequence[str], weight_bits: int = 8, activation_bits: int | None = 8
) -> Iterator[FakeQuantization]:
    """Inside the block the named convolutions of `network` compute as if quantized; afterwards it is as before.

    It starts in mode "observe"; run samples, then set "calibrated". Weights may be trained inside the block.

    Args:
        activation_bits: None leaves activations float.

    Raises:
        AttributeError: no such layer; KeyError, from the network: "calibrated" before anything was observed.
    """
    state = FakeQuantization(weight_bits, activation_bits)
    convolutions = {name: network.get_submodule(name) for name in layers}
    try:
        for name, convolution in convolutions.items():
            assert isinstance(convolution, nn.Conv2d)
            convolution.forward = partial(state.convolve, name, convolution)  # type: ignore[method-assign]
        yield state
    finally:
        for convolution in convolutions.values():
            vars(convolution).pop("forward", None)


@torch.no_grad()
def convolutions_of_enhance(generator: Generator) -> tuple[str, ...]:
    """Names of the convolutions that `enhance` runs, in their order."""
    ran: list[str] = []
    handles = [
        module.register_forward_hook(lambda module, given, made, name=name: ran.append(name))
        for name, module in generator.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    parameter = next(generator.parameters())
    thumbnail = parameter.new_full((1, 3, generator.thumbnail_px, generator.thumbnail_px), 0.5)
    condition = generator.analyze(thumbnail)
    ran.clear()
    side = 2 * generator.tiling.halo + generator.tiling.align
    generator.enhance(parameter.new_full((1, 3, side, side), 0.5), *condition)
    for handle in handles:
        handle.remove()
    return tuple(dict.fromkeys(ran))
