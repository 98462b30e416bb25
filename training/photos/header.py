"""What stands in a photo file around its pixels, by one look at it: which picture, its colours, its metadata.

Pillow reads the headers of all formats but TIFF, of which it knows some kinds of samples alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from mmap import mmap
from typing import Any, BinaryIO

from PIL import ExifTags, Image

from training.photos.colour import ColourTags
from training.photos.containers import heif, png, tiff
from training.photos.formats import Refusal, refuse_by_beginning, refuse_raw_tiff
from training.photos.metadata import (
    DESCRIPTIVE_TAGS,
    DIRECTORIES,
    GAIN_MAP_MARKS,
    INTEROPERABILITY_INDEX,
    IPTC_BLOCK,
    lost_metadata,
)

UPRIGHT_FORMATS = ("HEIF", "AVIF")  # their decoders turn the picture, and EXIF has no say (ISO/IEC 23008-12)
GAIN_MAP_DROPPED = "HDR gain map dropped: the result is standard range"
XMP_KEYWORD = "XML:com.adobe.xmp"  # of a text in PNG
DEPTHS = (1, 2, 4, 8, 16)
MAX_EXIF_TYPE = 12  # those of TIFF 6.0
SAMPLE_KINDS = {2: "signed", 3: "floating-point", 5: "complex signed", 6: "complex floating-point"}  # SampleFormat


@dataclass
class Header:
    """A photo that is not decoded yet.

    format: as Pillow calls it.
    size: width, height as they lie in the file.
    picture: as Pillow has opened it; None for TIFF.
    page: the directory of the photo; of TIFF alone.
    notes: what was dropped or assumed.
    """

    format: str
    size: tuple[int, int]
    exif: Image.Exif
    tags: ColourTags
    picture: Image.Image | None = None
    page: tiff.Directory | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def orientation(self) -> int:
        """1 to 8 (CIPA DC-008, tag 274)."""
        if self.page:
            stored = self.page.number_of(tiff.ORIENTATION, 1)
        else:
            stored = 1 if self.format in UPRIGHT_FORMATS else self.exif.get(ExifTags.Base.Orientation, 1)
        return stored if stored in range(1, 9) else 1


def read_header(file: BinaryIO, content: mmap) -> Header:
    """Raises Refusal for what is not a photo of a kind that is read, and what Pillow raises."""
    beginning = content[:64]
    refuse_by_beginning(beginning)
    return _of_tiff(content) if beginning.startswith(tiff.MAGICS) else _of_others(file, content)


def _of_others(file: BinaryIO, content: mmap) -> Header:
    picture = Image.open(file)
    kind = str(picture.format)
    is_png = kind == "PNG"
    texts = png.texts(content) if is_png else {}
    exif = _exif_of(picture, png.exif(content) if is_png else b"")
    space, index = _exif_colour(exif)
    tags = ColourTags(
        profile=(picture.info["icc_profile"] or b"") if "icc_profile" in picture.info else None,
        png=png.colour_chunks(content) if is_png else None,
        heif_codes=heif.colour_codes(content) if kind in UPRIGHT_FORMATS else None,
        exif_space=space,
        interoperability=index,
    )
    header = Header(kind, picture.size, exif, tags, picture)
    if any(content.find(mark) >= 0 for mark in GAIN_MAP_MARKS):
        header.notes.append(GAIN_MAP_DROPPED)
    elif kind == "MPO":
        header.notes.append("only the first picture of the file kept, a second view dropped")
    elif getattr(picture, "is_animated", False):
        which = "primary" if kind == "HEIF" else "first"
        header.notes.append(f"only the {which} picture of the file kept")
    elif len(picture.info.get("sizes", ())) > 1:
        header.notes.append("only the largest picture of the file kept")
    xmp = _bytes(picture.info.get("xmp")) or texts.get(XMP_KEYWORD, b"")
    comment = {"comment": b""} if picture.info.get("comment") else {}
    others = {key: text for key, text in (texts | comment).items() if key != XMP_KEYWORD and "exif" not in key}
    _note_losses(header, xmp, _photoshop_iptc(picture.info), others)
    return header


def _of_tiff(content: mmap) -> Header:
    reader = tiff.Reader(content)
    pages = reader.pages()
    refuse_raw_tiff(content[:64], pages)
    if not pages:
        raise ValueError("a TIFF without a picture")
    page = tiff.photo_of(pages)
    _refuse_samples(page)
    exif = _exif_of_tiff(reader, page)
    space, index = _exif_colour(exif)
    profile = page.data(tiff.ICC) if tiff.ICC in page else None
    tags = ColourTags(profile=profile, exif_space=space, interoperability=index)
    header = Header("TIFF", (page.width, page.height), exif, tags, page=page)
    if any(tag in page and not reader.linked(page, tag) for tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)):
        header.notes.append("broken EXIF dropped")
    full = sum(other.is_full for other in pages)
    if full > 1:
        which = "first" if page.number == 0 else "largest"
        header.notes.append(f"only the {which} picture of the file kept")
    extra = page.extra_samples - (page.alpha_sample is not None)
    if extra > 0:
        header.notes.append(f"{extra} extra channel{'s' if extra > 1 else ''} that is neither colour nor alpha dropped")
    iptc = page.data(tiff.IPTC) or (page.data(tiff.PHOTOSHOP) if IPTC_BLOCK in page.data(tiff.PHOTOSHOP) else b"")
    _note_losses(header, page.data(tiff.XMP), iptc, ())
    return header


def _refuse_samples(page: tiff.Directory) -> None:
    if page.photometric in (tiff.CIELAB, tiff.ICCLAB):
        raise Refusal("its colours are CIE Lab: export it as RGB")
    kind = page.number_of(tiff.SAMPLE_FORMAT, tiff.UNSIGNED)
    depths = set(page.numbers(tiff.BITS)) or {1}
    if kind not in (tiff.UNSIGNED, tiff.UNDEFINED) or not depths <= set(DEPTHS):
        name = SAMPLE_KINDS.get(kind, "integer")
        raise Refusal(f"{name} samples of {max(depths)} bits have no agreed range: export 8 or 16 bits")


def _exif_of_tiff(reader: tiff.Reader, page: tiff.Directory) -> Image.Exif:
    """Its own and those of the directories that it points at, as EXIF has them, in which BigTIFF is unknown."""
    entries = _descriptive(page, DESCRIPTIVE_TAGS)
    for tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        if linked := reader.linked(page, tag):
            details = _descriptive(linked, set(linked.fields))
            if below := reader.linked(linked, ExifTags.IFD.Interop):
                details[ExifTags.IFD.Interop] = _descriptive(below, set(below.fields))
            entries[tag] = details
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + tiff.classic_bytes(entries, page.order))
    return exif


def _descriptive(directory: tiff.Directory, tags: set[int]) -> tiff.Entries:
    """Values of these tags, without pointers to other directories and of the types that EXIF has."""
    return {tag: entry for tag, entry in directory.fields.items()
            if tag in tags and tag not in DIRECTORIES and 1 <= entry[0] <= MAX_EXIF_TYPE}  # fmt: skip


def _exif_of(picture: Image.Image, chunk: bytes) -> Image.Exif:
    """chunk: of a PNG, in which Pillow would look for EXIF behind its pixels by decoding these."""
    if chunk:
        picture.info.setdefault("exif", b"Exif\0\0" + chunk)
    try:
        return Image.Image.getexif(picture)
    except Exception:  # broken metadata raises anything
        return Image.Exif()


def _exif_colour(exif: Image.Exif) -> tuple[int | None, str]:
    """ColorSpace and InteroperabilityIndex."""
    try:
        details = exif.get_ifd(ExifTags.IFD.Exif)
        index = exif.get_ifd(ExifTags.IFD.Interop).get(INTEROPERABILITY_INDEX, "")
        index = index.decode("latin1") if isinstance(index, bytes) else str(index)
        return details.get(ExifTags.Base.ColorSpace), index
    except Exception:
        return None, ""


def _note_losses(header: Header, xmp: bytes, iptc: bytes, texts: Collection[str]) -> None:
    if note := lost_metadata(xmp, iptc, texts):
        header.notes.append(note)


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""


def _photoshop_iptc(info: Mapping[Any, Any]) -> bytes:
    """Of a JPEG, from the resources of Photoshop."""
    resources = info.get("photoshop")
    block = resources.get(0x0404, b"") if isinstance(resources, dict) else b""
    return block if isinstance(block, bytes) else b""
