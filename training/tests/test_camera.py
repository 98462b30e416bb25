"""The simulated camera: what each stage does to light, and that a photo stays where it is."""

from __future__ import annotations

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.camera.development import sharpen
from training.camera.good_tone import MAX_LIFT, MAX_STOPS, good_tone, key, lift, shoulder
from training.camera.light import srgb_to_sensor, to_sensor
from training.camera.optics import point_spread, through_the_lens
from training.camera.photograph import photograph
from training.camera.sensor import BITS, BLACK_LEVEL, demosaic, expose, noise_deviation
from training.camera.shot import OTHER_PHONES, PHONES, Ranges, Shot, draw
from training.data.held_out import HELD_OUT, is_held_out
from training.photos import Pixels
from training.photos.srgb import to_encoded, to_linear
from training.quality.metrics import psnr

IDEAL = replace(
    draw(0), exposure_stops=0.0, red_error=1.0, blue_error=1.0, blur_px=0.2, blur_ratio=1.0, aberration=0.0,
    vignetting=0.0, veil=0.0, full_well_electrons=1e6, read_noise_electrons=0.0, luma_denoising=0.0,
    chroma_denoising=0.0, saturation=1.0, contrast=0.5, black=0.0, local_tone=0.0, sharpening=0.0, jpeg_quality=100,
    first_quality=0, rescale=1.0,
)  # fmt: skip


def scene(side: int = 96, seed: int = 0) -> Pixels:
    coarse = np.random.default_rng(seed).uniform(40, 215, (12, 12, 3)).astype(np.float32)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("ranges", [PHONES, OTHER_PHONES], ids=["phones", "other"])
@pytest.mark.parametrize("size", [(64, 64), (65, 47), (32, 101)])
def test_a_shot_keeps_the_size_and_is_the_same_each_time(ranges: Ranges, size: tuple[int, int]) -> None:
    photo, shot = scene(101)[: size[0], : size[1]], draw(7, ranges)
    first = photograph(photo, shot)
    assert first.shape == photo.shape and first.dtype == np.uint8
    assert np.array_equal(first, photograph(photo, shot))
    assert not np.array_equal(first, photograph(photo, replace(shot, noise_seed=shot.noise_seed + 1)))


@given(st.integers(0, 2**31 - 1))
def test_shots_lie_in_their_ranges(seed: int) -> None:
    shot = draw(seed)
    assert shot == draw(seed)
    for field in fields(Shot):
        bounds = getattr(PHONES, field.name, None)
        if isinstance(bounds, tuple) and isinstance(bounds[0], float):
            assert bounds[0] - 1 <= getattr(shot, field.name) <= bounds[1]
    assert sum(shot.matrix) == pytest.approx(1)


def test_an_ideal_camera_gives_the_photo_back() -> None:
    photo = scene()
    assert psnr(photograph(photo, IDEAL) / 255, photo / 255) > 35


@pytest.mark.parametrize("pattern", range(4))
@pytest.mark.parametrize("demosaicing", ["bilinear", "edge-aware", "gradients"])
def test_the_mosaic_is_rebuilt_in_its_place(pattern: int, demosaicing: str) -> None:
    shot = replace(IDEAL, pattern=pattern, demosaicing=demosaicing)  # type: ignore[arg-type]
    light = to_linear(scene() / np.float32(255))
    rebuilt = demosaic(expose(light, shot), shot)
    assert np.abs(rebuilt - light)[4:-4, 4:-4].mean() < 0.01
    grey = [cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2GRAY) for image in (light, rebuilt)]
    assert np.abs(cv2.phaseCorrelate(*grey)[0]).max() < 0.1


@settings(max_examples=20)
@given(st.floats(0.02, 0.9), st.floats(300, 8000), st.floats(0, 8))
def test_noise_is_that_of_counted_electrons(level: float, full_well: float, read_noise: float) -> None:
    shot = replace(IDEAL, full_well_electrons=full_well, read_noise_electrons=read_noise)
    mosaic = expose(np.full((256, 256, 3), level, np.float32), shot).astype(float)
    step = 1 / (2**BITS - 1 - BLACK_LEVEL)
    expected = float(noise_deviation(level, shot))
    assert mosaic.std() * step == pytest.approx(np.hypot(expected, step / np.sqrt(12)), rel=0.05)
    assert (mosaic.mean() - BLACK_LEVEL) * step == pytest.approx(level, abs=6 * expected / 256 + step)


def test_a_stop_less_is_half_the_light() -> None:
    photo = scene() / np.float32(255)
    darker = to_sensor(photo, replace(IDEAL, exposure_stops=-1.0))
    assert darker == pytest.approx(to_sensor(photo, IDEAL) / 2)


@given(st.integers(0, 1000))
def test_grey_stays_grey_under_every_sensor(seed: int) -> None:
    assert srgb_to_sensor(draw(seed)).sum(1) == pytest.approx(np.ones(3))
    assert point_spread(draw(seed)).sum() == pytest.approx(1, abs=1e-5)


def test_clipped_highlights_are_white_when_developed() -> None:
    white = np.full((32, 32, 3), 255, np.uint8)
    for stops in (-1.0, 0.0, 0.5):
        developed = photograph(white, replace(IDEAL, exposure_stops=stops)).astype(int)
        assert np.ptp(developed.mean((0, 1))) < 3


def test_vignetting_darkens_corners_alone() -> None:
    light = np.ones((65, 65, 3), np.float32)
    seen = through_the_lens(light, replace(IDEAL, vignetting=0.4))
    assert seen[32, 32] == pytest.approx(1, abs=1e-3) and seen[0, 0] == pytest.approx(0.6, abs=1e-3)


def test_halos_are_bounded() -> None:
    edge = np.zeros((32, 32, 3), np.float32) + 0.3
    edge[:, 16:] = 0.7
    sharp = sharpen(edge, replace(IDEAL, sharpening=5.0, overshoot=0.1))
    assert 0.15 < sharp.min() < 0.3 and sharp.max() <= 0.8 + 1e-6


def test_a_photo_in_good_tone_is_left_alone() -> None:
    photo = np.random.default_rng(0).uniform(0.4, 0.85, (32, 32, 1)).astype(np.float32).repeat(3, 2)
    assert good_tone(photo) == pytest.approx(photo, abs=1e-6)


@given(st.integers(0, 2**31), st.floats(0.3, 1))
def test_the_key_of_a_scene_is_hardly_changed_by_its_exposure(seed: int, gain: float) -> None:
    light = np.random.default_rng(seed).beta(0.8, 2, (40, 40)).astype(np.float32)
    assert key(light * np.float32(gain)) == pytest.approx(key(light), abs=0.06)


def test_shadows_beside_bright_parts_are_lifted_and_nights_stay() -> None:
    backlit = np.full((40, 40, 3), 0.08, np.float32)
    backlit[:16] = 0.9
    lifted = lift(backlit)
    assert 1.2 < lifted[30, 0, 0] / 0.08 <= 1 + MAX_LIFT and abs(lifted[0, 0, 0] - 0.9) < 0.07
    night = np.full((40, 40, 3), 0.08, np.float32)
    night[:1] = 0.9
    assert lift(night) == pytest.approx(night)
    assert lift(np.zeros_like(night)).max() == 0 and lift(np.ones_like(night)).min() == 1


def test_what_is_darker_than_its_key_asks_for_is_brightened() -> None:
    photo = np.random.default_rng(0).uniform(0.4, 0.85, (32, 32, 1)).astype(np.float32).repeat(3, 2)
    dark = to_encoded(to_linear(photo) / 4)
    brightened = to_linear(good_tone(dark)).mean() / to_linear(dark).mean()
    assert 1.5 < brightened <= 2**MAX_STOPS + 1e-3


@given(st.floats(0.1, 4))
def test_the_shoulder_clips_little_and_keeps_order(gain: float) -> None:
    light = np.linspace(0, 1, 500, dtype=np.float32)[:, None, None].repeat(3, 2) * np.float32(gain)
    curve = shoulder(light)[:, 0, 0]
    assert np.all(np.diff(curve) >= -1e-6) and curve.max() <= 1
    assert (curve >= 1 - 1e-6).mean() <= 0.01 or gain <= 1


def test_judges_are_named_and_kept_apart() -> None:
    counts = {collection: len(names) for collection, names in HELD_OUT.items()}
    assert counts == {"cc0": 4, "clic2025": 8, "dslr": 3, "phone": 5}
    assert is_held_out("phone", "iphone-6-plus-2") and not is_held_out("phone", "iphone-5-0")
    assert is_held_out("validation", "anything")


def test_held_out_photos_exist(pocket_data) -> None:
    folders = {"cc0": "photos/train/cc0", "clic2025": "photos/train/clic2025", "dslr": "native/dslr",
               "phone": "native/phone"}  # fmt: skip
    for collection, names in HELD_OUT.items():
        present = [path.stem for path in (pocket_data / folders[collection]).iterdir()]
        assert all(any(stem.startswith(name) for stem in present) for name in names)
