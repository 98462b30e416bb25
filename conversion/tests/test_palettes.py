"""Palettes: how many values, how near, and biases without which colours shift."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from conversion.backends.coreml.palettes import Palettized, palette, rounded, with_palettes
from conversion.backends.coreml.pocket import PocketEnhance
from conversion.calibration import Sample, calibrate
from training.checkpoint import Checkpoint
from training.generators.base import Generator
from training.generators.pocket import Pocket


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


def test_errors_of_rounding_cancel_within_a_kernel() -> None:
    kernel = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    centres = palette(kernel.numpy(), 16)
    made = rounded(kernel, centres)
    assert set(made.unique().tolist()) <= set(centres.astype(np.float32).tolist())
    nearest = torch.from_numpy(centres)[(kernel[..., None] - torch.from_numpy(centres)).abs().argmin(-1)]
    left, left_by_nearest = ((one - kernel).sum((2, 3)).square().mean() for one in (made, nearest))
    assert left < 0.5 * left_by_nearest


@pytest.fixture
def samples(make_checkpoint: Callable[..., Checkpoint]) -> tuple[Generator, Sequence[Sample]]:
    generator = make_checkpoint("pocket").generator
    photos = [(np.random.default_rng(k).random((70, 70, 3)) * 255).astype(np.uint8) for k in range(3)]
    return generator, calibrate(photos, generator, 64).samples


def enhance(made: Palettized, sample: Sample) -> torch.Tensor:
    assert isinstance(made.generator, Pocket)
    return PocketEnhance(made.generator, made.scales)(sample.tile, *sample.condition)[0]


@torch.no_grad()
def test_biases_take_back_what_kernels_shift(samples: tuple[Generator, Sequence[Sample]]) -> None:
    generator, calibration = samples
    kernels = {name: value.clone() for name, value in generator.named_parameters()}
    bits = {"body.0": 3, "body.1": 3}
    made = with_palettes(generator, bits, calibration)
    for layer in bits:
        weight = made.generator.get_submodule(layer).weight
        assert len(weight.unique()) <= 8 and weight.abs().max() <= 1
    assert all(torch.equal(kernels[name], value) for name, value in generator.named_parameters())
    uncorrected = with_palettes(generator, bits, calibration)
    for layer in bits:
        bias = generator.get_submodule(layer).bias / made.scales[layer]
        uncorrected.generator.get_submodule(layer).bias.copy_(bias)

    def shift(made: Palettized) -> float:
        errors = [enhance(made, s) - generator.enhance(s.tile, *s.condition).clamp(0, 1) for s in calibration]
        return max(float(error.mean((0, 2, 3)).abs().max()) for error in errors)

    assert shift(made) < 0.5 * shift(uncorrected)


@torch.no_grad()
def test_enough_values_change_nothing(samples: tuple[Generator, Sequence[Sample]]) -> None:
    """Outputs relative to their largest number, and the scales that bring them back, are the same function."""
    generator, calibration = samples
    generator.get_submodule("body.1").weight[0] = 0
    made = with_palettes(generator, {"body.0": 12, "body.1": 12}, calibration)
    for sample in calibration:
        wanted = generator.enhance(sample.tile, *sample.condition).clamp(0, 1)
        torch.testing.assert_close(enhance(made, sample), wanted, atol=1e-3, rtol=0)
