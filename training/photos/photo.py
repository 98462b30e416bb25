"""Photos as arrays: whatever the file holds becomes upright sRGB in memory, and nothing broken passes.

Read: what Pillow, libvips and libheif read. Written: JPEG, PNG, TIFF, with the sRGB profile and the EXIF of the source,
whole or not at all. Photos that should not be in memory as a whole go through `decoding`, `raster` and `encoding`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.commandline import printable
from training.photos.decoding import OpenPhoto, PhotoError, decode
from training.photos.encoding import ENCODERS, fitting, write_samples
from training.photos.formats import PHOTO_SUFFIXES
from training.photos.raster import Samples
from training.tiling import to_uint8

__all__ = [
    "ENCODERS", "PHOTO_SUFFIXES", "Photo", "PhotoError", "Pixels", "from_samples", "printable", "read_folder",
    "read_photo", "read_pixels", "to_samples", "write_photo",
]  # fmt: skip
Pixels = npt.NDArray[np.uint8]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    pixels: [H, W, 3] float32 RGB in [0, 1], sRGB-encoded, upright.
    exif: with orientation 1 and without thumbnail; b"" if there is none.
    alpha: [H, W] float32 in [0, 1], or None.
    bits: 8 or 16 per sample in the file.
    notes: what was dropped or assumed, such as "colour profile unusable: taken as sRGB".
    """

    pixels: npt.NDArray[np.float32]
    exif: bytes = b""
    alpha: npt.NDArray[np.float32] | None = None
    bits: int = 8
    notes: tuple[str, ...] = ()


def from_samples(samples: Samples) -> npt.NDArray[np.float32]:
    """uint8 or uint16 -> float32 in [0, 1]."""
    return np.divide(samples, np.float32(np.iinfo(samples.dtype).max), dtype=np.float32)


def to_samples(values: npt.NDArray[np.floating[Any]], dtype: npt.DTypeLike) -> Samples:
    """[0, 1] -> uint8 or uint16, rounded and clamped; NaN becomes 0."""
    if np.dtype(dtype) == np.uint8:
        return to_uint8(values)
    return (np.nan_to_num(values).clip(0, 1) * np.float32(65535) + np.float32(0.5)).astype(np.uint16)


def read_photo(path: Path) -> Photo:
    """Decode the first picture of a file.

    Raises:
        PhotoError: absent, broken, truncated, not a photo, or above MAX_PIXELS.
    """

    def draw(opened: OpenPhoto) -> Photo:
        samples = opened.to_array()
        alpha = from_samples(samples[..., 3]) if samples.shape[2] == 4 else None
        return Photo(from_samples(samples[..., :3]), opened.exif, alpha, 8 * samples.dtype.itemsize, opened.notes)

    return decode(path, draw)


def read_pixels(path: Path) -> Pixels:
    """[H, W, 3] uint8 sRGB of a photo, by the same rules and with the same errors as `read_photo`."""
    colour = decode(path, OpenPhoto.to_array)[..., :3]
    return np.ascontiguousarray(colour) if colour.dtype == np.uint8 else to_uint8(from_samples(colour))


def read_folder(folder: Path) -> dict[str, Pixels]:
    """File name -> pixels of the photos right inside a folder, by name; broken ones are logged, counted, passed over.

    Raises:
        PhotoError: no such folder, or no photo in it that can be decoded.
    """
    if not folder.is_dir():
        raise PhotoError(f"{printable(folder)}: no such folder; give one with photos")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES)
    photos = {}
    for path in paths:
        try:
            photos[printable(path.name)] = read_pixels(path)
        except PhotoError as error:
            log.warning("passed over: %s", error)
    if len(photos) < len(paths):
        log.warning("%d of %d photos of %s passed over", len(paths) - len(photos), len(paths), printable(folder))
    if not photos:
        raise PhotoError(f"{printable(folder)}: no photo in it that can be decoded; give a folder with photos")
    return photos


def write_photo(path: Path, photo: Photo) -> None:
    """Encode by the extension of `path`: .jpg (8 bit, quality 95, 4:4:4), .png and .tif (8 or 16 bit as `photo.bits`).

    What the format cannot hold (alpha in JPEG) is left out with a warning.

    Raises:
        PhotoError: another extension, or the file cannot be written.
    """
    planes = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    channels, dtype = fitting(path, planes.shape[2], np.uint16 if photo.bits == 16 else np.uint8)
    write_samples(path, to_samples(planes[..., :channels], dtype), photo.exif)
