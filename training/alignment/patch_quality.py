"""Which patches of an aligned pair show the same: nothing has moved, and the light is that of the rest of the photo."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from training.alignment.window_shift import Grey

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
CELL_PX = 20  # in which something may have moved
DETAIL_PX = 2.0  # standard deviation of the blur before the comparison: noise and sharpness may differ
MOVED = 0.3  # share of a patch's variance that a mean pixel of one cell may leave unexplained
FEWEST_TO_JUDGE = 12  # patches of a photo, for one to be an outlier among them
OUTLIER_DEVIATIONS, OUTLIER_AT_LEAST = 4.0, 12.0  # robust standard deviations; of 255
TONE_DEGREE = 3


def unexplained(phone: Grey, dslr: Grey) -> float:
    """How much the worst cell differs once one tone curve has been fitted, in units of the patch's variance.

    Cameras differ in exposure and tone, so dslr [p, p] is predicted from phone [p, p] by a cubic polynomial. Something
    that moves in a corner leaves the correlation of the whole patch high; it shows here.
    """
    phone, dslr = (np.asarray(cv2.GaussianBlur(side, (0, 0), DETAIL_PX), np.float32) for side in (phone, dslr))
    values = ((phone - phone.mean()) / max(float(phone.std()), 1.0)).ravel().astype(np.float64)
    powers = np.vander(values, TONE_DEGREE + 1)
    tone = np.linalg.lstsq(powers, dslr.ravel().astype(np.float64), rcond=None)[0]
    squares = ((dslr.ravel() - powers @ tone) ** 2).reshape(dslr.shape)
    cells = max(1, dslr.shape[0] // CELL_PX)
    means = cv2.resize(squares, (cells, cells), interpolation=cv2.INTER_AREA)
    return float(means.max() / max(float(dslr.var()), 1.0))


def colour_outliers(phone: Floats, dslr: Floats) -> npt.NDArray[np.bool_]:
    """[N]: True for patches whose DSLR colour is not what the others let expect of the phone's.

    phone, dslr: [N, 3] mean colours in [0, 255]. One quadratic per DSLR channel over the phone's three, fitted robustly
    (iterated, Geman and McClure's weights); with fewer than FEWEST_TO_JUDGE patches nothing is an outlier.
    """
    if len(phone) < FEWEST_TO_JUDGE:
        return np.zeros(len(phone), bool)
    colour = phone / 255 - 0.5
    terms = np.column_stack([np.ones(len(phone)), colour, colour**2])
    damping = np.diag([0, *[1e-3] * 6]) * len(phone)  # few patches do not say how all colours change
    weight = np.ones(len(phone))
    off = np.zeros(len(phone))
    for _ in range(10):
        weighed = terms * weight[:, None]
        fitted = terms @ np.linalg.solve(weighed.T @ terms + damping, weighed.T @ dslr)
        off = np.abs(dslr - fitted).max(axis=1)
        deviation = max(1.4826 * float(np.median(off)), OUTLIER_AT_LEAST / OUTLIER_DEVIATIONS)
        weight = 1 / (1 + (off / (2 * deviation)) ** 2) ** 2
    return off > OUTLIER_DEVIATIONS * deviation
