"""The preview is the network's own colour transform, and moves smoothly from one condition to the next."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conversion.contract.preview import TIME_CONSTANT_S, ColourTransform
from training import generators
from training.enhancer import TorchEngine, from_planes
from training.generators.pocket import Pocket, shouldered


def drawn(seed: int) -> ColourTransform:
    random = np.random.default_rng(seed)
    parts = (random.standard_normal(shape).astype(np.float32) for shape in ((3, 3), (3, 3), (3,)))
    return ColourTransform(*parts)


@pytest.mark.parametrize("factor", [2, 4])
def test_it_is_what_the_network_does_without_its_convolutions(factor: int) -> None:
    torch.manual_seed(0)
    generator = generators.build("pocket", {"factor": factor, "channels": 8, "layers": 1})
    assert isinstance(generator, Pocket)
    with torch.no_grad():
        generator.analyser.head.bias.normal_(0, 0.3)  # type: ignore[union-attr]
    engine = TorchEngine(generator.eval())
    condition = engine.analyze(np.random.default_rng(1).random((1, 3, 64, 64), np.float32))
    tile = np.random.default_rng(2).random((1, 3, 16, 16), np.float32)
    expected = from_planes(engine.enhance(tile, condition))  # `up` of a new network is zero: colours alone
    preview = ColourTransform.of([np.asarray(part) for part in condition])(from_planes(tile))
    np.testing.assert_allclose(preview, expected, atol=2e-6)


@given(st.integers(0, 2**31))
def test_its_shoulder_is_that_of_the_network(seed: int) -> None:
    pixels = np.random.default_rng(seed).random((20, 3), np.float32)
    transform = drawn(seed)
    output = pixels @ transform.linear + (pixels * pixels) @ transform.square + transform.offset
    expected = shouldered(torch.from_numpy(output), torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(transform(pixels), expected, atol=1e-6)
    assert transform(pixels).min() >= 0 and transform(pixels).max() <= 1


@given(st.integers(0, 2**31), st.floats(0, 2), st.floats(0, 2))
def test_smoothing_in_two_steps_is_smoothing_in_one(seed: int, first_s: float, second_s: float) -> None:
    shown, seen = drawn(seed), drawn(seed + 1)
    twice = shown.towards(seen, first_s).towards(seen, second_s)
    np.testing.assert_allclose(twice.linear, shown.towards(seen, first_s + second_s).linear, atol=1e-5)


def test_smoothing_starts_where_it_is_and_arrives() -> None:
    shown, seen = drawn(0), drawn(1)
    np.testing.assert_array_equal(shown.towards(seen, 0.0).offset, shown.offset)
    np.testing.assert_allclose(shown.towards(seen, 20 * TIME_CONSTANT_S).square, seen.square, atol=1e-6)


def test_a_condition_of_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match="condition of Pocket"):
        ColourTransform.of([np.zeros((1, 1024, 1, 1), np.float32)])
