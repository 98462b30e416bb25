"""Phone photos whose place in the DSLR photo is known exactly: the truth that alignment is measured against.

A DSLR photo is seen through a random homography, each phone pixel the mean over its area, and then through the
simulated phone: exposure, white balance, vignetting, blur, noise, sharpening, JPEG. What the phone sees and the
DSLR photo does not is black. SIMULATED, and only a plane: no parallax, no lens distortion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from training.alignment.homography import corners, project
from training.data import simulated_phone

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
SCALES = (1.0, 2.0)  # DSLR px per phone px
ROTATION_DEGREES = 10.0
CORNER_SHIFT = 0.03  # of the view's sides, each corner by itself: perspective
VIEW_SHARE = (0.75, 1.05)  # sides of the phone's view in those of the DSLR's
SAMPLES_PER_SIDE = 4  # of a phone pixel, at the largest scale half a DSLR pixel apart
RANGE = (
    f"scale {SCALES[0]:g} to {SCALES[1]:g}, rotation up to {ROTATION_DEGREES:g} degrees, each corner moved by up to "
    f"{CORNER_SHIFT:.0%} of the sides, view {VIEW_SHARE[0]:g} to {VIEW_SHARE[1]:g} times the DSLR's; exposure, noise, "
    f"blur and JPEG of the simulated phone"
)


@dataclass(frozen=True)
class KnownView:
    """homography [3, 3]: phone px -> DSLR px, pixel centres at integers; size: (height, width) of the phone photo."""

    homography: Floats
    size: tuple[int, int]


def draw(dslr_size: tuple[int, int], seed: int, scales: tuple[float, float] = SCALES) -> KnownView:
    """The view that `seed` stands for, of a DSLR photo of (height, width)."""
    random = np.random.default_rng([seed, 3])
    sides = np.array(dslr_size[::-1], np.float64)
    view = sides * random.uniform(*VIEW_SHARE)  # DSLR px, width and height
    size = (view / random.uniform(*scales)).round()
    angle = np.radians(random.uniform(-ROTATION_DEGREES, ROTATION_DEGREES))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    unit = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    seen = unit * view @ turn.T + sides / 2 - 0.5
    seen += random.uniform(-CORNER_SHIFT, CORNER_SHIFT, (4, 2)) * view
    seen += random.uniform(-0.5, 0.5, 2) * np.maximum(0, sides - view)
    own = (unit + 0.5) * size - 0.5
    homography = cv2.getPerspectiveTransform(own.astype(np.float32), seen.astype(np.float32))
    return KnownView(np.asarray(homography, np.float64), (int(size[1]), int(size[0])))


def render(dslr: Pixels, view: KnownView, seed: int) -> Pixels:
    """[H, W, 3] uint8 -> the phone photo of `view.size`."""
    n, (height, width) = SAMPLES_PER_SIDE, view.size
    fine = np.array([[1 / n, 0, (1 / n - 1) / 2], [0, 1 / n, (1 / n - 1) / 2], [0, 0, 1]])
    samples = cv2.warpPerspective(
        dslr, view.homography @ fine, (width * n, height * n), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    seen = cv2.resize(samples, (width, height), interpolation=cv2.INTER_AREA)
    return simulated_phone.simulate(np.asarray(seen, np.uint8), seed)


def corner_errors(truth: KnownView, homography: Floats) -> Floats:
    """[4]: how far an estimate puts the corners of the phone photo from where they are, in phone px."""
    own = corners(truth.size)
    return np.linalg.norm(project(np.linalg.inv(truth.homography) @ homography, own) - own, axis=1)


def shift_errors(truth: KnownView, homography: Floats, centres: Floats, shifts: Floats) -> Floats:
    """[N]: how far patches, moved by `shifts` [N, 2] from what the estimate says, are still off, in phone px."""
    return np.linalg.norm(project(np.linalg.inv(truth.homography) @ homography, centres + shifts) - centres, axis=1)
