"""The DSLR photo on the phone's grid: reduced to the phone's scale first, so that nothing aliases, then warped once."""

from __future__ import annotations

from copy import copy
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]


class Resampled:
    """A DSLR photo that can be looked at through windows of the phone's grid.

    Reduction is Pillow's Lanczos filter, three lobes wide on the coarse grid; the warp, which then changes the scale by
    a few percent only, is the 8x8 Lanczos of OpenCV. Both act on sRGB-encoded values: in linear light the lobes would
    ring around highlights.
    """

    def __init__(self, dslr: Pixels, homography: Floats, scale: float):
        """dslr: [H, W, 3] uint8; homography: phone px -> DSLR px; scale: DSLR px per phone px in the common part."""
        height, width = dslr.shape[:2]
        small_width, small_height = width, height
        if scale > 1:
            small_width, small_height = max(1, round(width / scale)), max(1, round(height / scale))
            dslr = np.asarray(Image.fromarray(dslr).resize((small_width, small_height), Image.Resampling.LANCZOS))
        x, y = small_width / width, small_height / height
        self.pixels = dslr
        self.reduction = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])  # (p + 1/2) * x - 1/2
        self.homography = self.reduction @ homography

    def moved(self, homography: Floats) -> Resampled:
        """The same photo by another homography of about the same scale."""
        other = copy(self)
        other.homography = self.reduction @ homography
        return other

    def covers(self, left: float, top: float, width: int, height: int) -> bool:
        """Whether the DSLR photo reaches all of that window."""
        corners = np.array([[left, top], [left + width - 1, top], [left + width - 1, top + height - 1],
                            [left, top + height - 1]])  # fmt: skip
        lifted = np.column_stack([corners, np.ones(4)]) @ self.homography.T
        there = lifted[:, :2] / lifted[:, 2:]
        limits = np.array(self.pixels.shape[1::-1]) - 1
        return bool((lifted[:, 2] > 0).all() and (there >= 0).all() and (there <= limits).all())

    def window(self, left: float, top: float, width: int, height: int) -> Pixels:
        """[height, width, 3] uint8 whose first pixel lies at (left, top) of the phone photo; borders are repeated."""
        there = self.homography @ np.array([[1, 0, left], [0, 1, top], [0, 0, 1.0]])
        flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
        seen = cv2.warpPerspective(self.pixels, there, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(seen, np.uint8)

    def picture(self, width: int, height: int, shrink: float) -> Pixels:
        """The phone's whole view at `shrink` times the size, black where the DSLR photo does not reach: to look at."""
        offset = (1 / shrink - 1) / 2
        there = self.homography @ np.array([[1 / shrink, 0, offset], [0, 1 / shrink, offset], [0, 0, 1]])
        blurred = cv2.GaussianBlur(self.pixels, (0, 0), 0.4 / shrink) if shrink < 1 else self.pixels
        seen = cv2.warpPerspective(blurred, there, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        return np.asarray(seen, np.uint8)
