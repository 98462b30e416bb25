"""Write sRGB samples as a photo file, whole or not at all: from memory, or as they are written into a raster."""

from __future__ import annotations

import logging
import math
import os
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyvips
from PIL import ExifTags, TiffImagePlugin

from training.commandline import printable
from training.files import replacing
from training.photos.decoding import PhotoError
from training.photos.metadata import DESCRIPTIVE_TAGS, DIRECTORIES, directory_of, parsed_exif, shortened_exif
from training.photos.raster import Raster, RowsEnded, Samples

JPEG_QUALITY = 95
JPEG_EXIF_BYTES = 65533  # a JPEG segment
PX_PER_INCH = 72  # where EXIF says nothing
CENTIMETRES, MM_PER_INCH = 3, 25.4  # a value of the tag ResolutionUnit; inches otherwise
log = logging.getLogger(__name__)


def write_samples(path: Path, samples: Samples | Raster, exif: bytes, quality: int = JPEG_QUALITY) -> None:
    """Encode sRGB samples [H, W, 3], or 4 with alpha, uint8 or uint16, `fitting` for the extension of `path`.

    Of a raster, rows are encoded as soon as they are written. The longest entries of EXIF that is too long for JPEG are
    left out with a warning, and so is EXIF that is broken.

    Args:
        quality: of JPEG, 1 to 100.

    Raises:
        PhotoError: another extension, or the file cannot be written.
        RowsEnded: the raster will not be whole.
    """
    encode = encoder(path)
    exif = _fitting_exif(path, exif)
    try:
        origin = _source(samples) if isinstance(samples, Raster) else samples  # libvips needs it to its end
        image = _image(origin)
        # In a second thread, so that this one still hears Ctrl-C and can then stop libvips.
        with replacing(path) as temporary, temporary.open("r+b") as file, ThreadPoolExecutor(1) as thread:
            encoding = thread.submit(encode, file, image, exif, quality)
            try:
                encoding.result()
                _check_whole(samples)  # libvips makes rows that it does not get black
            except BaseException:
                image.set_kill(True)
                raise
    except (OSError, ValueError, pyvips.Error) as error:
        _check_whole(samples)
        reason = printable(" ".join(str(error).split()))
        raise PhotoError(
            f"{printable(path)}: could not be written ({reason}); choose another place or format"
        ) from error


def encoder(path: Path) -> Encoder:
    """By the extension of a path.

    Raises:
        PhotoError: no photo of this kind can be written.
    """
    encode = ENCODERS.get(path.suffix.lower())
    if encode is None:
        raise PhotoError(f"{printable(path)}: not a format that can be written; choose .jpg, .png or .tif")
    return encode


def fitting(path: Path, channels: int, dtype: npt.DTypeLike) -> tuple[int, npt.DTypeLike]:
    """What the format of `path` can hold of that many channels (4 with alpha) of that type."""
    if encoder(path) is not _encode_jpeg:
        return channels, dtype
    if channels == 4:
        log.warning("%s: JPEG holds no alpha: left out", printable(path))
    return 3, np.uint8


def _fitting_exif(path: Path, exif: bytes) -> bytes:
    try:
        if not exif or encoder(path) is not _encode_jpeg or len(exif) <= JPEG_EXIF_BYTES:
            parsed_exif(exif)
            return exif
        exif, dropped = shortened_exif(exif, JPEG_EXIF_BYTES)
        names = ", ".join(dropped)
        log.warning("%s: JPEG holds no EXIF above %d bytes: %s left out", printable(path), JPEG_EXIF_BYTES, names)
        return exif
    except ValueError:
        log.warning("%s: broken EXIF left out", printable(path))
        return b""


def _check_whole(samples: Samples | Raster) -> None:
    if isinstance(samples, Raster) and samples.ended:
        raise RowsEnded


def _image(origin: Samples | pyvips.SourceCustom) -> pyvips.Image:
    if isinstance(origin, np.ndarray):
        image = pyvips.Image.new_from_array(origin)
    else:
        image = pyvips.Image.tiffload_source(origin, access="sequential", fail_on="truncated")
    return image.copy(interpretation="rgb16" if image.format == "ushort" else "srgb")


def _source(raster: Raster) -> pyvips.SourceCustom:
    """The file of a raster, whose reader waits for rows that are not written yet."""
    place = 0

    def read(size: int) -> bytes:
        nonlocal place
        try:
            content = raster.read_file(place, size)
        except RowsEnded:
            return b""
        place += len(content)
        return content

    def seek(offset: int, whence: int) -> int:
        nonlocal place
        place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: place, os.SEEK_END: raster.file_bytes}[whence]
        return place

    source = pyvips.SourceCustom()
    source.on_read(read)
    source.on_seek(seek)
    return source


def _encode_jpeg(file: BinaryIO, image: pyvips.Image, exif: bytes, quality: int) -> None:
    target = pyvips.Target.new_to_descriptor(file.fileno())
    _with_exif(image, exif).jpegsave_target(target, Q=quality, subsample_mode="off", profile="srgb", keep=_keep(exif))


def _encode_png(file: BinaryIO, image: pyvips.Image, exif: bytes, quality: int) -> None:
    target = pyvips.Target.new_to_descriptor(file.fileno())
    _with_exif(image, exif).pngsave_target(target, filter="all", profile="srgb", keep=_keep(exif))


def _encode_tiff(file: BinaryIO, image: pyvips.Image, exif: bytes, quality: int) -> None:
    target = pyvips.Target.new_to_descriptor(file.fileno())
    image = _with_exif(image, exif)
    image.tiffsave_target(target, compression="deflate", predictor="horizontal", profile="srgb", keep="icc")
    if exif:
        _add_exif_to_tiff(file, exif)


def _keep(exif: bytes) -> str:
    return "icc:exif" if exif else "icc"


def _with_exif(image: pyvips.Image, exif: bytes) -> pyvips.Image:
    """libvips puts the resolution of the image into the EXIF that it writes, so it must know the one that is there."""
    if not exif:
        return image
    parsed = parsed_exif(exif)
    unit_mm = 10 if parsed.get(ExifTags.Base.ResolutionUnit) == CENTIMETRES else MM_PER_INCH
    said = (float(parsed.get(tag, 0)) for tag in (ExifTags.Base.XResolution, ExifTags.Base.YResolution))
    x, y = (value if 0 < value < math.inf else PX_PER_INCH for value in said)  # 0 / 0 is seen in files
    image = image.copy(xres=x / unit_mm, yres=y / unit_mm)
    image.set_type(pyvips.GValue.blob_type, "exif-data", exif)
    return image


def _add_exif_to_tiff(file: BinaryIO, exif: bytes) -> None:
    """libvips writes no EXIF into TIFF: append its entries and a directory of them and the old ones (TIFF 6.0, 2)."""
    file.seek(0)
    order = ">" if file.read(2) == b"MM" else "<"
    (old_at,) = struct.unpack(order + "2xI", file.read(6))
    file.seek(old_at)
    (count,) = struct.unpack(order + "H", file.read(2))
    old = file.read(12 * count)

    parsed = parsed_exif(exif)
    added = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"MM" if order == ">" else b"II")
    for tag in DESCRIPTIVE_TAGS & set(parsed):
        added[tag] = directory_of(parsed, tag) if tag in DIRECTORIES else parsed[tag]
    file.seek(0, 2)
    file.write(bytes(file.tell() % 2))  # directories begin at even places
    at = file.tell()
    block = added.tobytes(at)
    new = block[2 : 2 + 12 * len(added)]
    entries = sorted((both[i : i + 12] for both in (old, new) for i in range(0, len(both), 12)),
                     key=lambda entry: struct.unpack_from(order + "H", entry))  # fmt: skip
    file.write(block + bytes(len(block) % 2))
    at = file.tell()
    file.write(struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4))
    file.seek(4)
    file.write(struct.pack(order + "I", at))
    file.flush()


Encoder = Callable[[BinaryIO, pyvips.Image, bytes, int], None]
ENCODERS: dict[str, Encoder] = {
    ".jpg": _encode_jpeg,
    ".jpeg": _encode_jpeg,
    ".png": _encode_png,
    ".tif": _encode_tiff,
    ".tiff": _encode_tiff,
}
