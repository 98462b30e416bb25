"""What a file says about a scene: EXIF, cleaned to be handed on, and the names of what is not handed on."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from PIL import ExifTags, Image

from training.commandline import printable
from training.photos.colour import EXIF_SRGB

DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop)
INTEROPERABILITY_INDEX, DCF_SRGB = 1, "R98"
WINDOWS_TAGS = {18246, 18249, 40091, 40092, 40093, 40094, 40095}  # rating, title, comment, author, keywords, subject
# What a TIFF says about the scene and not about its own strips: kept as EXIF.
DESCRIPTIVE_TAGS = {270, 271, 272, 305, 306, 315, 33432, ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo} | WINDOWS_TAGS
GAIN_MAP_MARKS = (
    b"http://ns.adobe.com/hdr-gain-map/1.0/",  # Ultra HDR
    b"urn:iso:std:iso:ts:21496:-1",
    b"urn:com:apple:photo:2020:aux:hdrgainmap",
    b"HDRGainMapVersion",
)
IPTC_BLOCK = b"8BIM\x04\x04"  # of Photoshop's resources
XMP_NAMES = {
    b"dc:title": "title", b"dc:description": "caption", b"dc:subject": "keywords", b"dc:creator": "author",
    b"dc:rights": "copyright", b"xmp:Rating": "rating", b"xmp:Label": "label", b"photoshop:City": "place",
    b"mwg-rs:Regions": "face regions", b"GPano:": "panorama",
}  # fmt: skip
IPTC_NAMES = {5: "title", 25: "keywords", 80: "author", 90: "place", 116: "copyright", 120: "caption"}  # of record 2

MAX_NAMES = 8  # of texts that a note lists


def clean_exif(exif: Image.Exif, size: tuple[int, int], notes: list[str]) -> bytes:
    """EXIF with orientation 1, this upright (width, height), sRGB, and without thumbnail; b"" where there is none.

    Broken EXIF is left out, with a note.
    """
    try:
        directories = {name: dict(exif.get_ifd(name)) for name in DIRECTORIES}
        clean = Image.Exif()
        clean.update(dict(exif))
        details, interoperability = directories[ExifTags.IFD.Exif], directories[ExifTags.IFD.Interop]
        if not len(clean) and not details:
            return b""
        clean[ExifTags.Base.Orientation] = 1
        if ExifTags.Base.ExifImageWidth in details:
            details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight] = size
        details[ExifTags.Base.ColorSpace] = EXIF_SRGB  # where it is absent, libexif would write "uncalibrated"
        if INTEROPERABILITY_INDEX in interoperability:
            interoperability[INTEROPERABILITY_INDEX] = DCF_SRGB
            details[ExifTags.IFD.Interop] = interoperability
        for name in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            if directories[name]:
                clean[name] = directories[name]
        return parsed_exif(clean.tobytes()).tobytes()
    except Exception:  # as with pixels: broken metadata raises anything
        notes.append("broken EXIF dropped")
        return b""


def parsed_exif(exif: bytes) -> Image.Exif:
    """With all directories read.

    Raises:
        ValueError: broken.
    """
    parsed = Image.Exif()
    try:
        parsed.load(exif)
        for name in DIRECTORIES:
            parsed.get_ifd(name)
    except Exception as error:
        raise ValueError("EXIF that is broken") from error
    return parsed


def directory_of(exif: Image.Exif, tag: int) -> dict[int, Any]:
    """The entries of a directory, with those of Interoperability in place of a pointer at them."""
    entries = dict(exif.get_ifd(tag))
    if ExifTags.IFD.Interop in entries:
        entries[ExifTags.IFD.Interop] = exif.get_ifd(ExifTags.IFD.Interop)
    return entries


def shortened_exif(exif: bytes, max_bytes: int) -> tuple[bytes, list[str]]:
    """EXIF without its longest entries, of which the maker note is the usual one, and the names of these."""
    dropped: list[str] = []
    parsed = parsed_exif(exif)
    while len(exif) > max_bytes:
        directories: list[Any] = [parsed, *(parsed.get_ifd(name) for name in DIRECTORIES)]
        entries = [(_length(value), number, tag) for number, directory in enumerate(directories)
                   for tag, value in directory.items() if tag not in DIRECTORIES]  # fmt: skip
        if not entries:
            return b"", ["all of it"]
        _, number, tag = max(entries)
        del directories[number][tag]
        dropped.append(ExifTags.TAGS.get(tag, f"tag {tag}"))
        exif = parsed.tobytes()
    return exif, dropped


def _length(value: object) -> int:
    return len(value) if isinstance(value, bytes | str | tuple) else 1


def lost_metadata(xmp: bytes, iptc: bytes, texts: Collection[str]) -> str | None:
    """A note that names what a file says about its scene beside EXIF, which results do not carry yet."""
    losses = []
    xmp_names = [name for mark, name in XMP_NAMES.items() if mark in xmp]
    if xmp_names or (xmp and not any(mark in xmp for mark in GAIN_MAP_MARKS)):  # a gain map has a note of its own
        losses.append(_listed("XMP", xmp_names))
    if iptc:
        losses.append(_listed("IPTC", [name for number, name in IPTC_NAMES.items() if bytes((28, 2, number)) in iptc]))
    if texts:
        losses.append(_listed("text", [printable(text) for text in texts][:MAX_NAMES]))
    return f"metadata left out: {', '.join(losses)}" if losses else None


def _listed(kind: str, names: list[str]) -> str:
    return f"{kind} ({', '.join(dict.fromkeys(names))})" if names else kind
