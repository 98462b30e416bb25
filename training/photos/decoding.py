"""Open a photo file, whatever it holds, as upright sRGB samples that stream. The one decoding path of this project.

`header` says what stands around the pixels, and libvips decodes them in strips. What libvips does not know, HEIC among
it, is decoded in memory by Pillow's decoders and goes the same way.
"""

from __future__ import annotations

import logging
import mmap
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt
import pillow_heif
import pyvips
from PIL import Image

from training.commandline import FULL, UserError, printable
from training.photos.colour import to_srgb
from training.photos.containers import tiff
from training.photos.formats import RAW, RAW_SUFFIXES, Refusal
from training.photos.header import Header, read_header
from training.photos.metadata import clean_exif
from training.photos.raster import Raster, Samples
from training.tiling import STRIP_ROWS

T = TypeVar("T")
# The largest sensors of phones have 16,384 x 12,288. Decoding this many to a file takes 0.8 GB of disk, to an array in
# float 3.2 GB of memory.
MAX_PIXELS = 16384 * 16384
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
FORGIVEN = {"JPEG": "truncated", "MPO": "truncated", "PNG": "truncated", "TIFF": "error"}  # up to which faults
TIFF_CODECS = {1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946}  # that libvips brings; Pillow brings others, Zstandard among them


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
        for y, x, strip in self._strips():
            part = upright(strip, self.orientation)
            samples[y : y + part.shape[0], x : x + part.shape[1]] = part
        return samples

    def to_raster(self, path: Path, look: Callable[[Samples], object]) -> Raster:
        """The same in a file, in the memory of a few strips.

        Args:
            look: called with each strip of rows, from the top, as they lie in the file: not turned.
        """
        raster = Raster(path, self.shape, self.dtype)
        try:
            for y, x, strip in self._strips():
                look(strip)
                raster.write(y, x, upright(strip, self.orientation))
        except BaseException:
            raster.close()
            raise
        return raster

    def _strips(self) -> Iterator[tuple[int, int, Samples]]:
        """Rows as they lie in the file, after the place (y, x) in the upright picture where they begin, turned."""
        height, width, bands = self.image.height, self.image.width, self.image.bands
        region = pyvips.Region.new(self.image)
        for top in range(0, height, STRIP_ROWS):
            rows = min(STRIP_ROWS, height - top)
            strip = np.frombuffer(region.fetch(0, top, width, rows), self.dtype).reshape(rows, width, bands)
            start = top if self.orientation in (1, 2, 5, 8) else height - top - rows
            yield *((start, 0) if self.orientation <= 4 else (0, start)), strip


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
    """What `draw` makes of the photo in a file. It may be called twice.

    Of several pictures the photo is the one that the format calls the primary one or that stands first; of the pages of
    a TIFF the largest that is neither a reduced version nor a mask.

    Raises:
        PhotoError: absent, not to be read, broken, truncated, not a photo, camera raw, or above MAX_PIXELS.
        OSError: `draw` has filled the disk.
    """
    name = printable(path)
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise PhotoError(f"{name}: no such file") from error
    except PermissionError as error:
        raise PhotoError(f"{name}: cannot be read: permission denied; give yourself the right to read it") from error
    except (OSError, ValueError) as error:  # a folder, a name that is too long or that no file can have
        reason = getattr(error, "strerror", None) or str(error)
        raise PhotoError(f"{name}: cannot be opened ({reason}); give the path of a photo") from error
    try:
        with warnings.catch_warnings(), file:
            warnings.simplefilter("ignore")  # about broken metadata, on which the pixels do not depend
            return _drawn(file, draw)
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{name}: above {MAX_PIXELS // 10**6} megapixels; make it smaller first") from error
    except Refusal as error:
        raise PhotoError(f"{name}: {error}") from error
    except Exception as error:  # decoders raise anything at all on a broken file
        if isinstance(error, OSError) and error.errno in FULL:
            raise  # `draw` has filled the disk
        if path.suffix.lower() in RAW_SUFFIXES:
            raise PhotoError(f"{name}: {RAW}") from error
        # libvips says the same for each strip, one a line.
        lines = dict.fromkeys(" ".join(line.split()) for line in str(error).splitlines())
        reason = printable("; ".join(filter(None, lines))).partition(" <_io")[0] or type(error).__name__
        raise PhotoError(f"{name}: not a photo that can be decoded ({reason}); replace or remove it") from error


def _drawn(file: BinaryIO, draw: Callable[[OpenPhoto], T]) -> T:
    if not file.seek(0, 2):
        raise ValueError("an empty file")
    file.seek(0)
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        header = read_header(file, content)
    width, height = header.size
    if width * height > MAX_PIXELS:
        raise Image.DecompressionBombError
    try:
        return draw(_open(header, file, fail_on="warning"))
    except pyvips.Error as error:
        # Stray bytes in a JPEG, checksums of a PNG, odd tags of a TIFF are forgiven; missing data would come out grey.
        if header.format not in FORGIVEN or "premature end" in str(error):
            raise
        return draw(_open(header, file, fail_on=FORGIVEN[header.format]))


def _open(header: Header, file: BinaryIO, fail_on: str) -> OpenPhoto:
    notes = list(header.notes)
    turned = header.orientation >= 5
    exif = clean_exif(header.exif, header.size[::-1] if turned else header.size, notes)
    image = _load(header, file, fail_on)
    colour_bands, alpha_band = _bands(header, image)
    return OpenPhoto(
        to_srgb(image, colour_bands, alpha_band, header.tags, notes), header.orientation, exif, tuple(notes)
    )


def _bands(header: Header, image: pyvips.Image) -> tuple[int | None, int | None]:
    """How many of the first bands are colour (None: the image says it), and which one is alpha."""
    page, picture = header.page, header.picture
    if page and page.photometric not in (tiff.PALETTE, tiff.YCBCR) and image.bands == page.number_of(tiff.SAMPLES, 1):
        return page.colour_samples, page.alpha_sample
    has_alpha = page.alpha_sample is not None if page else picture is not None and picture.has_transparency_data
    return None, image.bands - 1 if has_alpha and image.bands in (2, 4, 5) else None


def _load(header: Header, file: BinaryIO, fail_on: str) -> pyvips.Image:
    """The pixels as the file has them, or as Pillow's decoders make them of what libvips does not know."""
    file.seek(0)
    page = header.page
    if page and (page.photometric == tiff.YCBCR or page.compression not in TIFF_CODECS):
        return _by_pillow(_tiff_by_pillow(file, page, header.notes), "TIFF")
    if header.format in LOADERS:
        options = {"page": page.number} if page else {}
        source = pyvips.Source.new_from_descriptor(file.fileno())
        return pyvips.Operation.call(LOADERS[header.format], source, access="sequential", fail_on=fail_on, **options)
    if header.format == "HEIF":
        return _image(np.asarray(pillow_heif.open_heif(file, convert_hdr_to_8bit=False)))
    assert header.picture
    return _by_pillow(header.picture, header.format)


def _tiff_by_pillow(file: BinaryIO, page: tiff.Directory, notes: list[str]) -> Image.Image:
    try:
        picture = Image.open(file, formats=["TIFF"])
        picture.seek(page.number)
        picture.load()
    except Exception as error:
        if page.compression in TIFF_CODECS:
            raise
        raise Refusal(
            f"compressed in a way that is not read here (TIFF code {page.compression}): save it with Deflate or LZW"
        ) from error
    if max(page.numbers(tiff.BITS), default=1) > 8 and not picture.mode.startswith("I;16"):
        raise Refusal(
            f"16 bits compressed in a way that is not read here (TIFF code {page.compression}): save it with Deflate"
        )
    return picture


def _by_pillow(picture: Image.Image, kind: str) -> pyvips.Image:
    if picture.mode == "CMYK":
        return pyvips.Image.new_from_array(np.asarray(picture)).copy(interpretation="cmyk")
    if picture.mode.startswith("I;16"):
        return _image(np.asarray(picture).astype(np.uint16))
    if picture.mode in ("F", "I"):
        raise Refusal(f"samples of this kind ({picture.mode}) are not known in {kind}: export 8 bits")
    return _image(np.asarray(picture.convert("RGBA" if picture.has_transparency_data else "RGB")))


def _image(samples: Samples) -> pyvips.Image:
    """Of [H, W] or [H, W, C], uint8 or uint16."""
    is_grey, is_deep = samples.ndim == 2 or samples.shape[2] < 3, samples.dtype == np.uint16
    shallow_name, deep_name = ("b-w", "grey16") if is_grey else ("srgb", "rgb16")
    return pyvips.Image.new_from_array(samples).copy(interpretation=deep_name if is_deep else shallow_name)
