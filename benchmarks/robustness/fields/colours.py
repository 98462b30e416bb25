"""Where photos say what their colours mean: each input is a scene in sRGB, written in other colours with their tags."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from benchmarks.robustness.faults_photos import encoded, heic, png
from benchmarks.robustness.fields import FieldCase
from training.photos import PhotoError, read_photo

Values = npt.NDArray[np.float64]
Check = Callable[[Path], str | None]
Chunks = list[tuple[bytes, bytes]]
D65 = (0.3127, 0.3290)
SRGB_XY = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
P3_XY = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE_XY = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))
ADOBE_GAMMA = 563 / 256
DEEP_LEVELS, SHALLOW_LEVELS, JPEG_LEVELS, LINEAR_8_BIT_LEVELS = 0.3, 0.8, 1.5, 4.0  # of mean error, of 255
P3, LINEAR, LINEAR_P3, PQ = b"\x0c\x0d\0\1", b"\x01\x08\0\1", b"\x0c\x08\0\1", b"\x09\x10\0\1"
R03, R98, UNCALIBRATED = "R03", "R98", 65535


def scene() -> Values:
    """[64, 96, 3] in [0, 1]: colours that all of the spaces here hold, without near black, where 8 bits are coarse."""
    y, x = np.mgrid[0:64, 0:96] / 96
    return np.stack([0.25 + 0.5 * x, 0.3 + 0.6 * y, 0.7 - 0.3 * x], axis=-1)


def decode_srgb(values: Values) -> Values:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def encode_srgb(light: Values) -> Values:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def to_xyz(primaries: tuple[tuple[float, float], ...]) -> Values:
    """SMPTE RP 177."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    white = np.array([D65[0] / D65[1], 1, (1 - sum(D65)) / D65[1]])
    return columns * np.linalg.solve(columns, white)


def in_space(primaries: tuple[tuple[float, float], ...], encode: Callable[[Values], Values]) -> Values:
    light = decode_srgb(scene()) @ (np.linalg.inv(to_xyz(primaries)) @ to_xyz(SRGB_XY)).T
    return encode(light.clip(0, 1))


def gamma(exponent: float) -> Callable[[Values], Values]:
    return lambda light: light ** (1 / exponent)


def rounded(values: Values) -> npt.NDArray[np.uint8]:
    return np.rint(values * 255).astype(np.uint8)


def as_png(values: Values, chunks: Chunks, bits: int = 8) -> bytes:
    """With these chunks before the pixels."""
    samples = np.rint(values * (2**bits - 1)).astype(f">u{bits // 8}")
    rows = np.zeros((len(samples), 1 + samples[0].nbytes), np.uint8)
    rows[:, 1:] = samples.view(np.uint8).reshape(len(rows), -1)
    return png([*chunks, (b"IDAT", zlib.compress(rows.tobytes()))], samples.shape[1::-1], bits)


as_png16 = partial(as_png, bits=16)


def exif_of(space: int | None, index: str) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    details: dict[int, Any] = {ExifTags.Base.ColorSpace: space} if space else {}
    exif[ExifTags.IFD.Exif] = details | ({ExifTags.IFD.Interop: {1: index}} if index else {})
    return exif


def p3_profile() -> bytes:
    from training.photos.profiles import SRGB_CURVE, Primaries, matrix_profile

    return matrix_profile(Primaries(*P3_XY, D65), SRGB_CURVE)


def srgb_profile() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def iccp(profile: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"profile\0\0" + zlib.compress(profile)


def chrm(primaries: tuple[tuple[float, float], ...]) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(value * 100_000) for point in (D65, *primaries) for value in point))


def gama(exponent: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(100_000 / exponent))


def shows_scene(
    folder: Path, *, name: str, make: Callable[[], bytes], levels: float, note: str = "", truth: Values | None = None
) -> str | None:
    """The photo of these bytes shows `truth` (default: the scene), with this note or with none about colours."""
    path = folder / name
    path.write_bytes(make())
    photo = read_photo(path)
    error = np.abs(photo.pixels - (scene() if truth is None else truth)).mean() * 255
    about_colours = [line for line in photo.notes if "taken as sRGB" in line]
    if bool(note) != bool(about_colours) or note not in " ".join(photo.notes):
        return f"notes {photo.notes}"
    return None if error <= levels else f"mean error {error:.2f} levels"


def refused(folder: Path, *, name: str, make: Callable[[], bytes], sentence: str) -> str | None:
    path = folder / name
    path.write_bytes(make())
    try:
        read_photo(path)
    except PhotoError as error:
        said = str(error)
        return None if sentence in said and said.startswith(str(path)) and said.isprintable() else said
    return "taken as a photo"


def _adobe(format_: str, *, grey: bool = False, exif: Image.Exif | None = None) -> bytes:
    values = in_space(ADOBE_XY, gamma(ADOBE_GAMMA))
    if grey:
        values = gamma(ADOBE_GAMMA)(decode_srgb(scene()[..., 1:2]))[..., 0]
    exact: dict[str, dict[str, Any]] = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    options = {"quality": 100} if grey else exact.get(format_, {})
    return encoded(rounded(values), format_, exif=(exif or exif_of(UNCALIBRATED, R03)).tobytes(), **options)


def _tiff_with(values: Values, exif: bytes) -> bytes:
    """A TIFF in whose first directory are entries of EXIF, which Pillow writes without those of Interoperability."""
    pixels, block = rounded(values), exif.removeprefix(b"Exif\0\0")
    order = "<" if block[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", block, 4)
    (count,) = struct.unpack_from(order + "H", block, start)
    entries = [block[place : place + 12] for place in range(start + 2, start + 2 + 12 * count, 12)]
    bits, first = len(block), len(block) + 6
    height, width, samples = pixels.shape
    numbers = {256: width, 257: height, 259: 1, 262: 2, 273: first, 277: samples, 278: height, 279: pixels.nbytes}
    entries += [struct.pack(order + "HHII", tag, 4, 1, number) for tag, number in numbers.items()]
    entries.append(struct.pack(order + "HHII", 258, 3, samples, bits))
    entries.sort(key=lambda entry: struct.unpack_from(order + "H", entry))
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4)
    body = block[:4] + struct.pack(order + "I", first + pixels.nbytes) + block[8:]
    return body + struct.pack(order + "3H", 8, 8, 8) + pixels.tobytes() + directory


def _heif_linear() -> bytes:
    codes = {"matrix_coefficients": 0, "full_range_flag": 1, "color_primaries": 1, "transfer_characteristics": 8}
    return heic(rounded(decode_srgb(scene())), nclx_profile=codes)


def _avif_coded(values: Values, primaries: int, transfer: int) -> bytes:
    whole = encoded(rounded(values), "AVIF", quality=100, subsampling="4:4:4")
    assert whole.count(b"colrnclx\0\1\0\r") == 1
    return whole.replace(b"colrnclx\0\1\0\r", b"colrnclx" + struct.pack(">HH", primaries, transfer))


def _jpeg_with_profile_parts(count: int, total: int) -> bytes:
    """A JPEG whose profile comes in one part that says that it is number `count` of `total`."""
    whole = encoded(rounded(scene()), "JPEG", quality=100, subsampling=0, icc_profile=srgb_profile())
    return whole.replace(b"ICC_PROFILE\0\1\1", b"ICC_PROFILE\0" + bytes((count, total)))


def shown(name: str, make: Callable[[], bytes], levels: float = SHALLOW_LEVELS, **rest: Any) -> Check:
    return partial(shows_scene, name=name, make=make, levels=levels, **rest)


def not_read(name: str, make: Callable[[], bytes], sentence: str) -> Check:
    return partial(refused, name=name, make=make, sentence=sentence)


def _adobe_cases() -> dict[str, Check]:
    grey = np.repeat(scene()[..., 1:2], 3, axis=2)
    plain = partial(encoded, rounded(scene()), "JPEG", quality=100, subsampling=0)
    adobe = in_space(ADOBE_XY, gamma(ADOBE_GAMMA))
    return {
        "JPEG": shown("a.jpg", partial(_adobe, "JPEG"), JPEG_LEVELS),
        "TIFF": shown("a.tif", partial(_tiff_with, adobe, exif_of(UNCALIBRATED, R03).tobytes())),
        "PNG": shown("a.png", partial(_adobe, "PNG")),
        "WebP": shown("a.webp", partial(_adobe, "WEBP")),
        "grey JPEG": shown("a.jpg", partial(_adobe, "JPEG", grey=True), JPEG_LEVELS, truth=grey),
        "without ColorSpace": shown("a.png", partial(_adobe, "PNG", exif=exif_of(None, R03))),
        "sRGB by R98": shown("a.jpg", partial(plain, exif=exif_of(1, R98)), JPEG_LEVELS),
        "uncalibrated alone": shown("a.jpg", partial(plain, exif=exif_of(UNCALIBRATED, "")), JPEG_LEVELS,
                                    note="uncalibrated"),
    }  # fmt: skip


def _code_cases() -> dict[str, Check]:
    linear, p3 = decode_srgb(scene()), in_space(P3_XY, encode_srgb)
    return {
        "PNG": shown("a.png", partial(as_png16, linear, [(b"cICP", LINEAR)]), DEEP_LEVELS),
        "PNG of Display P3": shown("a.png", partial(as_png16, in_space(P3_XY, lambda light: light),
                                                    [(b"cICP", LINEAR_P3)]), DEEP_LEVELS),
        "PNG, primaries unsaid": shown("a.png", partial(as_png16, linear, [(b"cICP", b"\2\x08\0\1")]), DEEP_LEVELS),
        "PNG, gamma 2.2": shown("a.png", partial(as_png16, gamma(2.2)(linear), [(b"cICP", b"\1\4\0\1")]), DEEP_LEVELS),
        "PNG with the black and white of video": shown(
            "a.png", partial(as_png16, (16 + 219 * scene()) / 255, [(b"cICP", b"\1\x0d\0\0")]), DEEP_LEVELS),
        "HEIC": shown("a.heic", _heif_linear, LINEAR_8_BIT_LEVELS),
        "AVIF": shown("a.avif", partial(_avif_coded, linear, 1, 8), LINEAR_8_BIT_LEVELS),
        "AVIF of Display P3": shown("a.avif", partial(_avif_coded, p3, 12, 13), JPEG_LEVELS),
        "unspecified": shown("a.png", partial(as_png, scene(), [(b"cICP", b"\2\2\0\1")])),
        "AVIF, a reserved transfer": not_read("a.avif", partial(_avif_coded, linear, 1, 3), "transfer 3"),
        "reserved primaries": not_read("a.png", partial(as_png, linear, [(b"cICP", b"\3\x08\0\1")]), "primaries 3"),
        "a matrix": not_read("a.png", partial(as_png, linear, [(b"cICP", b"\1\x08\5\1")]), "impossible code numbers"),
    }  # fmt: skip


def _png_cases() -> dict[str, Check]:
    linear, p3, adobe = decode_srgb(scene()), in_space(P3_XY, encode_srgb), in_space(ADOBE_XY, gamma(ADOBE_GAMMA))
    return {
        "linear": shown("a.png", partial(as_png16, linear, [gama(1)]), DEEP_LEVELS),
        "gamma 1.8": shown("a.png", partial(as_png16, gamma(1.8)(linear), [gama(1.8)]), DEEP_LEVELS),
        "Adobe RGB": shown("a.png", partial(as_png, adobe, [gama(ADOBE_GAMMA), chrm(ADOBE_XY)])),
        "cHRM alone": shown("a.png", partial(as_png, p3, [chrm(P3_XY)])),
        "those of sRGB": shown("a.png", partial(as_png, scene(), [gama(2.2), chrm(SRGB_XY)]), DEEP_LEVELS),
        "chunk sRGB before gAMA": shown("a.png", partial(as_png, scene(), [(b"sRGB", b"\0"), gama(1)]), DEEP_LEVELS),
        "gAMA 0": shown("a.png", partial(as_png, scene(), [(b"gAMA", bytes(4))]), note="impossible gAMA"),
        "primaries on one line": shown("a.png", partial(as_png, scene(), [chrm(((0.3, 0.3),) * 3)]),
                                       note="impossible gAMA or cHRM"),
    }  # fmt: skip


def _order_cases() -> dict[str, Check]:
    p3, codes = in_space(P3_XY, encode_srgb), (b"cICP", P3)
    return {
        "P3 over sRGB": shown("a.png", partial(as_png, p3, [codes, iccp(srgb_profile())])),
        "P3 over sRGB, in the other order": shown("a.png", partial(as_png, p3, [iccp(srgb_profile()), codes])),
        "sRGB over P3": shown("a.png", partial(as_png, scene(), [(b"cICP", b"\1\x0d\0\1"), iccp(p3_profile())])),
        "unspecified leaves it to iCCP": shown("a.png", partial(as_png, p3, [(b"cICP", b"\2\2\0\1"),
                                                                             iccp(p3_profile())])),
        "iCCP over gAMA": shown("a.png", partial(as_png, p3, [gama(1), iccp(p3_profile())])),
        "PQ": not_read("a.png", partial(as_png16, scene(), [(b"cICP", PQ), iccp(srgb_profile())]), "PQ or HLG"),
    }  # fmt: skip


def _far_cases() -> dict[str, Check]:
    p3, codes, text = in_space(P3_XY, encode_srgb), (b"cICP", P3), (b"tEXt", b"Comment\0" + b"x" * 70_000)
    return {
        "70 KB of text": shown("a.png", partial(as_png, p3, [text, codes])),
        "2 MB of text": shown("a.png", partial(as_png, p3, [text] * 30 + [codes])),
        "5,000 chunks": shown("a.png", partial(as_png, p3, [(b"tIME", bytes(7))] * 5000 + [codes])),
        "cHRM behind text": shown("a.png", partial(as_png, p3, [text, chrm(P3_XY)])),
        "its name inside of a text": shown("a.png", partial(as_png, scene(), [(b"tEXt", b"a\0\0\0\0\4cICP" + P3)])),
    }  # fmt: skip


def _profile_cases() -> dict[str, Check]:
    return {
        "JPEG, part 1 of 0": shown("a.jpg", partial(_jpeg_with_profile_parts, 1, 0), JPEG_LEVELS, note="unusable"),
        "JPEG, part 1 of 2": shown("a.jpg", partial(_jpeg_with_profile_parts, 1, 2), JPEG_LEVELS, note="unusable"),
        "PNG, not deflated": shown("a.png", partial(as_png, scene(), [(b"iCCP", b"p\0\0garbage")]), note="unusable"),
        "TIFF, random bytes": shown("a.tif", partial(encoded, rounded(scene()), "TIFF", icc_profile=b"x" * 200),
                                    note="unusable"),
        "WebP, cut off": shown("a.webp", partial(encoded, rounded(scene()), "WEBP", lossless=True,
                                                 icc_profile=srgb_profile()[:150]), note="unusable"),
    }  # fmt: skip


KINDS: list[tuple[str, str, dict[str, Check]]] = [
    ("Adobe RGB said by EXIF alone", "taken as sRGB, in silence", _adobe_cases()),
    ("linear light by code numbers", "shown dark, in silence", _code_cases()),
    ("PNG's gAMA and cHRM", "not looked at, in silence", _png_cases()),
    ("cICP beside iCCP", "iCCP won, in silence", _order_cases()),
    ("cICP behind much else", "not found behind 64 KB", _far_cases()),
    ("unusable colour profile", "taken as sRGB, in silence", _profile_cases()),
]
CASES = [FieldCase(kind, name, check, wrong) for kind, wrong, checks in KINDS for name, check in checks.items()]
