"""A homography from keypoints, made exact: small windows all over the common view say how far it is still off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from training.alignment.homography import Alignment, overlap, project
from training.alignment.resampling import Resampled
from training.alignment.window_shift import Grey, find_shift, luminance

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
WINDOW_PX = 48
WINDOWS = 400  # about; evenly over the common view
SEARCH_PX = (6, 3)  # in the first and in the second round
MIN_CORRELATION = 0.7
MIN_WINDOWS = 12  # with fewer, the keypoints know better
ITERATIONS = 15


def refine(alignment: Alignment, phone: Pixels, resampled: Resampled, dslr_size: tuple[int, int]) -> Alignment:
    """The alignment with its homography fitted to windows, or as it was where too few of them are found again.

    residual_px is then the median over the windows: parallax and lens distortion are what remains.
    """
    grey = luminance(phone)
    for search in SEARCH_PX:
        common_px = cv2.contourArea(overlap(alignment.homography, grey.shape, dslr_size))
        centres, shifts, information = _measure(grey, resampled, common_px, search)
        if len(centres) < MIN_WINDOWS:
            return alignment
        correction, residual_px = fit(centres, shifts, information)
        homography = alignment.homography @ correction
        alignment = replace(alignment, homography=homography / homography[2, 2], residual_px=residual_px)
        resampled = resampled.moved(alignment.homography)
    return alignment


def fit(centres: Floats, shifts: Floats, information: Floats) -> tuple[Floats, float]:
    """The homography [3, 3] near the identity that takes centres [N, 2] to centres + shifts, and its median error.

    Gauss-Newton on the sum of residual @ information [N, 2, 2] @ residual, each term weighed down (Geman and McClure)
    by how far it lies beyond the median: windows on moving things and off the common plane do not count.
    """
    middle, spread = centres.mean(axis=0), max(float(centres.std()), 1.0)
    x, y = ((centres - middle) / spread).T
    target = (centres + shifts - middle) / spread
    homography = np.eye(3)
    zero, one = np.zeros_like(x), np.ones_like(x)
    for _ in range(ITERATIONS):
        lifted = np.column_stack([x, y, one]) @ homography.T
        u, v, w = lifted.T
        residual = target - lifted[:, :2] / w[:, None]
        energy = np.einsum("ni,nij,nj->n", residual, information, residual)
        weight = 1 / (1 + energy / max(4 * float(np.median(energy)), 1e-12)) ** 2
        along_x = np.column_stack([x / w, y / w, one / w, zero, zero, zero, -u / w**2 * x, -u / w**2 * y])
        along_y = np.column_stack([zero, zero, zero, x / w, y / w, one / w, -v / w**2 * x, -v / w**2 * y])
        jacobian = np.stack([along_x, along_y], axis=1)
        weighed = information * weight[:, None, None]
        left = np.einsum("nia,nij,njb->ab", jacobian, weighed, jacobian)
        right = np.einsum("nia,nij,nj->a", jacobian, weighed, residual)
        step = np.linalg.lstsq(left, right, rcond=1e-12)[0]
        homography += np.append(step, 0).reshape(3, 3)
    normal = np.array([[spread, 0, middle[0]], [0, spread, middle[1]], [0, 0, 1]])
    homography = normal @ homography @ np.linalg.inv(normal)
    error = np.linalg.norm(project(homography, centres) - centres - shifts, axis=1)
    return homography / homography[2, 2], float(np.median(error))


def _measure(grey: Grey, resampled: Resampled, common_px: float, search: int) -> tuple[Floats, Floats, Floats]:
    """Of windows: centres [N, 2] in phone px, how far off their content lies [N, 2], and how surely [N, 2, 2]."""
    height, width = grey.shape
    step = max(WINDOW_PX // 2, int(np.sqrt(common_px / WINDOWS)))
    side, middle = WINDOW_PX + 2 * search, (WINDOW_PX - 1) / 2
    found = []
    for top in _positions(height, step):
        for left in _positions(width, step):
            if not resampled.covers(left - search, top - search, side, side):
                continue
            seen = luminance(resampled.window(left - search, top - search, side, side))
            shift = find_shift(grey[top : top + WINDOW_PX, left : left + WINDOW_PX], seen)
            if shift.found and shift.correlation >= MIN_CORRELATION:
                found.append(((left + middle, top + middle), (shift.x, shift.y), shift.information))
    centres, shifts, information = zip(*found, strict=True) if found else ((), (), ())
    return np.array(centres), np.array(shifts), np.array(information)


def _positions(length: int, step: int) -> list[int]:
    """Where windows begin, from one border to the other: what lies beyond the last one would be a guess."""
    last = length - WINDOW_PX
    return [] if last < 0 else [round(last * k / max(1, last // step)) for k in range(last // step + 1)]
