"""The simulated phone: the same photo for the same seed, every parameter does what its name says."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.pairs import find_pairs
from training.data.simulated_phone import SimulatedPhone, apply, draw, simulate

PERFECT = SimulatedPhone(
    exposure_ev=0.0, white_balance=(1.0, 1.0, 1.0), saturation=1.0, vignetting=0.0, blur_px=0.0,
    full_well_electrons=1e9, read_noise_electrons=0.0, black=0.0, white=1.0, sharpening=0.0, jpeg_quality=100,
)  # fmt: skip


def picture(height: int = 64, width: int = 96) -> npt.NDArray[np.uint8]:
    """Soft coloured waves: something to lose in every respect."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 9) * np.cos(y / 7), np.sin((x + y) / 11), np.cos(x / 13 - y / 5)]
    return (128 + 90 * np.stack(waves, axis=-1)).astype(np.uint8)


def psnr_db(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 40))
def test_same_seed_same_photo_and_the_size_stays(seed: int, height: int, width: int) -> None:
    photo = picture(height, width)
    before = photo.copy()
    first = simulate(photo, seed)
    assert first.shape == photo.shape and first.dtype == np.uint8
    np.testing.assert_array_equal(first, simulate(photo, seed))
    np.testing.assert_array_equal(photo, before)
    assert draw(seed) == draw(seed) != draw(seed + 1)


def test_another_process_makes_the_same_photo() -> None:
    code = (
        "import hashlib, numpy as np; from training.data.simulated_phone import simulate;"
        "print(hashlib.sha256(simulate(np.arange(1200, dtype=np.uint8).reshape(20, 20, 3), 7).tobytes()).hexdigest())"
    )
    runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(runs) == 1


def test_a_perfect_phone_changes_next_to_nothing() -> None:
    assert psnr_db(apply(picture(), PERFECT, 0), picture()) > 35  # JPEG's halved colour resolution is left


@pytest.mark.parametrize(
    "worse",
    [
        {"exposure_ev": -1.0},
        {"white_balance": (0.7, 1.0, 1.3)},
        {"saturation": 0.5},
        {"vignetting": 0.5},
        {"blur_px": 2.0},
        {"full_well_electrons": 300.0},
        {"full_well_electrons": 1000.0, "read_noise_electrons": 50.0},
        {"black": 0.1},
        {"white": 0.8},
        {"sharpening": 3.0},
        {"jpeg_quality": 10},
    ],
)
def test_every_parameter_does_harm(worse: dict[str, float]) -> None:
    perfect = psnr_db(apply(picture(), PERFECT, 0), picture())
    harmed = psnr_db(apply(picture(), dataclasses.replace(PERFECT, **worse), 0), picture())  # type: ignore[arg-type]
    assert harmed < perfect - 1


def flat(level: int, phone: SimulatedPhone, size: int = 64) -> npt.NDArray[np.float64]:
    return apply(np.full((size, size, 3), level, np.uint8), phone, 3).astype(np.float64)


def linear(encoded: float) -> float:
    value = encoded / 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def test_exposure_is_in_stops_of_linear_light() -> None:
    one_stop_down = flat(200, dataclasses.replace(PERFECT, exposure_ev=-1.0)).mean()
    assert linear(one_stop_down) == pytest.approx(linear(200) / 2, rel=0.02)


def test_vignetting_takes_its_share_of_the_corners_and_none_of_the_centre() -> None:
    result = flat(200, dataclasses.replace(PERFECT, vignetting=0.4), size=65)
    assert linear(result[32, 32, 1]) == pytest.approx(linear(200), rel=0.02)
    assert linear(result[0, 0, 1]) == pytest.approx(0.6 * linear(200), rel=0.03)


def test_shot_noise_is_the_square_root_of_the_light() -> None:
    """Seen in JPEG's luma, which quality 100 keeps: the weighted sum of three independent channels."""
    electrons = 1000.0
    well = electrons / linear(188)
    noisy = flat(188, dataclasses.replace(PERFECT, full_well_electrons=well), size=200)
    weights = np.array([0.299, 0.587, 0.114])
    levels_per_electron = 1 / (well * (linear(188.5) - linear(187.5)))
    expected = np.sqrt(electrons) * levels_per_electron * np.sqrt(np.sum(weights**2))
    assert (noisy @ weights).std() == pytest.approx(expected, rel=0.1)


def test_saturation_zero_is_grey() -> None:
    result = apply(picture(), dataclasses.replace(PERFECT, saturation=0.0), 0).astype(int)
    assert np.ptp(result, axis=2).max() <= 3


def test_phones_of_many_seeds_share_one_look() -> None:
    """Darker, cooler, paler: so a generator can learn the way back from some photos for others."""
    phones = [draw(seed) for seed in range(300)]
    assert all(phone.exposure_ev < 0 and phone.saturation < 1 for phone in phones)
    assert all(phone.white_balance[0] < 1 < phone.white_balance[2] for phone in phones)
    assert all(50 < phone.jpeg_quality <= 95 and 0 < phone.black < phone.white < 1 for phone in phones)
    assert len({phone.exposure_ev for phone in phones}) == 300


def test_simulated_photos_lie_as_far_from_the_dslr_as_real_ones() -> None:
    """Real DPED phone photos lie at 17 dB, in the mean over photos; here it is a little above."""
    splits = find_pairs(None)
    pairs = [*splits.train[::4], *splits.validation, *splits.calibration, *splits.fidelity]
    figures = [psnr_db(*pair.load()) for pair in pairs]
    assert 17 < np.mean(figures) < 22
    assert min(figures) > 13 and max(figures) < 30  # stars on black change least
