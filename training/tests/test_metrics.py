"""Metrics: against direct formulas, an independent implementation with loops, and their invariances."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from skimage.color import lab2rgb, rgb2lab

from training.quality import metrics

Image = npt.NDArray[np.float64]
METRICS = [metrics.mse, metrics.psnr, metrics.ssim, metrics.ms_ssim, metrics.delta_e]
seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 40)


def random_pair(seed: int, height: int, width: int) -> tuple[Image, Image]:
    """A smooth random image and a noisy, shifted relative of it."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((height // 8 + 1, width // 8 + 1, 3))
    image = np.kron(coarse, np.ones((8, 8, 1)))[:height, :width]
    other = image * rng.uniform(0.6, 1) + rng.uniform(0, 0.3) + rng.normal(0, rng.uniform(0, 0.1), image.shape)
    return image, other.clip(0, 1)


def loop_ms_ssim(x: Image, y: Image) -> float:
    """Multi-scale SSIM straight from the definition, window by window."""
    x, y = x * 255, y * 255
    result = 1.0
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        height, width, _ = x.shape
        n = min(11, height, width)
        sigma = 1.5 * n / 11
        window = np.empty((n, n))
        for i in range(n):
            for j in range(n):
                window[i, j] = math.exp(-((i - (n - 1) / 2) ** 2 + (j - (n - 1) / 2) ** 2) / (2 * sigma**2))
        window /= window.sum()
        ssims, structures = [], []
        for top in range(height - n + 1):
            for left in range(width - n + 1):
                for channel in range(3):
                    a = x[top : top + n, left : left + n, channel]
                    b = y[top : top + n, left : left + n, channel]
                    mean_a, mean_b = (window * a).sum(), (window * b).sum()
                    variance_a, variance_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
                    covariance = (window * (a - mean_a) * (b - mean_b)).sum()
                    structure = (2 * covariance + 58.5225) / (variance_a + variance_b + 58.5225)
                    luminance = (2 * mean_a * mean_b + 6.5025) / (mean_a**2 + mean_b**2 + 6.5025)
                    structures.append(structure)
                    ssims.append(luminance * structure)
        result *= max(float(np.mean(ssims if scale == 4 else structures)), 0.0) ** weight
        halves = []
        for image in (x, y):
            half = np.empty(((height + 1) // 2, (width + 1) // 2, 3))
            for i in range(half.shape[0]):
                for j in range(half.shape[1]):
                    rows = [2 * i, min(2 * i + 1, height - 1)]
                    columns = [2 * j, min(2 * j + 1, width - 1)]
                    half[i, j] = sum(image[r, c] for r in rows for c in columns) / 4
            halves.append(half)
        x, y = halves
    return result


@given(seeds, sides, sides)
@settings(max_examples=15, deadline=None)
@example(7, 45, 38)  # windows of 11 px at three scales, odd sides on the way
def test_ms_ssim_equals_the_definition_written_as_loops(seed: int, height: int, width: int) -> None:
    image, other = random_pair(seed, height, width)
    assert metrics.ms_ssim(image, other) == pytest.approx(loop_ms_ssim(image, other), abs=1e-9)


def test_ms_ssim_of_negative_structure_is_zero_and_real() -> None:
    image = np.indices((64, 64)).sum(0)[..., None].repeat(3, 2) % 2 * 1.0
    assert metrics.ms_ssim(image, 1 - image) == 0.0


@given(seeds, sides, sides)
@settings(max_examples=40, deadline=None)
def test_psnr_is_the_direct_formula(seed: int, height: int, width: int) -> None:
    image, other = random_pair(seed, height, width)
    squares = [(float(a) - float(b)) ** 2 for a, b in zip(image.flat, other.flat, strict=True)]
    error = sum(squares) / len(squares)
    expected = 120.0 if error < 1e-12 else 10 * math.log10(1 / error)
    assert metrics.psnr(image, other) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@given(seed=seeds, height=sides, width=sides)
@settings(max_examples=15, deadline=None)
def test_identical_images_and_symmetry(metric, seed: int, height: int, width: int) -> None:  # type: ignore[no-untyped-def]
    image, other = random_pair(seed, height, width)
    perfect = {"mse": 0, "psnr": 120, "ssim": 1, "ms_ssim": 1, "delta_e": 0}[metric.__name__]
    assert metric(image, image) == pytest.approx(perfect, abs=1e-9)
    assert metric(image, other) == pytest.approx(metric(other, image), abs=1e-7)


@pytest.mark.parametrize("metric", METRICS)
@given(seed=seeds, height=sides, width=sides)
@settings(max_examples=10, deadline=None)
def test_mirrored_and_transposed_pairs_score_the_same(metric, seed: int, height: int, width: int) -> None:  # type: ignore[no-untyped-def]
    image, other = random_pair(seed, height, width)
    score = metric(image, other)
    assert metric(image.swapaxes(0, 1), other.swapaxes(0, 1)) == pytest.approx(score, abs=1e-9)
    if metric is not metrics.ms_ssim or not (height % 16 or width % 16):  # the repeated last row has a side
        assert metric(image[::-1, ::-1], other[::-1, ::-1]) == pytest.approx(score, abs=1e-9)


@given(seeds, st.floats(0.001, 0.2), st.floats(0.3, 0.9))
@settings(max_examples=20, deadline=None)
def test_psnr_falls_by_20_log10_when_the_error_is_scaled(seed: int, size: float, factor: float) -> None:
    rng = np.random.default_rng(seed)
    image, error = rng.uniform(0.3, 0.7, (9, 7, 3)), rng.uniform(-size, size, (9, 7, 3))
    gained = metrics.psnr(image + factor * error, image) - metrics.psnr(image + error, image)
    assert gained == pytest.approx(-20 * math.log10(factor), abs=1e-6)


def test_ssim_of_constant_images_is_the_luminance_term() -> None:
    a, b = np.full((20, 20, 3), 0.25), np.full((20, 20, 3), 0.75)
    expected = (2 * 0.25 * 0.75 + 0.01**2) / (0.25**2 + 0.75**2 + 0.01**2)
    assert metrics.ssim(a, b) == pytest.approx(expected, abs=1e-9)
    assert metrics.ms_ssim(a, b) == pytest.approx(expected**0.1333, abs=1e-9)


def test_delta_e_of_published_colours() -> None:
    """Pairs 1 and 7 of table 1 in Sharma, Wu and Dalal (2005), where both colours lie inside sRGB."""
    for lab_a, lab_b, expected in [
        ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ]:
        a, b = (lab2rgb(np.array(lab).reshape(1, 1, 3)) for lab in (lab_a, lab_b))
        assert np.allclose(rgb2lab(a).ravel(), lab_a, atol=1e-3)
        assert metrics.delta_e(a, b) == pytest.approx(expected, abs=2e-3)


@given(seeds, st.tuples(*[st.floats(-0.2, 0.2)] * 3))
@settings(max_examples=20, deadline=None)
def test_colour_shift_is_the_added_cast(seed: int, cast: tuple[float, float, float]) -> None:
    image = np.random.default_rng(seed).uniform(0.3, 0.7, (5, 8, 3))
    assert metrics.colour_shift(image + np.array(cast), image) == pytest.approx(cast, abs=1e-12)
    assert metrics.colour_shift(image, image + np.array(cast)) == pytest.approx([-c for c in cast], abs=1e-12)


def test_both_psnr_protocols() -> None:
    scores = metrics.Scores()
    zeros = np.zeros((12, 12, 3), np.float32)
    scores.add(zeros + np.float32(0.1), zeros)  # 20 dB
    scores.add(zeros + np.float32(0.01), zeros)  # 40 dB
    means = scores.means()
    assert means["psnr_mean_of_images_db"] == pytest.approx(30, abs=1e-4)
    assert means["psnr_of_mean_mse_db"] == pytest.approx(-10 * math.log10((0.01 + 0.0001) / 2), abs=1e-4)
    assert means["colour_shift_g"] == pytest.approx(0.055, abs=1e-6)
    assert "mse" not in means


@given(seeds, st.integers(1, 5))
@settings(max_examples=10, deadline=None)
def test_the_mean_of_images_is_never_below_that_of_the_mean_error(seed: int, count: int) -> None:
    scores = metrics.Scores()
    for k in range(count):
        scores.add(*random_pair((seed + k) % 2**32, 12, 12))
    means = scores.means()
    assert means["psnr_mean_of_images_db"] >= means["psnr_of_mean_mse_db"] - 1e-9  # Jensen


def test_no_image_has_no_mean() -> None:
    with pytest.raises(ValueError, match="no images"):
        metrics.Scores().means()


@pytest.mark.parametrize("metric", [*METRICS, metrics.colour_shift])
@pytest.mark.parametrize("shape", [(4, 5, 3), (5, 4, 4), (5, 4)])
def test_images_of_other_shapes_are_refused(metric, shape: tuple[int, ...]) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="of one size"):
        metric(np.zeros(shape), np.zeros((5, 4, 3)))
