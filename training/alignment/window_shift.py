"""How far a window of one photo must move to lie on another: the peak of correlation, to parts of a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.float32]
Floats = npt.NDArray[np.floating[Any]]
FLAT = 1e-5  # correlation per square px: below, the peak is a ridge
SAME = 1e-3  # of 1 - correlation: no window is trusted more than at this


@dataclass(frozen=True)
class Shift:
    """x, y: where the window's content lies in the other photo, in px from where it was expected.

    correlation: normalized, at the best whole pixel.
    information [2, 2]: inverse covariance of (x, y) up to a factor that all windows of a photo share; weak along an
    edge and zero where nothing is told: the peak lies at the end of the search, or is none.
    """

    x: float
    y: float
    correlation: float
    information: Floats

    @property
    def found(self) -> bool:
        return bool(self.information.any())


def find_shift(window: Grey, searched: Grey) -> Shift:
    """window [h, w] expected in the middle of searched [h + 2m, w + 2m], and looked for up to m px away.

    The quadratic through the peak and its eight neighbours gives the fraction; it is exact where the shift is 0 and off
    by a few hundredths of a pixel elsewhere, so a second look from where the first one led is better.
    """
    surface = cv2.matchTemplate(searched, window, cv2.TM_CCOEFF_NORMED)
    margin = surface.shape[0] // 2
    _, peak, _, (column, row) = cv2.minMaxLoc(surface)
    nothing = Shift(column - margin, row - margin, peak, np.zeros((2, 2)))
    if not 0 < row < surface.shape[0] - 1 or not 0 < column < surface.shape[1] - 1:
        return nothing
    z = surface[row - 1 : row + 2, column - 1 : column + 2].astype(np.float64)
    slope = np.array([z[1, 2] - z[1, 0], z[2, 1] - z[0, 1]]) / 2
    across = (z[2, 2] - z[2, 0] - z[0, 2] + z[0, 0]) / 4
    curvature = np.array([[2 * z[1, 1] - z[1, 0] - z[1, 2], -across], [-across, 2 * z[1, 1] - z[0, 1] - z[2, 1]]])
    if np.linalg.eigvalsh(curvature)[0] < FLAT:
        return nothing
    x, y = np.linalg.solve(curvature, slope)
    if max(abs(x), abs(y)) > 1:
        return nothing
    return Shift(column - margin + x, row - margin + y, peak, curvature / max(1 - peak, SAME))


def correlation(a: Grey, b: Grey) -> float:
    """Normalized correlation of two equal windows, -1 to 1; 0 where one of them is flat."""
    a, b = a - a.mean(), b - b.mean()
    energy = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / energy if energy > 1e-6 * a.size else 0.0


def luminance(pixels: npt.NDArray[Any]) -> Grey:
    """[H, W, 3] uint8 sRGB -> [H, W] float32 in [0, 255]: luma of ITU-R BT.601, as encoded."""
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
