"""Quality and fidelity metrics of images, and their means over a set.

All images are float RGB [H, W, 3], sRGB-encoded, in [0, 1]; nothing is rounded to 8 bit. No torch here, so that
whoever only compares pictures need not load it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

Image = npt.NDArray[np.floating[Any]]
Double = npt.NDArray[np.float64]

PSNR_CAP_DB = 120.0  # identical images have no finite PSNR; a mean over images needs one
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW_PX = 11
WINDOW_SIGMA_PX = 1.5


def _same_shape(image: Image, reference: Image) -> None:
    if image.shape != reference.shape or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(
            f"two images [H, W, 3] of one size are needed, not {list(image.shape)} and {list(reference.shape)}"
        )


def mse(image: Image, reference: Image) -> float:
    """Mean squared error over pixels and channels, in units of the range squared.

    Raises:
        ValueError: (as every metric here) the two are not [H, W, 3] of one size.
    """
    _same_shape(image, reference)
    difference = np.subtract(image, reference, dtype=np.float64)
    return float(np.mean(difference * difference))


def mse_to_psnr(error: float) -> float:
    """-10 log10(mse) dB for the range [0, 1], at most 120 dB."""
    return float(-10 * np.log10(max(error, 10 ** (-PSNR_CAP_DB / 10))))


def psnr(image: Image, reference: Image) -> float:
    """Peak signal-to-noise ratio in dB, peak 1, at most 120 (identical images)."""
    return mse_to_psnr(mse(image, reference))


def ssim(image: Image, reference: Image) -> float:
    """Structural similarity (Wang et al. 2004), mean over pixels and the three channels; 1 for identical images.

    Gaussian window of 11 px, sigma 1.5 px, K1 = 0.01, K2 = 0.03, range 1, biased covariance, borders of 5 px left
    out. Where a side is below 11 px, the border left out shrinks to what fits.
    """
    _same_shape(image, reference)
    shorter = min(image.shape[:2])
    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            image.astype(np.float64),
            reference.astype(np.float64),
            win_size=min(WINDOW_PX, shorter - 1 + shorter % 2),
            data_range=1.0,
            channel_axis=2,
            gaussian_weights=True,
            sigma=WINDOW_SIGMA_PX,
            use_sample_covariance=False,
        )
    )


def _blur_inside(image: Double) -> Double:
    """Gaussian mean over windows of min(11, H, W) px that lie wholly inside: [H, W, 3] -> [H - n + 1, W - n + 1, 3]."""
    size = min(WINDOW_PX, *image.shape[:2])
    sigma = WINDOW_SIGMA_PX * size / WINDOW_PX
    taps = np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / sigma) ** 2)
    taps /= taps.sum()
    first = size // 2
    rows = correlate1d(image, taps, axis=0)[first : first + image.shape[0] - size + 1]
    return correlate1d(rows, taps, axis=1)[:, first : first + image.shape[1] - size + 1]


def _similarity(x: Double, y: Double) -> tuple[float, float]:
    """Mean SSIM and mean contrast-structure term of one scale, range 255."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_x, mean_y = _blur_inside(x), _blur_inside(y)
    variances = _blur_inside(x * x) - mean_x**2 + _blur_inside(y * y) - mean_y**2
    covariance = _blur_inside(x * y) - mean_x * mean_y
    structure = (2 * covariance + c2) / (variances + c2)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return float(np.mean(luminance * structure)), float(np.mean(structure))


def _halve(image: Double) -> Double:
    """Means of 2x2 boxes; an odd last row or column is repeated."""
    odd_rows, odd_columns = image.shape[0] % 2, image.shape[1] % 2
    even = np.pad(image, ((0, odd_rows), (0, odd_columns), (0, 0)), mode="edge")
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4


def ms_ssim(image: Image, reference: Image) -> float:
    """Multi-scale SSIM as the authors of DPED score it (their `ssim.py`; Wang et al. 2003), of one image.

    Five scales with weights .0448 .2856 .3001 .2363 .1333; at each a Gaussian window of n = min(11, H, W) px, sigma
    1.5 n / 11, inside the image only; halved by 2x2 boxes; range 255; all channels in one mean. Works at any size
    (stock implementations refuse 100-px patches). A negative mean, whose power is not real, counts as 0.
    """
    _same_shape(image, reference)
    x, y = image.astype(np.float64) * 255, reference.astype(np.float64) * 255
    score = 1.0
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        if scale:
            x, y = _halve(x), _halve(y)
        whole, structure = _similarity(x, y)
        last = scale == len(MS_SSIM_WEIGHTS) - 1
        score *= max(whole if last else structure, 0.0) ** weight
    return score


def delta_e(image: Image, reference: Image) -> float:
    """Mean colour difference CIEDE2000 (Sharma et al. 2005), sRGB under D65; about 1 is just noticeable."""
    _same_shape(image, reference)
    differences = deltaE_ciede2000(rgb2lab(image), rgb2lab(reference))  # type: ignore[no-untyped-call]
    return float(np.mean(differences))


def colour_shift(image: Image, reference: Image) -> tuple[float, float, float]:
    """Mean signed difference image - reference of R, G and B, in units of the range: a cast shows as unequal parts."""
    _same_shape(image, reference)
    r, g, b = np.subtract(image, reference, dtype=np.float64).mean((0, 1))
    return float(r), float(g), float(b)


@dataclass
class Scores:
    """Metrics of one model over a set of images: `add` each, then take the `means`."""

    per_image: list[dict[str, float]] = field(default_factory=list)

    def add(self, image: Image, reference: Image) -> None:
        """Score one output against its reference, both [H, W, 3] in [0, 1]."""
        red, green, blue = colour_shift(image, reference)
        self.per_image.append(
            {
                "mse": mse(image, reference),
                "psnr_db": psnr(image, reference),
                "ssim": ssim(image, reference),
                "ms_ssim": ms_ssim(image, reference),
                "delta_e_2000": delta_e(image, reference),
                "colour_shift_r": red,
                "colour_shift_g": green,
                "colour_shift_b": blue,
            }
        )

    def means(self) -> dict[str, float]:
        """Means over the images, each image with equal weight, and both PSNR protocols, which lie decibels apart.

        `psnr_mean_of_images_db` is the mean of the images' PSNR; `psnr_of_mean_mse_db` is the PSNR of the mean of
        the images' squared errors, which weighs bad images more.

        Raises:
            ValueError: no image was added.
        """
        if not self.per_image:
            raise ValueError("there is no mean over no images")
        mean = {key: float(np.mean([scores[key] for scores in self.per_image])) for key in self.per_image[0]}
        protocols = {
            "psnr_mean_of_images_db": mean.pop("psnr_db"),
            "psnr_of_mean_mse_db": mse_to_psnr(mean.pop("mse")),
        }
        return protocols | mean
