"""Photo files that are odd, broken or hostile, made from a scene whose pixels are known."""

from __future__ import annotations

import base64
import csv
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms

import training.photos.decoding  # noqa: F401  (HEIC for Pillow)
from benchmarks.robustness.faults import Case, Right, flipped, truncated

Pixels = npt.NDArray[np.uint8]
JPEG_LEVELS = 8.0  # what compression may change in the scenes
FLIPS = 12  # of each format
EXIF_IN_ITSELF = b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0" + bytes(4)
# The scene of 24 x 16 px, arithmetic coding (jpegtran -arithmetic).
ARITHMETIC = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYU"
    "GBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/yQARCAAQABgD"
    "AREAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIRAxEAPwD/AOS2aYlLTKAwAHGDM3INg5d2MlZAuqA0XaTDQvBJykneW1fXtsXZGHJv9Ym2EbhOukfl"
    "FWbmwtBR6TCriWu0gP/Z"
)


def scene(height: int, width: int) -> Pixels:
    """Smooth and without symmetry: JPEG keeps it well, and a mirrored one would show."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    return (255 * np.stack([x, y, (x + 2 * y) / 3], axis=-1)).astype(np.uint8)


def encoded(pixels: npt.NDArray[Any] | Image.Image, format_: str, **options: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def heic(pixels: Pixels, **options: Any) -> bytes:
    return encoded(pixels, "HEIF", quality=-1, chroma=444, **options)


def png(chunks: list[tuple[bytes, bytes]], size: tuple[int, int], bits: int = 8, kind: int = 2) -> bytes:
    """A PNG of these chunks after its header of (width, height)."""
    header = (b"IHDR", struct.pack(">IIBBBBB", *size, bits, kind, 0, 0, 0))
    body = b""
    for name, content in (header, *chunks, (b"IEND", b"")):
        body += struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    return b"\x89PNG\r\n\x1a\n" + body


def png16(pixels: Pixels) -> bytes:
    rows = np.zeros((pixels.shape[0], 1 + 6 * pixels.shape[1]), np.uint8)
    rows[:, 1:] = np.ascontiguousarray(pixels.astype(np.uint16) * 257, ">u2").view(np.uint8).reshape(len(rows), -1)
    return png([(b"IDAT", zlib.compress(rows.tobytes()))], (pixels.shape[1], pixels.shape[0]), bits=16)


def zeros(megabytes: int) -> bytes:
    """So many MB of zeros, deflated to a thousandth."""
    deflate = zlib.compressobj(9)
    return b"".join(deflate.compress(bytes(10**6)) for _ in range(megabytes)) + deflate.flush()


def five_hundred_scans() -> bytes:
    """A progressive JPEG whose last scan comes again and again: small, and slow for a reader without limits."""
    whole = encoded(scene(1600, 1600), "JPEG", progressive=True, quality=50)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * 500 + whole[-2:]


def jpeg_of_size(width: int, height: int) -> bytes:
    """A JPEG that says it is larger than it is."""
    whole = bytearray(encoded(scene(16, 16), "JPEG"))
    at = whole.index(b"\xff\xc0")
    whole[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(whole)


def heic_of_size(width: int, height: int) -> bytes:
    whole = bytearray(heic(scene(64, 96)))
    at = whole.index(b"ispe")
    whole[at + 8 : at + 16] = struct.pack(">II", width, height)
    return bytes(whole)


def endless_tiff() -> bytes:
    """A TIFF whose directory says that the next one is itself."""
    whole = bytearray(encoded(scene(16, 24), "TIFF"))
    (at,) = struct.unpack("<I", whole[4:8])
    (count,) = struct.unpack("<H", whole[at : at + 2])
    whole[at + 2 + 12 * count : at + 6 + 12 * count] = struct.pack("<I", at)
    return bytes(whole)


def with_exif(raw: bytes) -> bytes:
    return encoded(scene(64, 96), "JPEG", quality=98, subsampling=0, exif=b"Exif\0\0" + raw)


def with_gain_map() -> bytes:
    """The XMP of an HDR gain map in a HEIC, as phones write it beside its second picture."""
    return heic(scene(64, 96), xmp=b'<x apdi:AuxiliaryImageType="urn:com:apple:photo:2020:aux:hdrgainmap"/>')


def animation(format_: str) -> bytes:
    frames = [Image.fromarray(scene(64, 96)), Image.new("RGB", (96, 64), "white")]
    options = {"lossless": True} if format_ == "WEBP" else {}
    return encoded(frames[0], format_, save_all=True, append_images=frames[1:], **options)


def whole_ones() -> dict[str, tuple[str, bytes, Pixels, float]]:
    """Name -> (extension, content, what it shows, tolerance): odd, and right."""
    small, wide = scene(64, 96), scene(2, 65500)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    huge = srgb + bytes(2 * 10**6)
    sideways = Image.Exif()
    sideways[ExifTags.Base.Orientation] = 6
    grey = np.repeat(small[..., 2:], 3, axis=2)
    palette = Image.fromarray(small).quantize(64)
    white = np.full((16, 16, 3), 255, np.uint8)
    jpeg = encoded(small, "JPEG", quality=98, subsampling=0)
    return {
        "1 x 1 px": ("png", encoded(small[:1, :1], "PNG"), small[:1, :1], 0),
        "1 x 30,000 px": ("png", encoded(scene(30000, 1), "PNG"), scene(30000, 1), 0),
        "65,500 px wide, JPEG": ("jpg", encoded(wide, "JPEG", quality=98, subsampling=0), wide, JPEG_LEVELS),
        "65,500 px high, PNG": ("png", encoded(scene(65500, 2), "PNG"), scene(65500, 2), 0),
        "progressive JPEG": ("jpg", encoded(small, "JPEG", quality=98, progressive=True), small, JPEG_LEVELS),
        "arithmetic JPEG": ("jpg", base64.b64decode(ARITHMETIC), scene(16, 24), JPEG_LEVELS),
        "grey JPEG": ("jpg", encoded(small[..., 2], "JPEG", quality=98), grey, JPEG_LEVELS),
        "CMYK with inverted Adobe marker": (
            "jpg", encoded(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "JPEG", quality=98), white, JPEG_LEVELS),
        "16-bit PNG": ("png", png16(small), small, 0),
        "palette PNG": ("png", encoded(palette, "PNG"), np.asarray(palette.convert("RGB")), 0),
        "1-bit PNG": ("png", encoded(Image.fromarray(small).convert("1"), "PNG"),
                      np.asarray(Image.fromarray(small).convert("1").convert("RGB")), 0),
        "animated WebP": ("webp", animation("WEBP"), small, 0),
        "animated PNG": ("png", animation("PNG"), small, 0),
        "two pictures in a TIFF": ("tif", animation("TIFF"), small, 0),
        "two pictures in a JPEG": ("jpg", encoded(small, "MPO", quality=98, subsampling=0, save_all=True,
                                                  append_images=[Image.fromarray(grey)]), small, JPEG_LEVELS),
        "HEIC with gain map": ("heic", with_gain_map(), small, JPEG_LEVELS),
        "AVIF": ("avif", encoded(small, "AVIF", quality=95, subsampling="4:4:4"), small, 12),
        "BMP": ("bmp", encoded(small, "BMP"), small, 0),
        "PNG that is called .jpg": ("jpg", encoded(small, "PNG"), small, 0),
        "JPEG that is called .png": ("png", jpeg, small, JPEG_LEVELS),
        "HEIC that is called .jpg": ("jpg", heic(small), small, JPEG_LEVELS),
        "an extension in capitals": ("JPG", jpeg, small, JPEG_LEVELS),
        "turned by EXIF": ("png", encoded(small, "PNG", exif=sideways), np.rot90(small, -1), 0),
        "EXIF that ends at once": ("jpg", with_exif(b"II*\0"), small, JPEG_LEVELS),
        "EXIF directory past the end": ("jpg", with_exif(b"II*\0\xff\xff\xff\x7f"), small, JPEG_LEVELS),
        "EXIF directory in itself": ("jpg", with_exif(EXIF_IN_ITSELF), small, JPEG_LEVELS),
        "EXIF of random bytes": ("jpg", with_exif(np.random.default_rng(0).bytes(5000)), small, JPEG_LEVELS),
        "a colour profile of 2 MB": ("jpg", encoded(small, "JPEG", quality=98, subsampling=0,
                                                    icc_profile=huge), small, JPEG_LEVELS),
        "a colour profile of random bytes": ("png", encoded(small, "PNG", icc_profile=bytes(range(256))), small, 0),
        "bytes after the end": ("jpg", jpeg + np.random.default_rng(2).bytes(10**5), small, JPEG_LEVELS),
    }  # fmt: skip


def hostile_ones() -> dict[str, tuple[str, Callable[[], bytes], Right]]:
    """Name -> (extension, content, what must come out)."""
    black = (b"IDAT", zlib.compress(bytes(4)))  # one pixel

    def bomb(name: bytes) -> bytes:
        return png([(name, b"x\0\0" + zeros(500)), black], (1, 1))

    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/></svg>'
    return {
        "bomb: 400 MP of zeros in a PNG": ("png", lambda: png([(b"IDAT", zeros(1200))], (20000, 20000)), "refused"),
        "bomb: PNG of 2,147,483,647 px a side": ("png", lambda: png([black], (2**31 - 1, 2**31 - 1)), "refused"),
        "bomb: JPEG of 65,500 px a side": ("jpg", lambda: jpeg_of_size(65500, 65500), "refused"),
        "bomb: JPEG of 14,000 px a side without pixels": ("jpg", lambda: jpeg_of_size(14000, 14000), "refused"),
        "bomb: HEIC of 1,000,000 px a side": ("heic", lambda: heic_of_size(10**6, 10**6), "refused"),
        "bomb: 500 MB of colour profile": ("png", lambda: bomb(b"iCCP"), "picture"),
        "bomb: 500 MB of text": ("png", lambda: bomb(b"zTXt"), "picture"),
        "bomb: 500 scans": ("jpg", five_hundred_scans, "picture"),
        "a directory in a circle": ("tif", endless_tiff, "picture"),
        "pixels that end early": ("png", lambda: png([black], (96, 64)), "refused"),
        "no pixels": ("png", lambda: png([], (96, 64)), "refused"),
        "nothing": ("jpg", lambda: b"", "refused"),
        "text": ("jpg", lambda: b"not a photo\n" * 99, "refused"),
        "a program": ("jpg", lambda: b"\x7fELF" + bytes(999), "refused"),
        "SVG that names a file": ("png", lambda: svg, "refused"),
        "PostScript": ("jpg", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nquit\n", "refused"),
        "float samples": ("tif", lambda: encoded(np.ones((4, 5), np.float32), "TIFF"), "refused"),
    }


def photo_cases(folder: Path, shared: Path | None = None) -> Iterator[Case]:
    """Write all cases into `folder`; with the files of others in `shared`/MANIFEST.csv where there are any."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, (extension, content, shows, tolerance)) in enumerate(whole_ones().items()):
        path = folder / f"odd-{number}.{extension}"
        path.write_bytes(content)
        yield Case(name, "photo", path, "truth", _truth(path, shows), tolerance)
    for number, (name, (extension, make, right)) in enumerate(hostile_ones().items()):
        path = folder / f"hostile-{number}.{extension}"
        path.write_bytes(make())
        yield Case(name, "photo", path, right)
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    for extension, whole in {
        "jpg": encoded(noise, "JPEG"),
        "progressive.jpg": encoded(noise, "JPEG", progressive=True),
        "png": encoded(noise, "PNG"),
        "tif": encoded(noise, "TIFF", compression="tiff_adobe_deflate"),
        "webp": encoded(noise, "WEBP", lossless=True),
        "heic": heic(noise),
        "avif": encoded(noise, "AVIF"),
    }.items():
        (original := folder / f"whole.{extension}").write_bytes(whole)
        for number, (name, content) in enumerate(truncated(whole)):
            path = folder / f"cut-{number}.{extension}"
            path.write_bytes(content)
            yield Case(f"{extension}, {name}", "photo", path, "truth", original)
        for number, (name, content) in enumerate(flipped(whole, FLIPS, seed=len(extension))):
            path = folder / f"flipped-{number}.{extension}"
            path.write_bytes(content)
            yield Case(f"{extension}, {name}", "photo", path, "picture")
    if shared:
        with (shared / "MANIFEST.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                decodes = row["pillow_13_result"] == "decodes"
                yield Case(row["file"], "photo", shared / row["file"], "truth" if decodes else "refused")


def _truth(path: Path, shows: Pixels) -> Path:
    truth = path.with_name(f"{path.name}.npy")
    np.save(truth, shows)
    return truth
