"""What alignment is made of: shifts, homographies, resampling, and the patches that are sorted out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.ndimage import shift as moved_by

from training.alignment.homography import corners, overlap, project
from training.alignment.patch_quality import MOVED, colour_outliers, unexplained
from training.alignment.refinement import fit
from training.alignment.resampling import Resampled
from training.alignment.window_shift import correlation, find_shift


def texture(side: int, seed: int = 0, blur: float = 1.5) -> np.ndarray:
    values = gaussian_filter(np.random.default_rng(seed).standard_normal((side, side)), blur)
    return (128 + 30 * values / values.std()).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(x=st.floats(-3, 3), y=st.floats(-3, 3), gain=st.floats(0.3, 2), offset=st.floats(-40, 40))
def test_a_shift_is_found_whatever_the_exposure(x: float, y: float, gain: float, offset: float) -> None:
    photo = texture(120)
    other = (gain * moved_by(photo, (y, x), order=5, mode="nearest") + offset).astype(np.float32)
    shift = find_shift(photo[10:110, 10:110], other[5:115, 5:115])
    assert shift.found and np.hypot(shift.x - x, shift.y - y) < 0.08
    assert shift.correlation > 0.7


def test_along_an_edge_a_window_says_nothing() -> None:
    stripes = np.tile(texture(120)[:1], (120, 1)) + 0.01 * texture(120, 1)
    information = find_shift(stripes[10:110, 10:110], stripes[5:115, 5:115]).information
    assert information[0, 0] > 100 * abs(information[1, 1])
    assert not find_shift(np.zeros((20, 20), np.float32), np.zeros((30, 30), np.float32)).found


def test_a_shift_beyond_the_search_is_not_made_up() -> None:
    photo = texture(140, blur=4)
    moved = np.roll(photo, 8, axis=1)
    assert not find_shift(photo[20:120, 20:120], moved[15:125, 15:125]).found  # up to 5 px away
    assert find_shift(photo[20:120, 20:120], moved[10:130, 10:130]).x == pytest.approx(8, abs=0.01)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_homography_is_fitted_in_spite_of_moving_things(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = np.eye(3) + random.uniform(-1, 1, (3, 3)) * np.array([[3e-3, 3e-3, 2], [3e-3, 3e-3, 2], [3e-6, 3e-6, 0]])
    centres = random.uniform(0, 800, (150, 2))
    shifts = project(truth, centres) - centres + random.normal(0, 0.05, (150, 2))
    shifts[:30] += random.uniform(-5, 5, (30, 2))
    found, residual_px = fit(centres, shifts, np.tile(np.eye(2) * 100, (150, 1, 1)))
    edges = corners((800, 800))
    assert np.abs(project(found, edges) - project(truth, edges)).max() < 0.15
    assert residual_px < 0.15


def test_windows_on_edges_are_believed_across_them_only() -> None:
    random = np.random.default_rng(0)
    centres = random.uniform(0, 500, (80, 2))
    shifts = np.tile([0.4, -0.3], (80, 1))
    information = np.zeros((80, 2, 2))
    for at in range(80):  # half of them lie along horizontal, half along vertical edges, and err along these
        across = at % 2
        information[at, across, across] = 100.0
        shifts[at, 1 - across] = random.uniform(-3, 3)
    found, _ = fit(centres, shifts, information)
    assert np.allclose(project(found, corners((500, 500))) - corners((500, 500)), [0.4, -0.3], atol=1e-3)


def test_overlap_is_what_both_see() -> None:
    move = np.array([[1, 0, -40], [0, 1, 0], [0, 0, 1.0]])
    polygon = overlap(move, (60, 100), (60, 100))
    assert polygon[:, 0].min() == pytest.approx(40) and polygon[:, 0].max() == pytest.approx(99)
    assert len(overlap(np.array([[1, 0, 500], [0, 1, 0], [0, 0, 1.0]]), (60, 100), (60, 100))) == 0


def test_what_is_resampled_stays_in_place_and_does_not_alias() -> None:
    y, x = np.mgrid[:600, :600]
    slow = np.dstack([127 + 100 * np.sin(x / 40) * np.cos(y / 55)] * 3)
    scale = 2.5
    homography = np.array([[scale, 0, 20.3], [0, scale, 11.7], [0, 0, 1]])
    window = Resampled(slow.round().astype(np.uint8), homography, scale).window(10, 20, 100, 100)
    v, u = np.mgrid[20:120, 10:110]
    expected = 127 + 100 * np.sin((scale * u + 20.3) / 40) * np.cos((scale * v + 11.7) / 55)
    assert np.abs(window[..., 0] - expected).max() < 2.5
    fine = np.dstack([127 + 100 * np.cos(np.pi * 0.95 * x)] * 3).round().astype(np.uint8)  # too fine for the phone
    assert Resampled(fine, homography, scale).window(10, 20, 100, 100).std() < 2


def test_what_moved_is_seen_and_noise_and_tone_are_not() -> None:
    phone = texture(100, blur=4)
    random = np.random.default_rng(1)
    dslr = (255 * (phone / 255) ** 0.6 + random.normal(0, 5, phone.shape)).astype(np.float32)
    assert unexplained(phone, dslr) < MOVED / 2
    dslr[60:80, 60:80] = texture(20, 9, blur=4)
    assert correlation(phone, dslr) > 0.9 and unexplained(phone, dslr) > MOVED


def test_a_patch_in_another_light_is_an_outlier() -> None:
    random = np.random.default_rng(0)
    phone = random.uniform(30, 220, (60, 3))
    dslr = 255 * (phone / 255) ** 0.8 * np.array([1.1, 1.0, 0.9]) + random.normal(0, 2, (60, 3))
    dslr[7] += (50, 40, -40)
    dslr[23] -= 60
    assert np.flatnonzero(colour_outliers(phone, dslr)).tolist() == [7, 23]
    assert not colour_outliers(phone[:5], dslr[:5]).any()
