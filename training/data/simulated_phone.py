"""A simulated phone camera: DSLR photo in, phone photo out, seeded and documented.

No phone took these photos, so every pair made here is labelled simulated. What a cheap phone does to a scene that a
DSLR shows well is applied in the order in which it happens:

    in linear light     exposure, white balance, saturation loss (colour filters that overlap), vignetting,
                        lens blur, shot and read noise
    after encoding      raised black and lowered white (flare and a flat tone curve), sharpening halo, 8 bit, JPEG

All phones of the simulation share one look (rather dark, cool, pale, soft); each photo departs from it by chance.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter

from training.photos import from_samples
from training.photos.srgb import to_encoded, to_linear

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class SimulatedPhone:
    """What happens to one photo.

    exposure_ev: stops; below 0 is darker.
    white_balance: gains of R, G, B in linear light.
    saturation: 1 keeps colours, 0 is grey.
    vignetting: share of light lost in the corners, falling with the square of the distance from the centre.
    blur_px: standard deviation of the Gaussian lens blur.
    full_well_electrons: light that makes white; shot noise is its square root at each pixel.
    read_noise_electrons: standard deviation of the noise that needs no light.
    black, white: sRGB-encoded value [0, 1] to which black and white of the scene are moved.
    sharpening: strength of the unsharp mask.
    jpeg_quality: of libjpeg's scale 1..100.
    """

    exposure_ev: float
    white_balance: tuple[float, float, float]
    saturation: float
    vignetting: float
    blur_px: float
    full_well_electrons: float
    read_noise_electrons: float
    black: float
    white: float
    sharpening: float
    jpeg_quality: int


def draw(seed: int) -> SimulatedPhone:
    """The phone that `seed` stands for: the common look plus this photo's departure from it."""
    rng = np.random.default_rng([seed, 1])
    warmth = rng.uniform(-0.06, 0.06)
    return SimulatedPhone(
        exposure_ev=rng.uniform(-0.7, -0.25),
        white_balance=(0.90 + warmth, 1.0, 1.12 - warmth),
        saturation=rng.uniform(0.65, 0.8),
        vignetting=rng.uniform(0.15, 0.35),
        blur_px=rng.uniform(0.6, 1.0),
        full_well_electrons=rng.uniform(1500, 4000),
        read_noise_electrons=rng.uniform(4, 10),
        black=rng.uniform(0.02, 0.06),
        white=rng.uniform(0.92, 0.97),
        sharpening=rng.uniform(0.2, 0.6),
        jpeg_quality=int(rng.integers(80, 94)),
    )


def apply(pixels: Pixels, phone: SimulatedPhone, seed: int) -> Pixels:
    """[H, W, 3] uint8 sRGB -> the phone photo, same shape and type; the same arguments give the same bytes."""
    rng = np.random.default_rng([seed, 2])
    light = to_linear(from_samples(pixels))
    light *= np.float32(2.0**phone.exposure_ev) * np.array(phone.white_balance, np.float32)
    grey = light @ np.array([0.2126, 0.7152, 0.0722], np.float32)  # luminance, ITU-R BT.709
    light = grey[..., None] + np.float32(phone.saturation) * (light - grey[..., None])
    light *= _vignette(pixels.shape[0], pixels.shape[1], phone.vignetting)[..., None]
    light = gaussian_filter(light, sigma=(phone.blur_px, phone.blur_px, 0), mode="nearest")
    electrons = light.clip(0, 1) * phone.full_well_electrons
    variance = electrons + phone.read_noise_electrons**2  # a Poisson count this large is all but Gaussian
    light = (electrons + np.sqrt(variance) * rng.standard_normal(light.shape, np.float32)) / phone.full_well_electrons
    encoded = phone.black + (phone.white - phone.black) * to_encoded(light.clip(0, 1))
    encoded += phone.sharpening * (encoded - gaussian_filter(encoded, sigma=(1.2, 1.2, 0), mode="nearest"))
    return _jpeg((encoded.clip(0, 1) * 255 + 0.5).astype(np.uint8), phone.jpeg_quality)


def simulate(pixels: Pixels, seed: int) -> Pixels:
    """The phone photo of a DSLR photo [H, W, 3] uint8 by the phone that `seed` stands for."""
    return apply(pixels, draw(seed), seed)


def _vignette(height: int, width: int, strength: float) -> npt.NDArray[np.float32]:
    """[H, W]: 1 in the centre, 1 - strength in the corners."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return np.float32(1) - np.float32(strength / 2) * (x**2 + y**2)


def _jpeg(pixels: Pixels, quality: int) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return np.array(image)
