"""What happens to one photo: the parameters of a simulated camera, and the ranges that they are drawn from.

All numbers of a shot are kept beside the samples that it makes, so that tests and judges know the truth.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np

Demosaicing = Literal["bilinear", "edge-aware", "gradients"]
Denoiser = Literal["bilateral", "median", "non-local"]
Range = tuple[float, float]


@dataclass(frozen=True)
class Shot:
    """One photo by one camera.

    exposure_stops: error of the exposure; below 0 is darker than the scene was shown by the DSLR.
    red_gain, blue_gain: white balance of the sensor under the scene's light, relative to green.
    red_error, blue_error: factors by which the camera's own white balance misses these.
    matrix: mixture of four sensors' colour matrices, adds up to 1.
    blur_px, blur_ratio, blur_angle: standard deviation of the point spread along its long axis, the short one relative
        to it, and its direction in radians.
    aberration: how much larger red and smaller blue is shown, as a share of the distance from the centre.
    vignetting: share of light lost in the corners. veil: share of the mean light that flare spreads over all.
    full_well_electrons, read_noise_electrons: of a pixel at the gain of this shot.
    pattern: place of the colour filter array, 0 to 3 (RGGB, GRBG, GBRG, BGGR).
    luma_denoising, chroma_denoising: strength, in standard deviations of the noise; chroma_px: how far chroma smears.
    saturation: 1 keeps colours. contrast: of the S-shaped tone curve, 0 is none. black: encoded value of black.
    local_tone: share by which large differences of light are compressed, 0 is none.
    sharpening, sharpening_px: amount and radius of the unsharp mask. overshoot: largest halo, encoded.
    jpeg_quality: of the file. first_quality, rescale: of an earlier file and its size; 0 where there was none.
    """

    exposure_stops: float
    red_gain: float
    blue_gain: float
    red_error: float
    blue_error: float
    matrix: tuple[float, float, float, float]
    blur_px: float
    blur_ratio: float
    blur_angle: float
    aberration: float
    vignetting: float
    veil: float
    full_well_electrons: float
    read_noise_electrons: float
    pattern: int
    demosaicing: Demosaicing
    denoiser: Denoiser
    luma_denoising: float
    chroma_denoising: float
    chroma_px: float
    saturation: float
    contrast: float
    black: float
    local_tone: float
    sharpening: float
    sharpening_px: float
    overshoot: float
    jpeg_quality: int
    first_quality: int
    rescale: float
    noise_seed: int


@dataclass(frozen=True)
class Ranges:
    """Where shots are drawn from: (lowest, highest), uniform; electrons on a logarithmic scale."""

    exposure_stops: Range = (-1.8, 0.5)
    red_gain: Range = (1.5, 2.5)
    blue_gain: Range = (1.4, 2.4)
    white_balance_error: Range = (0.88, 1.12)
    blur_px: Range = (0.35, 1.3)
    blur_ratio: Range = (0.6, 1.0)
    aberration: Range = (-0.0012, 0.0012)
    vignetting: Range = (0.0, 0.4)
    veil: Range = (0.0, 0.06)
    full_well_electrons: Range = (400.0, 10000.0)
    read_noise_electrons: Range = (1.5, 8.0)
    demosaicing: tuple[Demosaicing, ...] = ("bilinear", "edge-aware")
    denoisers: tuple[Denoiser, ...] = ("bilateral", "median")
    luma_denoising: Range = (0.5, 3.0)
    chroma_denoising: Range = (0.5, 4.0)
    chroma_px: Range = (1.0, 6.0)
    saturation: Range = (0.65, 1.15)
    contrast: Range = (0.0, 0.6)
    black: Range = (0.0, 0.04)
    local_tone: Range = (0.0, 0.35)
    sharpening: Range = (0.1, 1.4)
    sharpening_px: Range = (0.7, 1.8)
    overshoot: Range = (0.04, 0.3)
    jpeg_quality: Range = (70.0, 96.0)
    twice: float = 0.3
    rescale: Range = (0.6, 1.0)


PHONES = Ranges()
# For judging alone: another demosaicing, another denoiser, a smaller sensor, another hand at the curve.
OTHER_PHONES = replace(
    PHONES, demosaicing=("gradients",), denoisers=("non-local",), full_well_electrons=(180.0, 3000.0),
    contrast=(0.1, 0.8), local_tone=(0.1, 0.5), jpeg_quality=(60.0, 92.0),
)  # fmt: skip


def draw(seed: int, ranges: Ranges = PHONES) -> Shot:
    """The shot that `seed` stands for."""
    random = np.random.default_rng([seed, 3])
    within: dict[str, Any] = {
        field.name: random.uniform(*bounds)
        for field in fields(ranges)
        if isinstance(bounds := getattr(ranges, field.name), tuple) and isinstance(bounds[0], float)
    }
    low, high = np.log(ranges.full_well_electrons)
    within["full_well_electrons"] = float(np.exp(random.uniform(low, high)))
    rescale = within.pop("rescale")
    within.pop("white_balance_error")
    errors = random.uniform(*ranges.white_balance_error, 2)
    twice = random.random() < ranges.twice
    chosen: dict[str, Any] = {
        "red_error": float(errors[0]),
        "blue_error": float(errors[1]),
        "matrix": tuple(random.dirichlet(np.ones(4))),
        "blur_angle": float(random.uniform(0, np.pi)),
        "pattern": int(random.integers(4)),
        "demosaicing": str(random.choice(ranges.demosaicing)),
        "denoiser": str(random.choice(ranges.denoisers)),
        "jpeg_quality": int(within.pop("jpeg_quality")),
        "first_quality": int(random.integers(70, 97)) if twice else 0,
        "rescale": rescale if twice else 1.0,
        "noise_seed": int(random.integers(2**31)),
    }
    return Shot(**within, **chosen)
