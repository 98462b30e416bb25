"""Rescaled channels: the same function, equal spans."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from training import generators
from training.generators.pocket import Pocket
from training.quantization.equalization import equalize, move_output, move_stream_end, scale_stream

few = settings(max_examples=20, deadline=None)
CONFIG = {"channels": 6, "layers": 3, "thumbnail_px": 16, "analyser_channels": 2, "hidden": 8}


def lively(seed: int = 0) -> Pocket:
    torch.manual_seed(seed)
    pocket = generators.build("pocket", CONFIG).eval()
    assert isinstance(pocket, Pocket)
    with torch.no_grad():
        for parameter in pocket.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return pocket


def drawn(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, 3, 32, 32, generator=generator), torch.rand(2, 3, 16, 16, generator=generator)


def answer(pocket: Pocket, seed: int = 99) -> Tensor:
    tile, thumbnail = drawn(seed)
    with torch.no_grad():
        return pocket.enhance(tile, *pocket.analyze(thumbnail))


@few
@given(st.integers(0, 2**16), st.floats(0.05, 20), st.floats(-3, 3))
def test_each_transform_preserves_the_function(seed: int, scale: float, offset: float) -> None:
    pocket, factors = lively(seed), torch.linspace(1, scale, 6)
    offsets = torch.linspace(-1, offset, 6)
    before = answer(pocket)
    for change in (
        lambda: scale_stream(pocket, factors),
        lambda: move_output(pocket, seed % 3, factors, offsets),
        lambda: move_stream_end(pocket, offsets),
    ):
        change()
        torch.testing.assert_close(answer(pocket), before, atol=2e-5, rtol=0)


def test_channels_use_the_whole_range_afterwards() -> None:
    pocket = lively()
    with torch.no_grad():
        pocket.body[1].weight[2] *= 30
    samples, before = [drawn(k) for k in range(4)], answer(pocket)
    assert equalize(pocket, samples)
    torch.testing.assert_close(answer(pocket), before, atol=2e-5, rtol=0)
    seen: list[Tensor] = []
    pocket.body[1].register_forward_hook(lambda module, given, made: seen.append(made))
    for tile, thumbnail in samples:
        with torch.no_grad():
            pocket.enhance(tile, *pocket.analyze(thumbnail))
    values = torch.cat(seen)
    low, high = values.amin((0, 2, 3)), values.amax((0, 2, 3))
    torch.testing.assert_close(high, high[:1].expand(6), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(low, -high, atol=1e-4, rtol=1e-4)


def test_what_is_not_pocket_stays_as_it_is() -> None:
    generator = generators.build("ppcn_student")
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    assert not equalize(generator, [])
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())


def test_a_silent_channel_does_no_harm() -> None:
    pocket = lively()
    with torch.no_grad():
        pocket.down.weight[0] = 0
        pocket.body[0].weight[3] = 0
    before = answer(pocket)
    equalize(pocket, [drawn(k) for k in range(2)])
    assert all(bool(torch.isfinite(tensor).all()) for tensor in pocket.state_dict().values())
    torch.testing.assert_close(answer(pocket), before, atol=2e-5, rtol=0)
