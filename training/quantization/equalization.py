"""The same function in numbers that suit 8 bits: every channel gets the whole range of its tensor, nothing changes.

A range per tensor is as wide as its widest channel; the other ones use few of its levels. In Pocket, whatever a channel
is multiplied by or moved by before quantization can be taken back afterwards, in the modulation or in the next
convolution. (Nagel et al., ICCV 2019, section 4.1, between convolutions; here through a residual stream.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.generators.base import Generator
from training.generators.pocket import Pocket

LEAST_SPAN = 0.01  # of the widest channel's: a channel that hardly varies is not blown up further


@dataclass
class Spans:
    """Least and largest value of each channel, [C] each."""

    low: Tensor
    high: Tensor

    @property
    def middle(self) -> Tensor:
        return (self.low + self.high) / 2

    def scale(self, power: float) -> Tensor:
        """[C] that takes the spans to equal ones (power 1) or part of the way; their geometric mean stays."""
        span = self.high - self.low
        logarithms = span.clamp_min(float(span.max()) * LEAST_SPAN).clamp_min(1e-6).log() * power
        return (logarithms.mean() - logarithms).exp()


@torch.no_grad()
def equalize(generator: Generator, samples: Sequence[tuple[Tensor, Tensor]]) -> bool:
    """Rescale channels by the values that they take on the samples. False where no rule for the generator is known.

    Args:
        samples: (tile [N, 3, H, W], thumbnail [N, 3, t, t]), as varied as what the network will meet: a channel keeps
            room for all that these show, also when calibration shows less.
    """
    if not isinstance(generator, Pocket):
        return False

    def enhance_all() -> None:
        for tile, thumbnail in samples:
            generator.enhance(tile, *generator.analyze(thumbnail))

    # The residual stream is quantized in several places, early and late, for which equal spans are not the same:
    # the root of what equals the last ones was better than either end.
    stream = spans(generator.up, enhance_all, of_input=True).scale(power=0.5)
    scale_stream(generator, stream)
    for layer in range(generator.config.layers):
        of_output = spans(generator.body[layer], enhance_all)
        scale = of_output.scale(power=1.0)
        move_output(generator, layer, scale, -scale * of_output.middle)
    move_stream_end(generator, -spans(generator.up, enhance_all, of_input=True).middle)
    return True


@torch.no_grad()
def scale_stream(pocket: Pocket, scale: Tensor) -> None:
    """x -> scale x for the residual stream between `down` and `up`; scale [C] > 0."""
    pocket.down.weight.mul_(_per_output(scale))
    _bias(pocket.down).mul_(scale)
    for layer, convolution in enumerate(pocket.body):
        convolution.weight.div_(_per_input(scale))  # type: ignore[operator]
        gain, shift, _ = _rows(pocket, layer)
        head = pocket.analyser.head
        _bias(head)[gain] += scale.log()
        head.weight[shift] *= _per_output(scale)
        _bias(head)[shift] *= scale
    pocket.up.weight.div_(_per_input(scale))


@torch.no_grad()
def move_output(pocket: Pocket, layer: int, scale: Tensor, offset: Tensor) -> None:
    """o -> scale o + offset for the output of a body convolution; scale [C] > 0, offset [C].

    The stream gets gain (o - centre) + shift, where the analyser's head makes all three: the gain loses what the
    scale brought, the centre goes along.
    """
    convolution = pocket.body[layer]
    assert isinstance(convolution, nn.Conv2d)
    convolution.weight.mul_(_per_output(scale))
    _bias(convolution).mul_(scale).add_(offset)
    gain, _, centre = _rows(pocket, layer)
    head = pocket.analyser.head
    _bias(head)[gain] -= scale.log()
    head.weight[centre] *= _per_output(scale)
    _bias(head)[centre] = _bias(head)[centre] * scale + offset


@torch.no_grad()
def move_stream_end(pocket: Pocket, offset: Tensor) -> None:
    """x -> x + offset for what `up` is given; offset [C]."""
    _, shift, _ = _rows(pocket, pocket.config.layers - 1)
    _bias(pocket.analyser.head)[shift] += offset
    _bias(pocket.up).sub_(pocket.up.weight[:, :, 0, 0] @ offset)


def _rows(pocket: Pocket, layer: int) -> tuple[slice, slice, slice]:
    """Outputs of the analyser's head that are logarithm of gain, shift and centre of a layer."""
    width, total = pocket.config.channels, pocket.analyser.modulations
    gain, shift, centre = (slice(k * total + layer * width, k * total + (layer + 1) * width) for k in range(3))
    return gain, shift, centre


def _bias(convolution: nn.Conv2d) -> Tensor:
    assert convolution.bias is not None
    return convolution.bias


def _per_output(scale: Tensor) -> Tensor:
    return scale.reshape(-1, 1, 1, 1)


def _per_input(scale: Tensor) -> Tensor:
    return scale.reshape(1, -1, 1, 1)


def spans(module: nn.Module, run: Callable[[], object], of_input: bool = False) -> Spans:
    """What the channels of a module's output, or of its input, take on while `run` calls it."""
    lowest: list[Tensor] = []
    highest: list[Tensor] = []

    def see(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        x = given[0] if of_input else made
        lowest.append(x.amin((0, 2, 3)))
        highest.append(x.amax((0, 2, 3)))

    handle = module.register_forward_hook(see)
    run()
    handle.remove()
    return Spans(torch.stack(lowest).amin(0), torch.stack(highest).amax(0))
