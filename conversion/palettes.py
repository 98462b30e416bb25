"""Kernels of few different numbers, and biases that make up for what these shift.

The palette of a kernel comes from k-means (Han et al., ICLR 2016, section 3). What a kernel's change adds on average is
its change times the average of its input, and the bias loses just that (Nagel et al., ICCV 2019, section 4.2): without
this, colours of whole photos shift.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from conversion.calibration import Sample
from training.generators.base import Generator

ITERATIONS = 60


@torch.no_grad()
def with_palettes(generator: Generator, bits: Mapping[str, int], samples: Sequence[Sample]) -> Generator:
    """A copy in which the kernel of each named convolution has at most 2^bits different values, biases corrected."""
    means = _mean_inputs(generator, list(bits), samples)
    made = copy.deepcopy(generator)
    for layer, count in bits.items():
        convolution = cast(nn.Conv2d, made.get_submodule(layer))
        before = convolution.weight.clone()
        convolution.weight.copy_(nearest(before, palette(before.numpy(), 2**count)))
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


def nearest(kernel: Tensor, centres: npt.NDArray[np.float64]) -> Tensor:
    at = np.searchsorted((centres[1:] + centres[:-1]) / 2, kernel.numpy())
    return torch.from_numpy(centres[at].astype(np.float32))


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
