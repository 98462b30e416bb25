"""What a good photo looks like: the tone that a network learns to give, whatever the camera did.

A network that only undoes what a camera did cannot tell an error from an intent, and learns to leave photos alone. So
the target of tone is a function of the scene: the DSLR-grade photo, moved towards what such photos have in common.
All is global, a curve and gains, since that is what the analyser of Pocket can ask for.
"""

from __future__ import annotations

import numpy as np

from training.camera.development import LUMA
from training.photos.srgb import Array, to_encoded, to_linear

# log2 of a good photo's mean light, from where its average lies between black and white (`key`): the line through 206
# photos of good cameras (cc0, clic2025, unsplash, camera_1024), none of them a judge; .8 stops are left beside it.
MEAN_AT_KEY_0_LOG2, MEAN_PER_KEY_LOG2 = -6.9, 7.8
# How far a photo is moved towards the common tone: 1 makes all alike, 0 leaves the photographer's choice.
EXPOSURE_SHARE = 0.8
BALANCE_SHARE = 0.2
MAX_STOPS = 1.2
MAX_BALANCE = 0.05
NORM = 6  # of shades of grey (Finlayson and Trezzi, CIC 2004)
WHITE_PERCENTILE = 99.5
# Mean of the darker half of a photo's pixels: a quarter of 140 good photos (cc0, clic2025, cid22_512) are below. With
# these, good photos move by dE 2 to 3.
DARK_HALF, LIFT_SHARE, MAX_LIFT = 0.18, 0.8, 0.7
DIM, BRIGHT = 0.4, 0.75  # of the brightest twentieth, encoded: none is lifted, all is
DARKEST = 1e-3  # of linear light: below it a photo of 8 bits has no gradations
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
SHOULDER = 0.8  # encoded; above, brightening is compressed instead of clipped


def good_tone(photo: Array) -> Array:
    """sRGB [H, W, 3] in [0, 1] -> the same scene in the tone to learn."""
    light = to_linear(photo) * balance(photo)
    luminance = np.asarray(light @ LUMINANCE, np.float32)
    target = MEAN_AT_KEY_0_LOG2 + MEAN_PER_KEY_LOG2 * key(luminance)
    stops = EXPOSURE_SHARE * (target - np.log2(max(float(luminance.mean()), DARKEST)))
    return lift(shoulder(light * np.float32(2 ** np.clip(stops, 0, MAX_STOPS))))  # darkening would grey whites


def key(luminance: Array) -> float:
    """Where the average of log light lies between black, 0, and white, 1: what a scene has, however it was exposed.

    Reinhard, "Parameter Estimation for Photographic Tone Reproduction" (JGT 2003), equation 4, with percentiles.
    """
    stops = np.log2(luminance + np.float32(DARKEST))
    black, white = np.percentile(stops, (2, 99))
    return float((stops.mean() - black) / max(white - black, 1.0))


def lift(encoded: Array) -> Array:
    """Brighten shadows and midtones where the darker half of a scene is too dark beside bright parts.

    x + s x (1 - x) keeps black and white, and is a curve that Pocket's quadratic transform has. Where nothing is
    bright, as at night, all stays.
    """
    luma = encoded @ LUMA
    dark = luma[luma <= np.median(luma)]
    missing = DARK_HALF - float(dark.mean())
    strength = LIFT_SHARE * missing / max(float((dark * (1 - dark)).mean()), 0.01)
    brightness = np.clip((np.percentile(luma, 95) - DIM) / (BRIGHT - DIM), 0, 1)
    strength = np.clip(strength, 0, MAX_LIFT) * brightness * brightness * (3 - 2 * brightness)
    return np.asarray(encoded + np.float32(strength) * encoded * (1 - encoded), np.float32)


def balance(photo: Array) -> Array:
    """[3]: gains in linear light that move the photo part of the way to a grey light, green kept."""
    light = to_linear(photo).reshape(-1, 3)
    usable = light[(light.max(1) < 0.95) & (light.max(1) > 0.01)]
    if not len(usable):
        return np.ones(3, np.float32)
    norms = np.mean(usable.astype(np.float64) ** NORM, axis=0) ** (1 / NORM)
    gains = (norms[1] / norms.clip(1e-6)) ** BALANCE_SHARE
    return np.asarray(gains.clip(1 - MAX_BALANCE, 1 + MAX_BALANCE), np.float32)


def shoulder(light: Array) -> Array:
    """Linear light, which may exceed 1 -> encoded, in [0, 1]: what is brighter than the shoulder is compressed.

    The curve starts at the shoulder with slope 1 and reaches 1 at the light of WHITE_PERCENTILE, no earlier.
    """
    encoded = np.where(light <= 1, to_encoded(light), 1.055 * np.maximum(light, 1) ** (1 / 2.4) - 0.055)
    white = float(np.percentile(encoded.max(-1), WHITE_PERCENTILE))
    if white <= 1:
        return np.asarray(encoded.clip(0, 1), np.float32)
    over = np.maximum(encoded - SHOULDER, 0) / (white - SHOULDER)
    room, slope = 1 - SHOULDER, (white - SHOULDER) / (1 - SHOULDER)
    compressed = SHOULDER + room * slope * over / (1 + (slope - 1) * over)  # rational: slope 1 at the start, 1 at white
    return np.asarray(np.where(encoded > SHOULDER, compressed, encoded).clip(0, 1), np.float32)
