"""Photo files of unusual kinds, as the scripts meet them: names, sizes, rights, metadata, broken structures."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from benchmarks.robustness.faults_photos import encoded, heic, jpeg_of_size, png, zeros
from benchmarks.robustness.fields import FieldCase, enhance, small_photo
from benchmarks.robustness.fields.colours import Check, refused
from benchmarks.robustness.fields.pictures import HEIC_LEVELS, JPEG_LEVELS, LARGE, SMALL, content, shows, tiff
from training.alignment.pairing import taken_at
from training.photos import PHOTO_SUFFIXES, PhotoError, read_photo
from training.photos.colour import EXIF_SRGB
from training.photos.decoding import decode

WHEN, MODEL = "2026:11:28 12:00:00", "Acme 1"
NOBODY = 65534


def described(maker_note: int = 0, comment: int = 0) -> Image.Exif:
    """EXIF with a camera, a time, a place, and parts that are so many bytes long."""
    exif = Image.Exif()
    exif[ExifTags.Base.Model], exif[ExifTags.Base.DateTime] = MODEL, WHEN
    details: dict[int, Any] = {ExifTags.Base.DateTimeOriginal: WHEN}
    details |= {ExifTags.Base.MakerNote: bytes(maker_note)} if maker_note else {}
    details |= {ExifTags.Base.UserComment: b"ASCII\0\0\0" + b"x" * comment} if comment else {}
    exif[ExifTags.IFD.Exif] = details
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSAltitude: 12.5}
    return exif


def _batch_goes_on(folder: Path, *, write: Callable[[Path], object], note: str) -> str | None:
    """The photo is enhanced, its EXIF read or its loss said, and so is the one after it."""
    (folder / "album").mkdir()
    write(folder / "album" / "a.tif")
    small_photo(folder / "album" / "b.jpg")
    ran = enhance(folder, "album")
    results = sorted(path.name for path in (folder / "enhanced").glob("[!.]*"))
    return ran.lacks(0, note) or (None if results == ["a.tif", "b.jpg"] else f"results {results}")


def _time(folder: Path, *, write: Callable[[Path], object], time: str | None) -> str | None:
    """As align.py pairs by it; None: a sentence says that there is none."""
    write(folder / "a.tif")
    try:
        said = f"{taken_at(folder / 'a.tif').local:%Y:%m:%d %H:%M:%S}"
    except PhotoError as error:
        return None if time is None and "a.tif: EXIF does not say" in str(error) else str(error)
    return None if said == time else said


def _exif_shortened(folder: Path, *, name: str, make: Callable[[], bytes], dropped: str) -> str | None:
    (folder / name).write_bytes(make())
    ran = enhance(folder, name)
    result = Image.open(next((folder / "enhanced").glob("[!.]*"))).getexif()
    details, place = result.get_ifd(ExifTags.IFD.Exif), result.get_ifd(ExifTags.IFD.GPSInfo)
    kept = (result.get(ExifTags.Base.Model), details.get(ExifTags.Base.DateTimeOriginal), len(place))
    if details.get(ExifTags.Base.ColorSpace) != EXIF_SRGB:
        return f"ColorSpace {details.get(ExifTags.Base.ColorSpace)}"
    return ran.lacks(0, "a.jpg: JPEG holds no EXIF", dropped) or (None if kept == (MODEL, WHEN, 1) else f"kept {kept}")


@contextmanager
def _unprivileged() -> Iterator[None]:
    """Root may read everything."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def _denied(folder: Path, *, name: str, locked: str) -> str | None:
    photo = folder / name
    photo.parent.mkdir(exist_ok=True)
    photo.write_bytes(encoded(SMALL, "JPEG"))
    read_photo(photo)
    (folder / locked).chmod(0)
    try:
        with _unprivileged():
            read_photo(photo)
    except PhotoError as error:
        return None if "permission denied" in str(error) and "remove" not in str(error) else str(error)
    finally:
        (folder / locked).chmod(0o700)
    return "read all the same"


def _size(folder: Path, *, name: str, make: Callable[[], bytes], shape: tuple[int, int] | None) -> str | None:
    """Whether a photo of this size is begun, before its pixels are decoded. None: refused."""
    (folder / name).write_bytes(make())
    try:
        opened = decode(folder / name, lambda photo: photo.shape[:2])
    except PhotoError as error:
        return None if shape is None and "megapixels; make it smaller" in str(error) else str(error)
    return None if opened == shape else f"shape {opened}"


def _suffix(folder: Path, *, name: str, format_: str) -> str | None:
    if Path(name).suffix.lower() not in PHOTO_SUFFIXES:
        return "not taken for a photo by its name"
    return shows(folder, name=name, write=content(partial(encoded, LARGE, format_)), truth=LARGE, levels=HEIC_LEVELS)


def _png_of_bits(width: int, height: int) -> bytes:
    return png([(b"IDAT", zeros(height * (width // 8 + 1) // 10**6 + 1))], (width, height), bits=1, kind=0)


def _broken_exif(whole: bytes, tag: int, target: int) -> bytes:
    """A TIFF with one more entry in its directory than it has values for: a pointer of this tag to that place."""
    (start,) = struct.unpack("<I", whole[4:8])
    (count,) = struct.unpack("<H", whole[start : start + 2])
    entries = whole[start + 2 : start + 2 + 12 * count] + struct.pack("<HHII", tag, 4, 1, target)
    begin = len(whole) + len(whole) % 2
    directory = struct.pack("<H", count + 1) + entries + bytes(4)
    return (whole[:4] + struct.pack("<I", begin) + whole[8:]).ljust(begin, b"\0") + directory


def _tagged(file: Path, *, bigtiff: bool, byteorder: str, time: bool) -> None:
    tags = [(306, "s", 20, WHEN, True)] if time else []
    tiff((LARGE, {"extratags": tags, "compression": "zlib"}), bigtiff=bigtiff, byteorder=byteorder)(file)


def _metadata_cases() -> dict[str, Check]:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description dc:title="t" xmp:Rating="5"/></x:xmpmeta>'
    iptc = b"\x1c\2\x78\0\1c\x1c\2\x19\0\1k"  # a caption, a keyword
    block = b"Photoshop 3.0\0" + b"8BIM\4\4\0\0" + struct.pack(">I", len(iptc)) + iptc
    jpeg = encoded(SMALL, "JPEG", quality=100, subsampling=0, xmp=xmp)
    with_iptc = jpeg[:2] + b"\xff\xed" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]
    tags = [(700, "B", len(xmp), xmp, True), (33723, "B", len(iptc), iptc, True)]

    def case(name: str, write: Callable[[Path], object], note: str, levels: float = 0) -> Check:
        return partial(shows, name=name, write=write, truth=SMALL, note=note, levels=levels)

    text = {"pnginfo": _png_text()}
    return {
        "JPEG": case("a.jpg", content(lambda: with_iptc),
                     "metadata left out: XMP (title, rating), IPTC (keywords, caption)", JPEG_LEVELS),
        "TIFF": case("a.tif", tiff((SMALL, {"extratags": tags})), "XMP (title, rating), IPTC (keywords, caption)"),
        "PNG, text": case("a.png", content(partial(encoded, SMALL, "PNG", **text)), "text (Title, Author)"),
        "WebP": case("a.webp", content(partial(encoded, SMALL, "WEBP", lossless=True, xmp=xmp)), "XMP (title, rating)"),
        "HEIC": case("a.heic", content(partial(heic, SMALL, xmp=xmp)), "XMP (title, rating)", HEIC_LEVELS),
        "JPEG without any": case("a.jpg", content(partial(encoded, SMALL, "JPEG", quality=100)), "", JPEG_LEVELS),
    }  # fmt: skip


def _png_text() -> Any:
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text("Title", "t")
    texts.add_text("Author", "a")
    return texts


def _tiff_structures() -> dict[str, Callable[[Path], object]]:
    bare, plain = encoded(LARGE, "TIFF"), encoded(LARGE, "TIFF", exif=described().tobytes())
    return {
        "BigTIFF": partial(_tagged, bigtiff=True, byteorder="<", time=True),
        "BigTIFF of the other byte order": partial(_tagged, bigtiff=True, byteorder=">", time=True),
        "EXIF directory past the end": content(partial(_broken_exif, bare, 34853, 10**9)),
        "EXIF directory in a circle": content(partial(_broken_exif, bare, 34665, 8)),
        "next directory past the end": content(lambda: plain + b"\0"),
    }


def cases() -> list[FieldCase]:
    """The kinds in order, each with how 0.1.0 ended for its first report."""
    structures = _tiff_structures()
    losses = {"EXIF directory past the end": "broken EXIF dropped"}
    times = {"BigTIFF": WHEN, "BigTIFF of the other byte order": WHEN, "next directory past the end": WHEN}
    formats = {"a.jfif": "JPEG", "a.jpe": "JPEG", "a.mpo": "JPEG", "a.bmp": "BMP", "DSC1.HIF": "HEIF", "a.heif": "HEIF"}
    long_png = partial(encoded, SMALL, "PNG", exif=described(maker_note=70_000, comment=70_000))
    kinds: list[tuple[str, str, dict[str, Check]]] = [
        ("TIFF of another structure in a batch", "traceback, the batch stopped",
         {name: partial(_batch_goes_on, write=write, note=losses.get(name, "")) for name, write in structures.items()}),
        ("time of a TIFF of another structure", "traceback, align.py stopped",
         {name: partial(_time, write=structures[name], time=time) for name, time in times.items()}),
        ("photos by their suffix", "left out in silence",
         {name: partial(_suffix, name=name, format_=format_) for name, format_ in formats.items()}),
        ("lost metadata", "lost in silence", _metadata_cases()),
        ("EXIF above 64 KB", "all lost", {
            "HEIC, maker note": partial(_exif_shortened, name="a.heic", dropped="MakerNote left out",
                                        make=partial(heic, SMALL, exif=described(maker_note=90_000).tobytes())),
            "WebP, comment": partial(_exif_shortened, name="a.webp", dropped="UserComment left out", make=partial(
                encoded, SMALL, "WEBP", exif=described(comment=70_000))),
            "HEIC, both": partial(_exif_shortened, name="a.heic", dropped="UserComment, MakerNote left out",
                                  make=partial(heic, SMALL, exif=described(70_000, 70_001).tobytes())),
            "PNG keeps it": partial(shows, name="a.png", write=content(long_png), truth=SMALL),
        }),
        ("permission denied", "called no photo, to be removed", {
            "file": partial(_denied, name="a.jpg", locked="a.jpg"),
            "folder": partial(_denied, name="album/a.jpg", locked="album"),
            "file with control characters": partial(_denied, name="a\n.jpg", locked="a\n.jpg"),
        }),
        ("200 megapixels", "refused", {
            "16,384 x 12,288 px, JPEG": partial(_size, name="a.jpg", make=partial(jpeg_of_size, 16384, 12288),
                                                shape=(12288, 16384)),
            "12,288 x 16,384 px, PNG": partial(_size, name="a.png", make=partial(_png_of_bits, 12288, 16384),
                                               shape=(16384, 12288)),
            "16,320 x 12,240 px, JPEG": partial(_size, name="a.jpg", make=partial(jpeg_of_size, 16320, 12240),
                                                shape=(12240, 16320)),
            "more than the limit": partial(_size, name="a.jpg", make=partial(jpeg_of_size, 16385, 16384), shape=None),
        }),
        ("formats that are not read", "called no photo, to be removed", {
            "JPEG XL, naked": partial(refused, name="a.jpg", make=lambda: b"\xff\x0a" + bytes(99), sentence="JPEG XL"),
            "JPEG XL, boxed": partial(refused, name="a.jxl", make=lambda: b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99),
                                      sentence="export it as JPEG, PNG or TIFF"),
            "nothing": partial(refused, name="a.jpg", make=lambda: b"", sentence="an empty file"),
        }),
    ]  # fmt: skip
    return [FieldCase(kind, name, check, wrong) for kind, wrong, checks in kinds for name, check in checks.items()]


CASES = cases()
