"""Clipping, cast, halo and banding on pictures for which the right answer is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from training.quality.blemishes import banding, cast, halo, newly_clipped
from training.tiling import to_uint8

Pixels = npt.NDArray[np.uint8]


def grey(plane: npt.NDArray[np.floating]) -> Pixels:
    """[H, W] levels -> [H, W, 3] uint8."""
    return np.repeat(np.floor(plane + 0.5).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def edges() -> npt.NDArray[np.float64]:
    """Levels 70 and 170 in two halves, with a soft gradient across both, and a dark square."""
    plane = np.full((256, 320), 70.0)
    plane[:, 160:] = 170
    plane[60:180, 220:300] = 40
    return plane + np.linspace(0, 20, 256)[:, None]


def ramp() -> Pixels:
    """A gradient of about 10 levels in every 32 px, in all channels."""
    return grey(20 + np.add.outer(np.arange(192) * 0.3, np.arange(256) * 0.2))


def haloed(plane: npt.NDArray[np.float64], amount: float, sigma_px: float = 12) -> npt.NDArray[np.float64]:
    """Local contrast by a blurred mask: bright rims on the bright side of edges, dark ones on the other."""
    return plane + amount * (plane - gaussian_filter(plane, sigma_px, mode="nearest"))


def test_identity_has_no_blemish() -> None:
    for picture in (grey(edges()), ramp()):
        assert newly_clipped(picture, picture) == 0
        assert cast(picture, picture) == pytest.approx((0, 0), abs=1e-9)
    assert banding(ramp(), ramp()) == 0
    assert halo(grey(edges()), grey(edges())) == pytest.approx(0, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(gain=st.floats(0.5, 1.4), gamma=st.floats(0.6, 1.6))
def test_a_global_tone_curve_is_no_halo(gain: float, gamma: float) -> None:
    before = edges()
    after = gain * 255 * (before / 255) ** gamma
    figure = halo(grey(before), grey(after.clip(0, 255)))
    assert figure is not None and figure < 0.25  # what rounding to 8 bit leaves


@settings(max_examples=10, deadline=None)
@given(weak=st.floats(0.1, 0.5), factor=st.floats(1.3, 2.0))
def test_a_blurred_mask_is_a_halo_and_more_of_it_is_more(weak: float, factor: float) -> None:
    before = edges()
    first, second = (halo(grey(before), grey(haloed(before, amount))) for amount in (weak, weak * factor))
    assert first is not None and second is not None and 0.8 < first < second


def test_more_colour_is_no_halo() -> None:
    """A global colour matrix, which no tone curve of luma explains, on red and blue fields of one lightness."""
    levels = edges()[..., None] * [1.0, 1.0, 1.0]
    levels[100:] *= (1.25, 0.9, 0.8)
    before = levels.clip(0, 255).astype(np.uint8)
    matrix = np.array([[1.3, -0.2, -0.1], [-0.1, 1.2, -0.1], [0.0, -0.3, 1.3]])
    figure = halo(before, to_uint8(before @ matrix.T / 255))
    assert figure is not None and figure < 0.25


def test_the_rim_is_measured_in_levels() -> None:
    """A rim of 10 levels up to 24 px from the only edge, on one side of it."""
    before = np.full((256, 256), 60.0)
    before[:, 128:] = 180
    after = before.copy()
    after[:, 128:152] += 10
    figure = halo(grey(before), grey(after))
    # The sides weigh the same, and the dark one has no rim.
    assert figure == pytest.approx(5, abs=0.4)


def test_sharpening_and_grain_are_no_halo() -> None:
    before = edges()
    rng = np.random.default_rng(0)
    sharpened = halo(grey(before), grey(haloed(before, 0.5, sigma_px=1)))
    grainy = halo(grey(before), grey(before + rng.normal(0, 3, before.shape)))
    rim = halo(grey(before), grey(haloed(before, 0.2)))
    assert sharpened is not None and grainy is not None and rim is not None
    assert sharpened < 0.3 and grainy < 0.5 < rim


def test_lightening_an_object_as_a_whole_is_no_halo() -> None:
    """A dark square beside a dark ground: no tone curve tells them apart, and no rim is there."""
    before = np.full((256, 384), 180.0)
    before[:, :128] = 60
    before[64:192, 200:328] = 60
    after = before.copy()
    after[64:192, 200:328] += 12
    figure = halo(grey(before), grey(after))
    assert figure is not None and figure < 0.1


def test_no_edges_no_figure() -> None:
    assert halo(ramp(), ramp()) is None
    assert banding(grey(np.full((200, 200), 90.0)), grey(np.full((200, 200), 90.0))) is None


@settings(max_examples=30, deadline=None)
@given(gain=st.floats(0.4, 2.0), offset=st.floats(-10, 30))
def test_gain_up_to_two_does_not_band(gain: float, offset: float) -> None:
    before = ramp()
    assert banding(before, grey(before[..., 0] * gain + offset)) == 0


@settings(max_examples=20, deadline=None)
@given(step=st.integers(3, 8))
def test_posterising_bands(step: int) -> None:
    before = ramp()
    figure = banding(before, (before // step * step).astype(np.uint8))
    assert figure is not None and figure > 0.9


def test_half_a_posterised_picture_bands_by_half_and_grain_hides_it() -> None:
    before = ramp()
    half = before.copy()
    half[:, :128] = half[:, :128] // 5 * 5
    assert banding(before, half) == pytest.approx(0.5)
    grain = np.random.default_rng(1).normal(0, 3, half.shape[:2])
    assert banding(before, grey((before // 5 * 5)[..., 0] + grain)) == 0


def test_a_strong_gain_tears_steps_of_three() -> None:
    before = ramp() // 2
    assert banding(before, before * 3) == 1


@settings(max_examples=20, deadline=None)
@given(share=st.integers(0, 100))
def test_new_clipping_is_counted_once_per_pixel(share: int) -> None:
    before = np.full((10, 10, 3), 128, np.uint8)
    before[0] = 255  # was clipped before
    after = before.copy()
    flat = after.reshape(-1, 3)
    flat[100 - share :] = (0, 77, 255)
    assert newly_clipped(before, after) == pytest.approx(min(share, 90) / 100)


@pytest.mark.parametrize(("channel", "a", "b"), [(0, 1, 1), (1, -1, 1), (2, 1, -1)])
def test_cast_points_to_the_colour(channel: int, a: int, b: int) -> None:
    """Red: a* and b* up; green: a* down, b* up; blue: a* up, b* down. A colourful part does not count."""
    before = np.full((40, 40, 3), 120, np.uint8)
    before[:, 20:] = (200, 30, 60)
    after = before.copy()
    after[:, :20, channel] += 12
    figure = cast(before, after)
    assert figure is not None and figure[0] * a > 1 and figure[1] * b > 1
    colourful = before.copy()
    colourful[:, 20:] = (30, 30, 200)
    assert cast(before, colourful) == pytest.approx((0, 0), abs=1e-9)
    assert cast(before[:, 20:], after[:, 20:]) is None


def test_brightening_casts_nothing() -> None:
    before = to_uint8(np.repeat(np.linspace(0.2, 0.7, 64)[None, :, None], 3, axis=2) * np.ones((64, 1, 1)))
    assert cast(before, (before * 1.3).astype(np.uint8)) == pytest.approx((0, 0), abs=0.01)


def test_sizes_and_types_are_checked() -> None:
    small, large = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)
    for figure in (newly_clipped, cast, halo, banding):
        with pytest.raises(ValueError, match="one size"):
            figure(small, large)
        with pytest.raises(ValueError, match="uint8"):
            figure(small, small.astype(np.float32))
