"""Decode and encode photos, in one place: whatever the file holds becomes upright sRGB, and nothing broken passes.

Read: what Pillow reads; EXIF orientation applied once, ICC profile converted to sRGB, 16 bits kept for PNG and TIFF.
Written: JPEG, PNG, TIFF, with the sRGB profile and the EXIF of the source, whole or not at all.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import ExifTags, Image

from training import icc, png16
from training.commandline import UserError
from training.files import replacing
from training.tiling import to_uint8

Pixels = npt.NDArray[np.uint8]
Plane = npt.NDArray[Any]
Planes = tuple[Plane, Plane | None]  # colour [H, W, 3] and alpha [H, W], uint8 or uint16
PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".avif"}
MAX_PIXELS = 200_000_000  # decoding one takes 0.6 GB, enhancing it in float 5 GB
JPEG_QUALITY = 95
Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow refuses twice this number before it decodes anything
BITS_PER_SAMPLE, PHOTOMETRIC, RGB_PHOTOMETRIC = 258, 262, 2  # TIFF 6.0
# What a TIFF says about the scene and not about its own strips: kept as EXIF.
DESCRIPTIVE_TAGS = {270, 271, 272, 305, 306, 315, 33432, ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo}
JPEG_EXIF_BYTES = 65533  # a JPEG segment
UNUSABLE_PROFILE = "colour profile unusable: taken as sRGB"
log = logging.getLogger(__name__)


class PhotoError(UserError):
    """A photo cannot be read or written; the message names the file and the remedy."""


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


def printable(path: Path | str) -> str:
    """A file name for people: control characters and undecodable bytes are replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(path))


def read_photo(path: Path) -> Photo:
    """Decode the first picture of a file.

    Raises:
        PhotoError: absent, broken, truncated, not a photo, or above MAX_PIXELS.
    """
    decoded = _decode(path)
    scale = np.float32(np.iinfo(decoded.colour.dtype).max)
    alpha = decoded.alpha
    return Photo(
        pixels=decoded.colour.astype(np.float32) / scale,
        exif=decoded.exif,
        alpha=None if alpha is None else alpha.astype(np.float32) / np.float32(np.iinfo(alpha.dtype).max),
        bits=8 * decoded.colour.dtype.itemsize,
        notes=tuple(decoded.notes),
    )


def read_pixels(path: Path) -> Pixels:
    """[H, W, 3] uint8 sRGB of a photo, by the same rules and with the same errors as `read_photo`."""
    colour = _decode(path).colour
    return colour if colour.dtype == np.uint8 else to_uint8(colour.astype(np.float32) / np.float32(65535))


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

    What the format cannot hold (alpha in JPEG, EXIF in 16-bit TIFF) is left out with a warning.

    Raises:
        PhotoError: another extension, or the file cannot be written.
    """
    encode = ENCODERS.get(path.suffix.lower())
    if encode is None:
        raise PhotoError(f"{printable(path)}: not a format that can be written; choose .jpg, .png or .tif")
    try:
        with replacing(path) as temporary:
            encode(temporary, photo)
    except (OSError, ValueError) as error:
        raise PhotoError(
            f"{printable(path)}: could not be written ({error}); choose another place or format"
        ) from error


@dataclass
class _Decoded:
    """colour: [H, W, 3] uint8 or uint16 sRGB, upright; alpha: [H, W] of either type."""

    colour: npt.NDArray[Any]
    alpha: npt.NDArray[Any] | None
    exif: bytes
    notes: list[str]


def _decode(path: Path) -> _Decoded:
    notes: list[str] = []
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # about broken metadata, on which the pixels do not depend
            # From an open file, as Pillow 13 misreads uncompressed grey TIFFs of orientation 5-8 when it maps them.
            with Image.open(file) as image:
                return _decode_open(path, image, notes)
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{printable(path)}: above {MAX_PIXELS // 10**6} megapixels; make it smaller first") from error
    except FileNotFoundError as error:
        raise PhotoError(f"{printable(path)}: no such file") from error
    except Exception as error:  # decoders raise anything at all on a broken file
        reason = printable(str(error)).partition(" <_io")[0] or type(error).__name__
        remedy = "export it as JPEG" if path.suffix.lower() in (".heic", ".heif", ".dng") else "replace or remove it"
        raise PhotoError(f"{printable(path)}: not a photo that can be decoded ({reason}); {remedy}") from error


def _decode_open(path: Path, image: Image.Image, notes: list[str]) -> _Decoded:
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if getattr(image, "is_animated", False):
        notes.append(
            "only the first picture of the file kept"
            + (", a gain map or second view dropped" if image.format == "MPO" else "")
        )
    image.load()
    if image.mode in ("F", "I"):
        raise ValueError("32 bits per sample have no agreed range: export 8 or 16")
    profile = image.info.get("icc_profile") or b""
    planes = None
    samples = _sixteen_bit_samples(path, image, orientation)
    if samples is not None:
        planes = _sixteen_bit(samples, profile, notes)
    colour, alpha = planes or _eight_bit(image, profile, notes)
    if image.format != "TIFF":  # Pillow turns TIFFs by itself, and only these
        colour, alpha = _upright(colour, orientation), None if alpha is None else _upright(alpha, orientation)
    return _Decoded(colour, alpha, _exif(image, colour.shape[1], colour.shape[0], notes), notes)


def _upright(plane: Plane, orientation: Any) -> Plane:
    """Apply an EXIF orientation, 1 to 8; anything else counts as 1 (CIPA DC-008, tag 274)."""
    turns: dict[Any, Callable[[Plane], Plane]] = {
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: np.rot90(p),
    }
    return np.ascontiguousarray(turns[orientation](plane)) if orientation in turns else plane


def _sixteen_bit_samples(path: Path, image: Image.Image, orientation: Any) -> npt.NDArray[np.uint16] | None:
    """[H, W, 1..4] uint16: grey or RGB, alpha last, turned as `image` is; None for fewer bits."""
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)[..., None]
    if image.format == "PNG":
        return png16.read(path)
    tags = getattr(image, "tag_v2", {})
    if set(tags.get(BITS_PER_SAMPLE, ())) == {16} and tags.get(PHOTOMETRIC) == RGB_PHOTOMETRIC:
        with contextlib.suppress(ValueError), tifffile.TiffFile(path) as tiff:  # it lacks some compressions
            page = tiff.pages[0]
            samples = page.asarray()
            if samples.dtype == np.uint16 and page.axes in ("YXS", "SYX"):
                samples = np.moveaxis(samples, 0, 2) if page.axes == "SYX" else samples
                return _upright(samples[..., : 4 if image.mode == "RGBA" else 3], orientation)
    return None


def _sixteen_bit(samples: npt.NDArray[np.uint16], profile: bytes, notes: list[str]) -> Planes | None:
    """16-bit sRGB, or None when the profile can be applied to 8 bits only."""
    has_alpha = samples.shape[2] in (2, 4)
    colour, alpha = (samples[..., :-1], samples[..., -1]) if has_alpha else (samples, None)
    grey = colour.shape[2] == 1
    if grey and icc.colour_space(profile) == "RGB":
        colour, grey = np.repeat(colour, 3, axis=2), False
    if profile:
        try:
            colour = icc.samples_to_srgb(colour, profile)
        except icc.ProfileError:
            if not grey:
                notes.append("16 bits reduced to 8: the colour profile is no matrix")
                return None
            notes.append(UNUSABLE_PROFILE)
    return np.repeat(colour, 3, axis=2) if grey else colour, alpha


def _eight_bit(image: Image.Image, profile: bytes, notes: list[str]) -> Planes:
    """8-bit sRGB of any picture that Pillow has decoded."""
    grey = image.mode in ("1", "L", "LA")
    alpha = np.array(image.convert("RGBA").getchannel("A")) if image.has_transparency_data else None
    if grey and icc.colour_space(profile) != "RGB":
        picture = image.convert("L")
    elif image.mode in ("CMYK", "LAB"):
        picture = image
    else:
        picture = (image if alpha is None else image.convert("RGBA")).convert("RGB")
    if profile or picture.mode == "LAB":
        try:
            picture = icc.picture_to_srgb(picture, profile)
        except icc.ProfileError:
            notes.append(UNUSABLE_PROFILE)
    elif picture.mode == "CMYK":
        notes.append("CMYK without a colour profile: converted by the plain formula")
    return np.array(picture.convert("RGB")), alpha


def _exif(image: Image.Image, width: int, height: int, notes: list[str]) -> bytes:
    try:
        exif = image.getexif()
        if image.format == "TIFF":
            for tag in set(exif) - DESCRIPTIVE_TAGS:
                del exif[tag]
        details = exif.get_ifd(ExifTags.IFD.Exif)
        if not exif and not details:
            return b""
        exif[ExifTags.Base.Orientation] = 1
        if ExifTags.Base.ExifImageWidth in details:
            details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight] = width, height
        return exif.tobytes()
    except Exception:  # as with pixels: broken metadata raises anything
        notes.append("broken EXIF dropped")
        return b""


def _quantized(photo: Photo, bits: int, with_alpha: bool = True) -> npt.NDArray[Any]:
    """[H, W, 3 or 4], uint8 or uint16."""
    planes = photo.pixels
    if with_alpha and photo.alpha is not None:
        planes = np.dstack([planes, photo.alpha])
    if bits == 8:
        return to_uint8(planes)
    return (np.nan_to_num(planes).clip(0, 1) * np.float32(65535) + np.float32(0.5)).astype(np.uint16)


def _encode_jpeg(path: Path, photo: Photo) -> None:
    exif = photo.exif
    if photo.alpha is not None:
        log.warning("JPEG holds no alpha: left out")
    if len(exif) > JPEG_EXIF_BYTES:
        log.warning("JPEG holds no EXIF above %d bytes: left out", JPEG_EXIF_BYTES)
        exif = b""
    image = Image.fromarray(_quantized(photo, 8, with_alpha=False))
    image.save(path, "JPEG", quality=JPEG_QUALITY, subsampling="4:4:4", icc_profile=icc.srgb_bytes(), exif=exif)


def _encode_png(path: Path, photo: Photo) -> None:
    planes = _quantized(photo, photo.bits)
    if photo.bits == 16:
        png16.write(path, planes, icc.srgb_bytes(), photo.exif)
    else:
        Image.fromarray(planes).save(path, "PNG", icc_profile=icc.srgb_bytes(), exif=photo.exif)


def _encode_tiff(path: Path, photo: Photo) -> None:
    planes = _quantized(photo, photo.bits)
    if photo.bits == 8:
        image = Image.fromarray(planes)
        compression = None if photo.exif else "tiff_adobe_deflate"  # Pillow 13 fails to write both
        image.save(path, "TIFF", compression=compression, icc_profile=icc.srgb_bytes(), exif=photo.exif)
        return
    if photo.exif:
        log.warning("EXIF is left out of 16-bit TIFF; PNG keeps it")
    extra = ["unassalpha"] if planes.shape[2] == 4 else None
    tifffile.imwrite(
        path, planes, photometric="rgb", extrasamples=extra, compression="zlib",
        iccprofile=icc.srgb_bytes(), metadata=None, software=False,
    )  # fmt: skip


ENCODERS = {
    ".jpg": _encode_jpeg,
    ".jpeg": _encode_jpeg,
    ".png": _encode_png,
    ".tif": _encode_tiff,
    ".tiff": _encode_tiff,
}
