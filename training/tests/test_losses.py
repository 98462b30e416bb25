"""Each loss equals an independent numpy computation of its formula; the discriminator's shapes are TensorFlow's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate

from training.losses import dped as losses
from training.losses import pixel
from training.losses.discriminator import Discriminator
from training.losses.presets import DPED_PRESETS, DpedWeights

seeds = st.integers(0, 2**32 - 1)


def images(seed: int, count: int = 2, size: int = 40) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.random((count, 3, size, size + 3)), random.random((count, 3, size, size + 3))


def normal_cdf(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


def numpy_kernel() -> np.ndarray:
    """The authors' gauss_kernel, from the error function, element by element."""
    step = 7 / 21
    mass = [normal_cdf(-3 - step / 2 + (k + 1) * 19 / 63) - normal_cdf(-3 - step / 2 + k * 19 / 63) for k in range(21)]
    kernel = np.array([[math.sqrt(a * b) for b in mass] for a in mass])
    return kernel / kernel.sum()


def test_blur_kernel_is_the_authors() -> None:
    kernel = losses.blur_kernel().numpy()
    assert kernel.shape == (21, 21) and kernel.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(kernel, numpy_kernel(), atol=1e-7)


def test_blur_kernel_is_wider_than_its_sigma_says() -> None:
    """The square root widens 3 px (a pixel is 19/63 sigma) by the root of two; the cut at 21 px takes some back."""
    line = losses.blur_kernel().sum(1).double().numpy()
    deviation = math.sqrt((line * (np.arange(21) - 10.0) ** 2).sum())
    assert 3.6 < deviation < 3 * math.sqrt(2) * 63 / 57


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_colour_loss(seed: int) -> None:
    enhanced, dslr = images(seed)
    blurred = [correlate(e - d, numpy_kernel(), mode="constant") for e, d in
               zip(enhanced.reshape(-1, 40, 43), dslr.reshape(-1, 40, 43), strict=True)]  # fmt: skip
    expected = (np.stack(blurred) ** 2).sum() / (2 * len(enhanced))
    value = losses.colour_loss(torch.from_numpy(enhanced), torch.from_numpy(dslr))
    assert value.item() == pytest.approx(expected, rel=1e-5)


@given(seeds)
def test_tv_loss(seed: int) -> None:
    enhanced, _ = images(seed)
    vertical = ((enhanced[:, :, 1:] - enhanced[:, :, :-1]) ** 2).mean()
    horizontal = ((enhanced[:, :, :, 1:] - enhanced[:, :, :, :-1]) ** 2).mean()
    assert losses.tv_loss(torch.from_numpy(enhanced)).item() == pytest.approx(vertical + horizontal, rel=1e-12)


@given(seeds)
def test_content_loss(seed: int) -> None:
    a, b = images(seed)
    expected = ((a - b) ** 2).sum() / a.size
    assert losses.content_loss(torch.from_numpy(a), torch.from_numpy(b)).item() == pytest.approx(expected, rel=1e-12)


@given(st.lists(st.tuples(st.floats(-30, 30), st.floats(-30, 30), st.booleans()), min_size=1, max_size=8))
def test_discriminator_and_texture_loss(rows: list[tuple[float, float, bool]]) -> None:
    def cross_entropy(dslr: float, enhanced: float, is_dslr: bool) -> float:
        larger = max(dslr, enhanced)
        log_sum = larger + math.log(math.exp(dslr - larger) + math.exp(enhanced - larger))
        probability = math.exp((dslr if is_dslr else enhanced) - log_sum)
        return -math.log(min(max(probability, 1e-10), 1.0))

    logits = torch.tensor([row[:2] for row in rows])
    is_dslr = torch.tensor([row[2] for row in rows])
    total = sum(cross_entropy(*row) for row in rows)  # summed over the batch, not averaged
    assert losses.discriminator_loss(logits, is_dslr).item() == pytest.approx(total, rel=1e-4, abs=1e-4)
    all_enhanced = sum(cross_entropy(a, b, False) for a, b, _ in rows)
    assert losses.texture_loss(logits).item() == pytest.approx(-all_enhanced, rel=1e-4, abs=1e-4)


def test_texture_loss_pulls_towards_the_dslr() -> None:
    logits = torch.zeros(3, 2, requires_grad=True)
    losses.texture_loss(logits).backward()
    assert logits.grad is not None
    assert (logits.grad[:, 0] < 0).all() and (logits.grad[:, 1] > 0).all()  # descending raises "DSLR"


def test_identical_images_cost_nothing_but_their_variation() -> None:
    same = torch.rand(1, 3, 30, 30)
    assert losses.colour_loss(same, same) == 0 and losses.content_loss(same, same) == 0
    assert losses.tv_loss(torch.full((1, 3, 9, 9), 0.3)) == 0


def test_presets_are_the_codes_and_the_papers() -> None:
    assert DPED_PRESETS["code"] == DpedWeights(content=10, texture=1, colour=0.5, tv=2000)
    assert DPED_PRESETS["paper"] == DpedWeights(content=1, texture=0.4, colour=0.1, tv=400)


def test_discriminator_matches_tensorflows_sizes_and_order() -> None:
    torch.manual_seed(0)
    critic = Discriminator()
    shapes: list[tuple[int, ...]] = []
    for convolution in critic.convolutions:
        convolution.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape[1:])))
    patches = torch.rand(2, 3, 100, 100)
    assert critic(patches).shape == (2, 2)
    assert shapes == [(48, 25, 25), (128, 13, 13), (192, 13, 13), (192, 13, 13), (128, 7, 7)]
    grey = (patches * torch.tensor([0.2989, 0.5870, 0.1140]).view(1, 3, 1, 1)).sum(1, keepdim=True).repeat(1, 3, 1, 1)
    # A grey image of the same luminance looks almost the same to it: 0.2989 + 0.587 + 0.114 = 0.9999.
    torch.testing.assert_close(critic(grey), critic(patches), atol=1e-3, rtol=1e-3)
    with pytest.raises(ValueError, match="100x100"):
        critic(torch.rand(1, 3, 64, 64))


def test_same_padding_puts_the_odd_pixel_after_the_image() -> None:
    """TensorFlow: 100 px, kernel 11, stride 4 needs 7 px of padding, 3 before and 4 after."""
    critic = Discriminator()
    first = critic.convolutions[0]
    x = torch.rand(1, 1, 100, 100)
    with torch.no_grad():
        padded = torch.nn.functional.pad(x, (3, 4, 3, 4))
        expected = torch.nn.functional.conv2d(padded, first.weight, first.bias, stride=4)
        torch.testing.assert_close(first(x), expected)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_structure_loss_is_one_minus_contrast_and_structure_of_ssim(seed: int) -> None:
    a, b = images(seed, 1, 12)
    terms = []
    for y in range(12 - 6):
        for x in range(15 - 6):
            for c in range(3):
                p, q = a[0, c, y : y + 7, x : x + 7], b[0, c, y : y + 7, x : x + 7]
                covariance = ((p - p.mean()) * (q - q.mean())).mean()
                terms.append((2 * covariance + 0.0009) / (p.var() + q.var() + 0.0009))
    wanted = 1 - float(np.mean(terms))
    assert pixel.structure_loss(torch.from_numpy(a), torch.from_numpy(b)).item() == pytest.approx(wanted, abs=1e-9)
    assert pixel.structure_loss(torch.from_numpy(a), torch.from_numpy(a + 0.1)).item() == pytest.approx(0, abs=1e-9)
    halves = [F.avg_pool2d(torch.from_numpy(side), 2) for side in images(seed, 1, 20)]
    whole = [torch.from_numpy(side) for side in images(seed, 1, 20)]
    both = pixel.structure_loss(whole[0], whole[1], (0.25, 0.75)).item()
    apart = [pixel.structure_loss(*whole).item(), pixel.structure_loss(halves[0], halves[1]).item()]
    assert both == pytest.approx(0.25 * apart[0] + 0.75 * apart[1])
