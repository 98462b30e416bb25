"""Open a photo file, whatever it holds, as upright sRGB samples that stream. The one decoding path of this project.

Pillow reads the header (which format, EXIF, colour profile, how many pictures) and libvips the pixels, in strips.
Formats that libvips does not know, HEIC among them, are decoded in memory by Pillow's decoders and go the same way.
"""

from __future__ import annotations

import io
import logging
import mmap
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt
import pillow_heif
import pyvips
from PIL import ExifTags, Image, ImageCms

from training.commandline import FULL, UserError, printable
from training.photos.raster import Raster, Samples
from training.tiling import STRIP_ROWS

T = TypeVar("T")
MAX_PIXELS = 200_000_000  # decoding one to a file takes 0.6 GB of disk, to an array in float 2.4 GB of memory
Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow refuses twice this number before it decodes anything
pillow_heif.register_heif_opener()
pyvips.cache_set_max(0)  # the cache would keep files open, and show them as they were before they were replaced
# Each of its threads holds buffers: 64 of them, one per core, add 180 MB to the peak for a 12 MP photo.
pyvips.concurrency_set(min(pyvips.concurrency_get(), 4))
logging.getLogger("pyvips").setLevel(logging.ERROR)  # what it warns of is raised, or forgiven below
LOADERS = {
    "JPEG": "jpegload_source",  # by name, since libvips would choose the one that builds HDR from a gain map
    "MPO": "jpegload_source",
    "PNG": "pngload_source",
    "TIFF": "tiffload_source",
    "WEBP": "webpload_source",
    "GIF": "gifload_source",
    "AVIF": "heifload_source",
}
UPRIGHT_FORMATS = ("HEIF", "AVIF")  # their decoders turn the picture, and EXIF has no say (ISO/IEC 23008-12)
HOW_COLOUR_IS_SAID = 262  # the tag PhotometricInterpretation of TIFF 6.0, and its values that libvips takes for RGB:
YCBCR, CIELAB, ICCLAB = 6, 8, 9
# What a TIFF says about the scene and not about its own strips: kept as EXIF.
DESCRIPTIVE_TAGS = {270, 271, 272, 305, 306, 315, 33432, ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo}
# How descriptions begin; others, such as the linear "sRGB-elle-V2-g10", are converted. libvips writes plain "sRGB".
SRGB_NAMES = ("sRGB IEC61966", "sRGB built-in")
UNUSABLE_PROFILE = "colour profile unusable: taken as sRGB"
GAIN_MAP_DROPPED = "HDR gain map dropped: the result is standard range"
GAIN_MAP_MARKS = (
    b"http://ns.adobe.com/hdr-gain-map/1.0/",  # Ultra HDR
    b"urn:iso:std:iso:ts:21496:-1",
    b"urn:com:apple:photo:2020:aux:hdrgainmap",
    b"HDRGainMapVersion",
)
# Colour said by code numbers instead of a profile (ITU-T H.273).
SRGB_PRIMARIES, UNSAID, DISPLAY_P3_PRIMARIES, PQ, HLG = 1, 2, 12, 16, 18


class PhotoError(UserError):
    """A photo cannot be read or written; the message names the file and the remedy."""


@dataclass(frozen=True)
class OpenPhoto:
    """A photo file whose samples can be drawn once, from the top.

    image: sRGB, 8 or 16 bits, 3 bands or 4 with alpha, as they lie in the file.
    orientation: how to turn it, 1 to 8 (CIPA DC-008, tag 274).
    exif: with orientation 1, the size of the upright picture, and without thumbnail; b"" if there is none.
    notes: what was dropped or assumed.
    """

    image: pyvips.Image
    orientation: int
    exif: bytes
    notes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the upright picture: height, width, channels."""
        height, width = self.image.height, self.image.width
        return (*((width, height) if self.orientation >= 5 else (height, width)), self.image.bands)

    @property
    def dtype(self) -> npt.DTypeLike:
        return np.uint16 if self.image.format == "ushort" else np.uint8

    def to_array(self) -> Samples:
        """[H, W, C], upright."""
        samples = np.empty(self.shape, self.dtype)
        for y, x, part in self._parts():
            samples[y : y + part.shape[0], x : x + part.shape[1]] = part
        return samples

    def to_raster(self, path: Path) -> Raster:
        """The same in a file, in the memory of a few strips."""
        raster = Raster(path, self.shape, self.dtype)
        try:
            for y, x, part in self._parts():
                raster.write(y, x, part)
        except BaseException:
            raster.close()
            raise
        return raster

    def _parts(self) -> Iterator[tuple[int, int, Samples]]:
        """(y, x) in the upright picture, and the samples that begin there."""
        height, width, bands = self.image.height, self.image.width, self.image.bands
        region = pyvips.Region.new(self.image)
        for top in range(0, height, STRIP_ROWS):
            rows = min(STRIP_ROWS, height - top)
            strip = np.frombuffer(region.fetch(0, top, width, rows), self.dtype).reshape(rows, width, bands)
            at = top if self.orientation in (1, 2, 5, 8) else height - top - rows
            yield *((at, 0) if self.orientation <= 4 else (0, at)), upright(strip, self.orientation)


def upright(samples: Samples, orientation: int) -> Samples:
    """Samples [H, W, C] as a file has them -> as people see them (EXIF orientation 1 to 8; others change nothing)."""
    turns: dict[int, Callable[[Samples], Samples]] = {
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: np.rot90(p),
    }
    return turns[orientation](samples) if orientation in turns else samples


def decode(path: Path, draw: Callable[[OpenPhoto], T]) -> T:
    """What `draw` makes of the first picture of a file. It may be called twice.

    Raises:
        PhotoError: absent, broken, truncated, not a photo, or above MAX_PIXELS.
    """
    try:
        with warnings.catch_warnings(), path.open("rb") as head, path.open("rb") as body:
            warnings.simplefilter("ignore")  # about broken metadata, on which the pixels do not depend
            with Image.open(head) as header:
                if header.width * header.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                try:
                    return draw(_open(header, body, fail_on="warning"))
                except pyvips.Error as error:
                    # Stray bytes in a JPEG and checksums of a PNG are forgiven; missing data would come out grey.
                    if header.format not in ("JPEG", "MPO", "PNG") or "premature end" in str(error):
                        raise
                    return draw(_open(header, body, fail_on="truncated"))
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{printable(path)}: above {MAX_PIXELS // 10**6} megapixels; make it smaller first") from error
    except FileNotFoundError as error:
        raise PhotoError(f"{printable(path)}: no such file") from error
    except Exception as error:  # decoders raise anything at all on a broken file
        if isinstance(error, OSError) and error.errno in FULL:
            raise  # `draw` has filled the disk
        reason = printable(" ".join(str(error).split())).partition(" <_io")[0] or type(error).__name__
        remedy = "export it as JPEG" if path.suffix.lower() == ".dng" else "replace or remove it"
        raise PhotoError(f"{printable(path)}: not a photo that can be decoded ({reason}); {remedy}") from error


def _open(header: Image.Image, body: BinaryIO, fail_on: str) -> OpenPhoto:
    notes: list[str] = []
    coded = None
    with mmap.mmap(body.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if any(content.find(mark) >= 0 for mark in GAIN_MAP_MARKS):
            notes.append(GAIN_MAP_DROPPED)
        elif header.format == "MPO":
            notes.append("only the first picture of the file kept, a second view dropped")
        elif getattr(header, "is_animated", False):
            notes.append("only the first picture of the file kept")
        if header.format in (*UPRIGHT_FORMATS, "PNG"):
            coded = _coded_colour(content)
    orientation = 1 if header.format in UPRIGHT_FORMATS else header.getexif().get(ExifTags.Base.Orientation, 1)
    orientation = orientation if orientation in range(1, 9) else 1
    profile = header.info.get("icc_profile") or b""
    exif = _exif(header, turned=orientation >= 5, notes=notes)
    image = _to_srgb(_load(header, body, fail_on), header.has_transparency_data, profile, coded, notes)
    return OpenPhoto(image, orientation, exif, tuple(notes))


def _load(header: Image.Image, body: BinaryIO, fail_on: str) -> pyvips.Image:
    """The pixels as the file has them, or as Pillow's decoders make them of formats that libvips does not know."""
    photometric = getattr(header, "tag_v2", {}).get(HOW_COLOUR_IS_SAID)
    if photometric in (CIELAB, ICCLAB):
        raise ValueError("its colours are CIE Lab: export it as RGB")
    if header.format in LOADERS and photometric != YCBCR:
        body.seek(0)
        source = pyvips.Source.new_from_descriptor(body.fileno())
        return pyvips.Operation.call(LOADERS[header.format], source, access="sequential", fail_on=fail_on)
    if header.format == "HEIF":
        body.seek(0)
        samples = np.asarray(pillow_heif.open_heif(body, convert_hdr_to_8bit=False))
    elif header.mode == "CMYK":
        return pyvips.Image.new_from_array(np.asarray(header)).copy(interpretation="cmyk")
    elif header.mode in ("F", "I") or header.mode.startswith("I;"):
        raise ValueError(f"samples of this kind ({header.mode}) are not known in {header.format}: export 8 bits")
    else:
        samples = np.asarray(header.convert("RGBA" if header.has_transparency_data else "RGB"))
    colours = "rgb16" if samples.dtype == np.uint16 else "srgb"
    greys = "grey16" if samples.dtype == np.uint16 else "b-w"
    is_grey = samples.ndim == 2 or samples.shape[2] < 3
    return pyvips.Image.new_from_array(samples).copy(interpretation=greys if is_grey else colours)


def _to_srgb(
    image: pyvips.Image, has_alpha: bool, profile: bytes, coded: tuple[int, int] | None, notes: list[str]
) -> pyvips.Image:
    if image.format not in ("uchar", "ushort"):
        raise ValueError(f"{image.format} samples have no agreed range: export 8 or 16 bits")
    alpha = image[image.bands - 1] if has_alpha and image.bands in (2, 4, 5) else None
    space = {1: "GRAY", 2: "GRAY"}.get(image.bands, "CMYK" if image.interpretation == "cmyk" else "RGB")
    colour = image.extract_band(0, n={"GRAY": 1, "RGB": 3, "CMYK": 4}[space])
    if space == "GRAY" and _space_of(profile) == "RGB":
        space = "RGB"
        colour = colour.bandjoin([colour, colour])
    deep = colour.format == "ushort"
    names = {"GRAY": ("b-w", "grey16"), "RGB": ("srgb", "rgb16"), "CMYK": ("cmyk", "cmyk")}
    colour = colour.copy(interpretation=names[space][deep])

    transform: dict[str, Any] = {}
    if profile:
        if not _is_usable(profile, space):
            notes.append(UNUSABLE_PROFILE)
        elif not _is_srgb(profile):
            colour.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
            transform = {"embedded": True}
    elif coded and {PQ, HLG} & {coded[1]}:
        raise ValueError("its brightness is coded for HDR screens (PQ or HLG): export it in standard range")
    elif coded and coded[0] == DISPLAY_P3_PRIMARIES:
        transform = {"input_profile": "p3"}
    elif coded and coded[0] not in (SRGB_PRIMARIES, UNSAID):
        notes.append(f"colour primaries of kind {coded[0]} unknown: taken as sRGB")
    if space == "CMYK" and not transform:
        notes.append("CMYK without a usable colour profile: taken as common offset print")
        transform = {"input_profile": "cmyk"}
    if transform:
        how = {"intent": "relative", "black_point_compensation": True}
        if deep:
            # By way of floating point: lcms2 makes 16-bit transforms into tables, up to 0.04 off at 33 steps a side.
            between = colour.icc_import(pcs="xyz" if space == "GRAY" else "lab", **how, **transform)
            colour = between.icc_export(output_profile="srgb", depth=16, **how)
        else:
            colour = colour.icc_transform("srgb", **how, **transform)
    if colour.bands == 1:
        colour = colour.bandjoin([colour, colour])
    colour = colour.copy(interpretation=names["RGB"][deep])
    return colour if alpha is None else colour.bandjoin(alpha)


def _space_of(profile: bytes) -> str:
    """ "RGB", "GRAY", "CMYK" and so on, as the header says (ICC.1:2022, 7.2.8)."""
    return profile[16:20].decode("ascii", "replace").strip()


@lru_cache(maxsize=16)
def _is_usable(profile: bytes, space: str) -> bool:
    """libvips silently takes another profile in place of a broken one; this says beforehand."""
    try:
        parsed = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = {"GRAY": "L"}.get(space, space)
        ImageCms.buildTransform(parsed, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ValueError, OSError, ImageCms.PyCMSError):
        return False
    return _space_of(profile) == space


@lru_cache(maxsize=16)
def _is_srgb(profile: bytes) -> bool:
    description = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.profile_description or ""
    return description.strip() == "sRGB" or description.strip().startswith(SRGB_NAMES)


def _coded_colour(content: mmap.mmap) -> tuple[int, int] | None:
    """(primaries, transfer curve) from the box "colr" of HEIC and AVIF, or the chunk cICP of PNG."""
    for mark, width in ((b"colrnclx", 2), (b"\0\0\0\4cICP", 1)):
        at = content.find(mark, 0, 65536)
        if at >= 0:
            codes = content[at + len(mark) : at + len(mark) + 2 * width]
            return int.from_bytes(codes[:width], "big"), int.from_bytes(codes[width:], "big")
    return None


def _exif(header: Image.Image, turned: bool, notes: list[str]) -> bytes:
    try:
        exif = header.getexif()
        if header.format == "TIFF":
            for tag in set(exif) - DESCRIPTIVE_TAGS:
                del exif[tag]
        details = exif.get_ifd(ExifTags.IFD.Exif)
        if not exif and not details:
            return b""
        exif[ExifTags.Base.Orientation] = 1
        if ExifTags.Base.ExifImageWidth in details:
            width, height = header.size[::-1] if turned else header.size
            details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight] = width, height
        if ExifTags.Base.ColorSpace in details:
            details[ExifTags.Base.ColorSpace] = 1  # sRGB
        return exif.tobytes()
    except Exception:  # as with pixels: broken metadata raises anything
        notes.append("broken EXIF dropped")
        return b""
