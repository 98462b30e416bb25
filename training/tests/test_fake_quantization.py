"""Imitated quantization: levels, zero, gradients, and a network that is afterwards what it was."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from training import generators
from training.quantization.fake_quantization import (
    Range,
    convolutions_of_enhance,
    fake_quantized,
    put_on_grid,
    quantize_activation,
    quantize_weight,
)

seeds, bits = st.integers(0, 2**16), st.integers(2, 8)
few = settings(max_examples=25, deadline=None)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1))


@few
@given(seeds, bits)
def test_weights_lie_on_symmetric_levels_of_their_channel(seed: int, bits: int) -> None:
    weight = drawn(seed, 5, 3, 3, 3) * torch.tensor([1e-3, 1.0, 50.0, 1.0, 0.0]).reshape(5, 1, 1, 1)
    made, most = quantize_weight(weight, bits), 2 ** (bits - 1) - 1
    step = weight.abs().amax((1, 2, 3), keepdim=True) / most
    levels = made / step.clamp_min(1e-12)
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)
    assert levels.abs().max() <= most + 1e-3
    assert ((made - weight).abs() <= step / 2 * 1.001).all()
    torch.testing.assert_close(quantize_weight(-weight, bits), -made)
    torch.testing.assert_close(quantize_weight(made, bits), made)


def test_kernels_on_the_grid_lose_nothing_in_8_bits_after_half_precision_either() -> None:
    plain, x = network(), drawn(1, 2, 3, 9, 9)
    exact = plain(x)
    put_on_grid(plain)
    assert 0 < (plain(x) - exact).abs().max() < 0.02
    kept = [plain[at].weight.detach().clone() for at in (0, 2)]
    for weight in kept:
        torch.testing.assert_close(quantize_weight(weight, 8), weight)
        step = weight.abs().amax((1, 2, 3), keepdim=True) / 127
        stored = weight.half().float()
        assert ((quantize_weight(stored, 8) - stored).abs() < 0.1 * step).all()
        torch.testing.assert_close((quantize_weight(stored, 8) / step).round(), (weight / step).round())


@few
@given(seeds, bits, st.floats(-9, 0), st.floats(0.01, 9))
def test_activations_lie_on_levels_among_which_is_zero(seed: int, bits: int, low: float, high: float) -> None:
    x = torch.cat([drawn(seed, 200) * 4, torch.zeros(1)])
    made, step = Range(low, high).quantize(x, bits), (high - low) / (2**bits - 1)
    assert made[-1] == 0
    assert len(made.unique()) <= 2**bits
    assert made.min() >= low - step and made.max() <= high + step
    inside = (x > low + step) & (x < high - step)
    assert ((made - x).abs()[inside] <= step / 2 * 1.001).all()
    torch.testing.assert_close(Range(low, high).quantize(made, bits), made)


def test_gradients_pass_rounding_and_stop_at_the_ends() -> None:
    weight = drawn(0, 4, 3, 3, 3).requires_grad_()
    quantize_weight(weight, 4).sum().backward()
    torch.testing.assert_close(weight.grad, torch.ones_like(weight))
    x = torch.tensor([-5.0, -0.3, 0.2, 0.7, 5.0], requires_grad=True)
    Range(-1, 1).quantize(x, 8).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0, 1, 1, 1, 0]


def test_the_gradient_of_a_range_tells_what_a_narrower_one_brings() -> None:
    x = drawn(0, 20_000).clamp(-2, 2)

    def error(width: Tensor) -> Tensor:
        return (quantize_activation(x, -width, width, 6) - x).square().mean()

    slopes = []
    for start in torch.linspace(3, 5, 101):
        width = start.clone().requires_grad_()
        error(width).backward()
        slopes.append(width.grad)
    risen = error(torch.tensor(5.0)) - error(torch.tensor(3.0))
    torch.testing.assert_close(torch.stack(slopes).mean() * 2, risen, rtol=0.1, atol=0)


def test_modes() -> None:
    x, layers = drawn(1, 2, 3, 9, 9), ["0", "2"]
    plain = network()
    exact = plain(x)
    with fake_quantized(plain, layers) as state:
        observed = plain(x)
        state.mode = "calibrated"
        calibrated = plain(x)
        state.mode = "batch"
        torch.testing.assert_close(plain(x), calibrated, atol=0.02, rtol=0)
        state.mode = "float"
        assert torch.equal(plain(x), exact)
    assert 0 < (observed - exact).abs().max() < (calibrated - exact).abs().max() < 0.1
    assert state.inputs["0"].high == x.max() and set(state.outputs) == set(layers)


def test_activations_stay_float_on_request() -> None:
    plain, x = network(), drawn(1, 1, 3, 9, 9)
    with fake_quantized(plain, ["0"], activation_bits=None):
        made = plain[0](x)
    plain[0].weight.data = quantize_weight(plain[0].weight.data, 8)
    assert torch.equal(made, plain[0](x))


@pytest.mark.parametrize("failing", [False, True])
def test_the_network_is_as_before_afterwards(failing: bool) -> None:
    plain, x = network(), drawn(1, 1, 3, 9, 9)
    before, parameters = plain(x), list(plain.parameters())
    state = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    try:
        with fake_quantized(plain, ["0", "2"]):
            plain(x)
            if failing:
                raise RuntimeError("in the block")
    except RuntimeError as error:
        assert failing and str(error) == "in the block"
    assert torch.equal(plain(x), before)
    assert list(plain.state_dict()) == list(state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in plain.state_dict().items())
    assert all(a is b for a, b in zip(plain.parameters(), parameters, strict=True))
    assert not any("forward" in vars(module) for module in plain.modules())


def test_an_unknown_layer_leaves_nothing_behind() -> None:
    plain = network()
    with pytest.raises(AttributeError), fake_quantized(plain, ["0", "absent"]):
        pass
    assert set(plain.state_dict()) == set(network().state_dict())


def test_training_in_the_block_trains_the_network() -> None:
    plain, x = network(), drawn(1, 1, 3, 9, 9)
    before = plain[0].weight.detach().clone()
    with fake_quantized(plain, ["0"]) as state:
        optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
        state.mode = "batch"
        plain(x).square().mean().backward()
        optimizer.step()
    assert not torch.equal(plain[0].weight, before)


def test_convolutions_of_enhance() -> None:
    pocket = generators.build("pocket", {"channels": 4, "layers": 2, "thumbnail_px": 16, "analyser_channels": 2})
    assert convolutions_of_enhance(pocket) == ("down", "body.0", "body.1", "up")
