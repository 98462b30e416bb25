"""Judges of quality beside the plain metrics: perceptual distance, fitted colours, exposure peers, intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.photos.srgb import to_encoded, to_linear
from training.quality import stlpips
from training.quality.exposure import MAX_GAIN, TARGET_MEAN, auto_exposure, brighten
from training.quality.fitted import fit_colours
from training.quality.intervals import bootstrap_interval
from training.quality.metrics import Image, mse


@pytest.fixture(scope="module")
def network() -> stlpips.StLpips:
    return stlpips.load_stlpips()


def scene(seed: int = 0, side: int = 64) -> Image:
    random = np.random.default_rng(seed)
    coarse = random.uniform(0.2, 0.8, (8, 8, 3))
    return np.kron(coarse, np.ones((side // 8, side // 8, 1))) + random.normal(0, 0.02, (side, side, 3)).clip(-0.1, 0.1)


def test_distance_is_zero_for_equal_images_and_symmetric(network: stlpips.StLpips) -> None:
    first, second = scene(0), scene(1)
    assert network.distance(first, first) == 0
    assert network.distance(first, second) == pytest.approx(network.distance(second, first), abs=1e-6)
    assert network.distance(first, second) > 0.1


def test_a_shift_by_a_pixel_costs_less_than_blur(network: stlpips.StLpips) -> None:
    photo = scene(2)
    blurred = (photo + np.roll(photo, 4, 0) + np.roll(photo, 4, 1) + np.roll(photo, (4, 4), (0, 1))) / 4
    assert network.distance(np.roll(photo, 1, 1), photo) < network.distance(blurred, photo)


def test_distance_on_real_pairs_is_what_the_authors_code_gives(network: stlpips.StLpips, pocket_data) -> None:
    """The figure was taken with stlpips_pytorch 0.0.2 itself, on the pairs as they are."""
    from PIL import Image as Photo

    root = pocket_data / "dped/iphone"
    folders = [root / "training_data", root / "test_data/patches"]
    names = [path for folder in folders for path in sorted((folder / "iphone").glob("*.jpg"))]
    pairs = [[np.asarray(Photo.open(side)) / 255 for side in (path, path.parents[1] / "canon" / path.name)]
             for path in names[::10]]  # fmt: skip
    distances = [network.distance(phone, dslr) for phone, dslr in pairs]
    assert len(names) == 199
    assert np.mean(distances) == pytest.approx(0.328007, abs=2e-5)


def test_the_weights_are_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stlpips, "WEIGHTS_SHA256", "0" * 64)
    monkeypatch.setattr(stlpips.torch, "load", pytest.fail)
    with pytest.raises(stlpips.StLpipsError, match="alex_shift_tolerant"):
        stlpips.load_stlpips()
    monkeypatch.setattr(stlpips, "PACKAGE", "a_package_that_is_nowhere")
    with pytest.raises(stlpips.StLpipsError, match="pip install"):
        stlpips.load_stlpips()


@pytest.mark.parametrize("shape", [(31, 64, 3), (64, 64), (64, 64, 4)])
def test_distance_refuses_what_it_cannot_see(network: stlpips.StLpips, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="of one size"):
        network.distance(np.zeros(shape), np.zeros((64, 64, 3)))


@given(st.integers(0, 2**16))
def test_a_colour_transform_is_taken_out_whole(seed: int) -> None:
    random = np.random.default_rng(seed)
    photo = random.uniform(0, 1, (16, 16, 3))
    changed = (photo @ (np.eye(3) * 0.5 + random.uniform(-0.1, 0.1, (3, 3)))) + 0.2
    changed = changed.clip(0, 1) if changed.max() > 1 or changed.min() < 0 else changed
    fitted = fit_colours(changed, photo)
    assert mse(fitted, photo) <= mse(changed, photo) + 1e-12
    if changed.max() < 1 and changed.min() > 0:
        assert mse(fitted, photo) < 1e-12


def test_fitting_leaves_detail_alone() -> None:
    photo = scene(3)
    noisy = photo + np.random.default_rng(0).normal(0, 0.05, photo.shape)
    assert mse(fit_colours(noisy, photo), photo) > 0.5 * 0.05**2


@given(st.floats(0, 1))
def test_encoding_and_linear_light_are_inverse(value: float) -> None:
    assert to_encoded(to_linear(np.full((1, 1, 3), value)))[0, 0, 0] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("level", [0.02, 0.1, 0.3, 0.45, 0.9])
def test_auto_exposure_reaches_its_target_and_never_darkens(level: float) -> None:
    photo = np.full((8, 8, 3), level, np.float32)
    before, after = float(to_linear(photo).mean()), float(to_linear(auto_exposure(photo)).mean())
    assert after == pytest.approx(min(max(before, TARGET_MEAN), before * MAX_GAIN), rel=1e-3)


def test_a_stop_doubles_light() -> None:
    photo = np.full((4, 4, 3), 0.3, np.float32)
    assert to_linear(brighten(photo, 1)).mean() == pytest.approx(2 * to_linear(photo).mean(), rel=1e-5)


def test_the_interval_holds_the_mean_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    held = 0
    for trial in range(200):
        low, high = bootstrap_interval(random.normal(1, 0.3, 60), seed=trial)
        held += low <= 1 <= high
    assert 180 <= held <= 198  # 95 % of 200, give or take


def test_images_of_one_photo_are_one_draw() -> None:
    scores = [*np.repeat([0.0, 1.0], 50)]
    alone, together = bootstrap_interval(scores), bootstrap_interval(scores, [*np.repeat(["a", "b"], 50)])
    assert together[1] - together[0] > 4 * (alone[1] - alone[0])


@pytest.mark.parametrize(("scores", "groups"), [([], None), ([1.0], []), ([], [])])
def test_no_interval_of_nothing(scores: list[float], groups: list[str] | None) -> None:
    with pytest.raises(ValueError, match="at least one score"):
        bootstrap_interval(scores, groups)
