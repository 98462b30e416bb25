"""Kernels of few different numbers, and what keeps colours where they are.

The palette of a kernel comes from k-means (Han et al., ICLR 2016, section 3). Three things keep colours of whole
photos from shifting. Where the modulation can multiply an output again, its part of the kernel is taken relative to its
largest number, so that all outputs use the whole palette. Rounding carries its error from tap to tap of an input, as
error diffusion does from pixel to pixel (Floyd and Steinberg, 1976), so that their sum, which is what flat areas see,
stays. And what is left on average is taken from the bias (Nagel et al., ICCV 2019, section 4.2).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from conversion.calibration import Sample
from training.generators.base import Generator
from training.generators.pocket import Pocket

ITERATIONS = 60


@dataclass(frozen=True)
class Palettized:
    """A generator whose named kernels have few values, and what to multiply outputs of its layers by, [C] per layer."""

    generator: Generator
    scales: dict[str, Tensor] = field(default_factory=dict)


@torch.no_grad()
def with_palettes(generator: Generator, bits: Mapping[str, int], samples: Sequence[Sample]) -> Palettized:
    """A copy in which the kernel of each named convolution has at most 2^bits different values."""
    means = _mean_inputs(generator, list(bits), samples)
    made = Palettized(copy.deepcopy(generator))
    for layer, count in bits.items():
        convolution = cast(nn.Conv2d, made.generator.get_submodule(layer))
        if isinstance(generator, Pocket) and layer.startswith("body."):
            largest = convolution.weight.abs().amax((1, 2, 3))
            made.scales[layer] = scale = torch.where(largest > 0, largest, 1)
            convolution.weight /= scale.reshape(-1, 1, 1, 1)
            convolution.bias /= scale  # type: ignore[operator, arg-type]
        before = convolution.weight.clone()
        convolution.weight.copy_(rounded(before, palette(before.numpy(), 2**count)))
        if convolution.bias is not None:
            added = (convolution.weight - before) * means[layer].reshape(1, -1, 1, 1)
            convolution.bias -= added.sum((1, 2, 3))
    return made


def palette(kernel: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float64]:
    """At most `size` values, ascending, near those of the kernel: Lloyd's k-means in one dimension."""
    values = np.sort(kernel.astype(np.float64), axis=None)
    places = (np.arange(size) + 0.5) / size
    # From half way between equal shares of the values and equal steps between their ends: both alone leave gaps.
    centres = (np.quantile(values, places) + values[0] + (values[-1] - values[0]) * places) / 2
    for _ in range(ITERATIONS):
        nearest_of = np.searchsorted((centres[1:] + centres[:-1]) / 2, values)
        sums, counts = np.bincount(nearest_of, values, size), np.bincount(nearest_of, minlength=size)
        centres = np.sort(np.where(counts > 0, sums / np.maximum(counts, 1), centres))
    return centres


def rounded(kernel: Tensor, centres: npt.NDArray[np.float64]) -> Tensor:
    """[out, in, height, width] in values of the palette; sums over height and width are those of the kernel, nearly."""
    taps = kernel.numpy().reshape(*kernel.shape[:2], -1)
    made, error = np.empty_like(taps), np.zeros(taps.shape[:2])
    for at in range(taps.shape[2]):
        wanted = taps[:, :, at] + error
        made[:, :, at] = centres[np.searchsorted((centres[1:] + centres[:-1]) / 2, wanted)]
        error = wanted - made[:, :, at]
    return torch.from_numpy(made.reshape(kernel.shape))


def _mean_inputs(generator: Generator, layers: Sequence[str], samples: Sequence[Sample]) -> dict[str, Tensor]:
    """Layer -> mean of each channel of its input, [C], over all samples."""
    seen: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    handles = [
        generator.get_submodule(layer).register_forward_pre_hook(
            lambda module, given, layer=layer: seen[layer].append(given[0].mean((0, 2, 3)))
        )
        for layer in layers
    ]
    for sample in samples:
        generator.enhance(sample.tile, *sample.condition)
    for handle in handles:
        handle.remove()
    return {layer: torch.stack(means).mean(0) for layer, means in seen.items()}
