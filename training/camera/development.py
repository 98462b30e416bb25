"""How a phone develops light into a picture: denoising, colours, tone, sharpening."""

from __future__ import annotations

import cv2
import numpy as np

from training.camera.light import Light, srgb_to_sensor
from training.camera.sensor import noise_deviation
from training.camera.shot import Shot
from training.photos.srgb import to_encoded

BASE_PX = 256  # long side of the picture that local tone is decided on
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def develop(light: Light, shot: Shot) -> Light:
    """Light of the sensor [H, W, 3] -> sRGB [H, W, 3] in [0, 1]."""
    gains = np.array([shot.red_gain * shot.red_error, 1.0, shot.blue_gain * shot.blue_error], np.float32)
    balanced = denoise((light * gains).clip(-0.1, 1), shot)
    colours = balanced.clip(0, 1) @ np.linalg.inv(srgb_to_sensor(shot)).T.astype(np.float32)
    grey = colours @ LUMA
    colours = grey[..., None] + np.float32(shot.saturation) * (colours - grey[..., None])
    return sharpen(tone(colours.clip(0, 1), shot), shot)


def denoise(light: Light, shot: Shot) -> Light:
    """Luma by a filter that keeps edges; chroma smeared over `chroma_px`, as small phones do."""
    deviation = float(noise_deviation(0.18, shot)) * 2
    luma = light @ LUMA
    chroma = light - luma[..., None]
    if shot.luma_denoising > 0:
        luma = _denoise_luma(luma, shot, deviation * shot.luma_denoising)
    weight = np.float32(min(1.0, shot.chroma_denoising * deviation / 0.05))
    smeared = cv2.GaussianBlur(chroma, (0, 0), shot.chroma_px)
    return luma[..., None] + (1 - weight) * chroma + weight * smeared


def _denoise_luma(luma: Light, shot: Shot, deviation: float) -> Light:
    if shot.denoiser == "bilateral":
        return np.asarray(cv2.bilateralFilter(luma, 7, deviation, 2.0), np.float32)
    if shot.denoiser == "median":
        smooth = cv2.medianBlur(luma, 3)
        excess = (np.abs(luma - smooth) / np.float32(deviation)).clip(0, 1)
        return np.asarray(smooth + (luma - smooth) * excess, np.float32)
    eight_bits = (luma.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    smooth = cv2.fastNlMeansDenoising(eight_bits, None, deviation * 255, 5, 11).astype(np.float32) / 255
    return np.asarray(np.where(luma < 0, luma, smooth), np.float32)


def tone(colours: Light, shot: Shot) -> Light:
    """Linear sRGB -> encoded: large differences of light compressed, then an S-curve, then the phone's black."""
    if shot.local_tone > 0:
        grey = np.log2((colours @ LUMA).clip(1e-3, 1))
        colours = colours * np.exp2(shot.local_tone * (grey.mean() - _base(grey)))[..., None]
    encoded = to_encoded(colours)
    curved = encoded + np.float32(shot.contrast) * (encoded * encoded * (3 - 2 * encoded) - encoded)
    return np.asarray(shot.black + (1 - shot.black) * curved, np.float32)


def _base(grey: Light) -> Light:
    """What is left of `grey` [H, W] without detail, edges kept; found at BASE_PX, as it varies slowly."""
    height, width = grey.shape
    shrink = max(1.0, max(height, width) / BASE_PX)
    small = cv2.resize(
        grey, (max(1, round(width / shrink)), max(1, round(height / shrink))), interpolation=cv2.INTER_AREA
    )
    smooth = cv2.bilateralFilter(small, 0, 1.0, max(2.0, min(small.shape) / 40))
    return np.asarray(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def sharpen(encoded: Light, shot: Shot) -> Light:
    """An unsharp mask on luma, its halos no larger than `overshoot`."""
    luma = encoded @ LUMA
    detail = luma - cv2.GaussianBlur(luma, (0, 0), shot.sharpening_px)
    halo = (np.float32(shot.sharpening) * detail).clip(-shot.overshoot, shot.overshoot)
    return np.asarray((encoded + halo[..., None]).clip(0, 1), np.float32)
