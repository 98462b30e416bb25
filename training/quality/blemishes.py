"""What an enhancement must not do to a photo, as figures: clip, cast a colour, draw halos, tear gradients into bands.

All compare the 8-bit photo with its 8-bit enhancement, [H, W, 3] uint8 sRGB each. A figure is None where the photo
has nothing to judge it by (no edge, no grey, no gradient). Lengths are pixels, lightness is in 8-bit levels.
"""

from __future__ import annotations

import math
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.optimize import isotonic_regression
from skimage.color import rgb2lab
from skimage.feature import canny

Pixels = npt.NDArray[np.uint8]
Double = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

NEUTRAL_CHROMA = 5.0  # CIELAB; below it a surface looks grey
NEUTRAL_LIGHTNESS = (10.0, 95.0)  # CIELAB; darker noise and clipped white tell nothing
NEUTRAL_LEAST_SHARE = 0.002

EDGE_STEP_LEVELS = 50.0
EDGE_SIGMA_PX = 2.0
RIM_PX = (4, 24)  # sharpening ends at 4; a halo is seen within about 24
BEHIND_PX = (24, 48)
SIDE_LEVELS = 5.0
STRETCH_PX = 32
STRETCH_LEAST_PX = 64
FIT_PX = 200_000

BLOCK_PX = 32
GRADIENT_LEVELS = 4  # a smooth block must span at least so many, or it has no steps to see
SMOOTH_RMS_LEVELS, SMOOTH_MOST_LEVELS = 1.0, 4.0
BAND_STEP_LEVELS = 2  # by so much a step must grow: any gain up to 2 turns steps of one level into at most two
OUTERMOST_PX = 20  # of 1,024 at each end: the tails of noise have empty levels, too
BLOCKS_LEAST = 8


def _same_shape(before: Pixels, after: Pixels) -> None:
    if before.shape != after.shape or before.dtype != np.uint8 or after.dtype != np.uint8:
        raise ValueError(f"two uint8 photos of one size are needed, not {list(before.shape)} and {list(after.shape)}")


def clipped(pixels: Pixels) -> Mask:
    """[H, W]: pixels of which any channel is 0 or 255."""
    return ((pixels == 0) | (pixels == 255)).any(2)


def newly_clipped(before: Pixels, after: Pixels) -> float:
    """Share of pixels that are clipped in `after` and were not in `before`."""
    _same_shape(before, after)
    return float(np.mean(clipped(after) & ~clipped(before)))


def cast(before: Pixels, after: Pixels) -> tuple[float, float] | None:
    """Mean change of CIELAB a* (to red) and b* (to yellow) where the photo was near grey: what was grey should stay so.

    Near grey: chroma at most 5 at lightness 10 to 95. None if that is below 0.2 % of the photo.
    """
    _same_shape(before, after)
    lab: Double = rgb2lab(before)  # type: ignore[no-untyped-call]
    low, high = NEUTRAL_LIGHTNESS
    grey = (np.hypot(lab[..., 1], lab[..., 2]) <= NEUTRAL_CHROMA) & (low <= lab[..., 0]) & (lab[..., 0] <= high)
    if np.mean(grey) < NEUTRAL_LEAST_SHARE:
        return None
    changed: Double = rgb2lab(after[grey][:, None])  # type: ignore[no-untyped-call]
    a, b = (changed[:, 0] - lab[grey])[:, 1:].mean(0)
    return float(a), float(b)


def luma(pixels: Pixels) -> Double:
    """[H, W] in 0..255, by the weights of BT.601."""
    return pixels @ np.array([0.299, 0.587, 0.114])


def beyond_tone_curve(before: Double, after: Double) -> Double:
    """`after` less the monotone tone curve of `before` that explains most of it (least squares, isotonic)."""
    levels = np.round(before).astype(np.intp)
    count = np.bincount(levels.ravel(), minlength=256)
    used = count > 0
    mean = np.bincount(levels.ravel(), after.ravel(), minlength=256)[used] / count[used]
    curve = isotonic_regression(mean, weights=count[used]).x
    return after - np.interp(before, np.flatnonzero(used), curve)


def beyond_colours(pixels: Pixels, values: Double) -> Double:
    """`values` [H, W] less the cubic polynomial of R, G and B that explains most of them (least squares)."""
    powers = [term for degree in range(4) for term in combinations_with_replacement(range(3), degree)]

    def term_of(pixels: Pixels, term: tuple[int, ...]) -> Double:
        return np.prod(pixels[..., list(term)] / 127.5 - 1, axis=-1)

    stride = 1 + values.size // FIT_PX
    some = pixels.reshape(-1, 3)[::stride]
    basis = np.stack([term_of(some, term) for term in powers], axis=1)
    coefficients = np.linalg.lstsq(basis, values.ravel()[::stride], rcond=None)[0]
    explained = sum(factor * term_of(pixels, term) for factor, term in zip(coefficients, powers, strict=True))
    return values - explained


def halo(before: Pixels, after: Pixels) -> float | None:
    """How much lightness changes towards strong edges, in 8-bit levels: 0 for the identity and any global curve.

    A halo is a rim: on one side of an edge, pixels near it are treated otherwise than pixels farther away, though the
    photo is the same there. So: (1) the best monotone tone curve is taken out of the output's luma, since brightening
    as such is no halo. (2) Edges are Canny's, for steps of 50 levels or more at a scale of 2 px; every pixel belongs
    to its nearest edge, and to the bright or the dark side of it. (3) For every stretch of an edge (32 px) and side,
    the mean of the residual 4-24 px from the edge is compared with that 24-48 px away. What a model does to an object
    as a whole, and noise, cancel in that difference; nearer than 4 px is sharpness, which is wanted. (4) The figure
    is the mean absolute difference over stretches, each by the number of its pixels, so that bright and dark rims
    both count. None without a stretch that has 64 pixels in both zones.
    """
    _same_shape(before, after)
    y = luma(before)
    residual = beyond_colours(before, beyond_tone_curve(y, luma(after)))
    # Peak gradient of a step under a Gaussian, and 8 for the sum of Sobel's weights, by which Canny's thresholds are.
    threshold = 8 * EDGE_STEP_LEVELS / (EDGE_SIGMA_PX * math.sqrt(2 * math.pi))
    edges: Mask = canny(y, EDGE_SIGMA_PX, threshold / 2, threshold)  # type: ignore[no-untyped-call]
    if not edges.any():
        return None
    distance, (rows, columns) = distance_transform_edt(~edges, return_indices=True)
    smooth = gaussian_filter(y, EDGE_SIGMA_PX)
    contrast = smooth - smooth[rows, columns]
    sided = np.abs(contrast) >= SIDE_LEVELS
    stretches_per_row = edges.shape[1] // STRETCH_PX + 1
    stretch = 2 * (rows // STRETCH_PX * stretches_per_row + columns // STRETCH_PX) + (contrast > 0)

    def by_stretch(zone: tuple[int, int]) -> tuple[Double, Double]:
        inside = sided & (distance >= zone[0]) & (distance < zone[1])
        count = np.bincount(stretch[inside], minlength=int(stretch.max()) + 1).astype(float)
        total = np.bincount(stretch[inside], residual[inside], minlength=count.size)
        return count, total / np.maximum(count, 1)

    (near, at_rim), (far, behind) = by_stretch(RIM_PX), by_stretch(BEHIND_PX)
    weight = np.minimum(near, far)
    weight[weight < STRETCH_LEAST_PX] = 0
    if not weight.any():
        return None
    return float(np.average(np.abs(at_rim - behind), weights=weight))


def _blocks(plane: npt.NDArray[Any]) -> Double:
    """[H, W] -> [blocks, BLOCK_PX^2], what does not fill a block left out."""
    rows, columns = (side // BLOCK_PX for side in plane.shape)
    cut = plane[: rows * BLOCK_PX, : columns * BLOCK_PX].astype(np.float64)
    return cut.reshape(rows, BLOCK_PX, columns, BLOCK_PX).swapaxes(1, 2).reshape(rows * columns, BLOCK_PX**2)


def _smooth_gradient(blocks: Double) -> Mask:
    """[blocks]: those that are a plane, to 1 level rms and 4 at most, and span at least 4 levels."""
    across, down = np.meshgrid(np.linspace(-1, 1, BLOCK_PX), np.linspace(-1, 1, BLOCK_PX))
    planes = np.stack([np.ones(BLOCK_PX**2), across.ravel(), down.ravel()])
    off = blocks - blocks @ np.linalg.pinv(planes) @ planes
    close = (np.sqrt(np.mean(off**2, 1)) <= SMOOTH_RMS_LEVELS) & (np.abs(off).max(1) <= SMOOTH_MOST_LEVELS)
    return close & (np.ptp(blocks, axis=1) >= GRADIENT_LEVELS)


def _largest_step(blocks: Double) -> Double:
    """[blocks]: the largest distance between neighbouring levels that a block has, its few outermost pixels aside."""
    ordered = np.sort(blocks, axis=1)[:, OUTERMOST_PX:-OUTERMOST_PX]
    return np.diff(ordered, axis=1).max(1)


def banding(before: Pixels, after: Pixels) -> float | None:
    """Share of smooth gradients that the enhancement tears into steps.

    A smooth gradient is a block of 32 x 32 px in which a channel is a plane to about 1 level and spans at least 4. It
    bands where levels are empty in the output: where the largest distance between neighbouring levels that occur in
    the block grows by 2 or more, say from 1 to 3, which shows as a contour. A gain up to 2 cannot do that, and noise,
    which hides contours, also fills the levels. None below 8 such blocks.
    """
    _same_shape(before, after)
    banded = smooth = 0
    for channel in range(3):
        given, made = _blocks(before[..., channel]), _blocks(after[..., channel])
        chosen = _smooth_gradient(given)
        smooth += int(chosen.sum())
        if chosen.any():
            banded += int(np.sum(_largest_step(made[chosen]) >= _largest_step(given[chosen]) + BAND_STEP_LEVELS))
    return banded / smooth if smooth >= BLOCKS_LEAST else None
