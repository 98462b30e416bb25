"""Patches of an aligned pair: windows of the phone photo that do not overlap, and the DSLR's side of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.alignment.homography import Alignment, overlap
from training.alignment.patch_quality import MOVED, colour_outliers, unexplained
from training.alignment.resampling import Resampled
from training.alignment.window_shift import correlation, find_shift, luminance

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
SEARCH_PX = 6  # as far may a patch lie from where the homography has it: parallax, lens distortion
INSET_PX = 2  # of the first windows from the border of the common view, so that small moves do not lead out of it
SETTLED_PX = 0.02  # a shift that changes less is found
LEAST_SPREAD_PX = 0.05  # of patches around the homography
NOISE_PX = 200  # area over which errors are alike: more than a block of a JPEG
ROUNDS = 3


@dataclass(frozen=True)
class Patch:
    """left, top: of the window in the phone photo. shift_x, shift_y: by how much the DSLR's window was moved, in px.

    phone, dslr: [p, p, 3] uint8. correlation: normalized, of the luminance.
    """

    left: int
    top: int
    shift_x: float
    shift_y: float
    correlation: float
    phone: Pixels
    dslr: Pixels


@dataclass(frozen=True)
class Cut:
    """patches: those kept. crop: left, top, width, height of the common view in phone px. dropped: reason -> count.

    windows: how many lie in the common view. best_correlation: of all of them, kept or not; 0 without any.
    """

    patches: list[Patch]
    crop: tuple[int, int, int, int]
    dropped: dict[str, int]
    windows: int
    best_correlation: float


def cut(
    phone: Pixels, resampled: Resampled, alignment: Alignment, dslr_size: tuple[int, int],
    patch_px: int, min_correlation: float,
) -> Cut:  # fmt: skip
    """Every window that passes: the same things in the same places in the same light."""
    left, top, width, height = crop = common_crop(alignment.homography, (phone.shape[0], phone.shape[1]), dslr_size)
    found: list[Patch] = []
    dropped: Counter[str] = Counter()
    best, windows = 0.0, 0
    spread_px = max(alignment.residual_px, LEAST_SPREAD_PX)
    for y in range(top + INSET_PX, top + height - patch_px + 1, patch_px):
        for x in range(left + INSET_PX, left + width - patch_px + 1, patch_px):
            patch = _settle(phone[y : y + patch_px, x : x + patch_px], resampled, x, y, spread_px)
            if patch is None:
                continue
            windows += 1
            best = max(best, patch.correlation)
            if patch.correlation < min_correlation:
                dropped["correlation too low"] += 1
            elif unexplained(luminance(patch.phone), luminance(patch.dslr)) > MOVED:
                dropped["something moved"] += 1
            else:
                found.append(patch)
    colours = [np.array([getattr(patch, side).mean(axis=(0, 1)) for patch in found]) for side in ("phone", "dslr")]
    odd = colour_outliers(*colours)
    if odd.any():
        dropped["other light"] = int(odd.sum())
    kept = [patch for patch, is_odd in zip(found, odd, strict=True) if not is_odd]
    return Cut(kept, crop, dict(dropped), windows, best)


def common_crop(homography: Floats, phone: tuple[int, int], dslr: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, width, height of the smallest box in phone px around what both photos show."""
    polygon = overlap(homography, phone, dslr)
    if not len(polygon):
        return 0, 0, 0, 0
    left, top = (int(edge) for edge in np.ceil(polygon.min(axis=0) - 1e-3))
    right, bottom = (int(edge) for edge in np.floor(polygon.max(axis=0) + 1e-3))
    return left, top, right - left + 1, bottom - top + 1


def _settle(phone: Pixels, resampled: Resampled, x: int, y: int, spread_px: float) -> Patch | None:
    """The DSLR's side moved until it lies on the phone's; None where the DSLR photo does not reach.

    Along an edge, or in noise, a patch does not tell where it lies, but the homography does, to `spread_px`. So both
    are weighed by their information: the shift is the mean of the normal distribution that their product makes.
    """
    side, grey = phone.shape[0], luminance(phone)
    moved, search = np.zeros(2), SEARCH_PX
    if not resampled.covers(x, y, side, side):
        return None
    for _ in range(ROUNDS):
        left, top, searched = x + moved[0] - search, y + moved[1] - search, side + 2 * search
        shift = find_shift(grey, luminance(resampled.window(left, top, searched, searched)))
        told = shift.information * (side**2 / NOISE_PX)
        better = np.linalg.solve(told + np.eye(2) / spread_px**2, told @ (moved + np.array([shift.x, shift.y])))
        change, moved, search = float(np.abs(better - moved).max()), better, 2
        if change < SETTLED_PX:
            break
    if not resampled.covers(x + moved[0], y + moved[1], side, side):
        return None
    dslr = resampled.window(x + moved[0], y + moved[1], side, side)
    likeness = correlation(grey, luminance(dslr))
    return Patch(x, y, float(moved[0]), float(moved[1]), likeness, phone, dslr)
