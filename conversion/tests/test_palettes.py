"""Palettes: how many values, how near, and biases without which colours shift."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from conversion.calibration import calibrate
from conversion.palettes import palette, with_palettes
from training.checkpoint import Checkpoint


@pytest.mark.parametrize("size", [4, 16, 64])
def test_a_palette_beats_equal_steps(size: int) -> None:
    kernel = np.random.default_rng(size).standard_normal((8, 4, 3, 3)).astype(np.float32)
    steps = np.linspace(kernel.min(), kernel.max(), size)
    by_palette, by_steps = (
        (np.abs(kernel[..., None] - values).min(-1) ** 2).mean() for values in (palette(kernel, size), steps)
    )
    assert by_palette < 0.9 * by_steps


def test_few_values_are_kept_exactly() -> None:
    kernel = np.array([-1.0, 0.0, 0.25, 3.0], np.float32)[np.arange(36) % 4].reshape(1, 4, 3, 3)
    assert set(np.unique(kernel)) <= set(palette(kernel, 16).astype(np.float32))


@torch.no_grad()
def test_biases_take_back_what_kernels_shift(make_checkpoint: Callable[..., Checkpoint]) -> None:
    generator = make_checkpoint("pocket").generator
    kernels = {name: value.clone() for name, value in generator.named_parameters()}
    photos = [(np.random.default_rng(k).random((70, 70, 3)) * 255).astype(np.uint8) for k in range(3)]
    samples = calibrate(photos, generator, 64).samples
    bits = {"body.0": 3, "body.1": 3}
    made = with_palettes(generator, bits, samples)
    for layer in bits:
        assert len(made.get_submodule(layer).weight.unique()) <= 8
    assert all(torch.equal(kernels[name], value) for name, value in generator.named_parameters())
    uncorrected = with_palettes(generator, bits, samples)
    for layer in bits:
        uncorrected.get_submodule(layer).bias.copy_(generator.get_submodule(layer).bias)

    def shift(network: torch.nn.Module) -> float:
        errors = [network.enhance(s.tile, *s.condition) - generator.enhance(s.tile, *s.condition) for s in samples]
        return max(float(error.mean((0, 2, 3)).abs().max()) for error in errors)

    assert shift(made) < 0.5 * shift(uncorrected)
