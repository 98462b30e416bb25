"""Where a photo says what its colours mean, in the order of the standards, and how they become sRGB.

PNG: cICP, iCCP, sRGB, gAMA and cHRM, then EXIF (W3C PNG 3, 4.3 and 11.3.2). HEIC and AVIF: the ICC profile, then the
code numbers of "nclx" (ISO/IEC 23000-22, 7.3.6.4), then EXIF. All others: the ICC profile, then EXIF, whose ColorSpace
and InteroperabilityIndex tell sRGB and Adobe RGB apart (CIPA DC-008, 4.6.6 and DC-009). Nothing said is sRGB.
Code numbers are those of ITU-T H.273 = ISO/IEC 23091-2.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import pyvips

from training.photos.formats import Refusal
from training.photos.profiles import (
    SRGB_CURVE,
    Curve,
    Primaries,
    is_srgb,
    is_usable,
    matrix_profile,
    space_of,
)  # fmt: skip

D65, ILLUMINANT_C, EQUAL_ENERGY, DCI_WHITE = (0.3127, 0.3290), (0.310, 0.316), (1 / 3, 1 / 3), (0.314, 0.351)
SRGB = Primaries((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65)
ADOBE_RGB = Primaries((0.640, 0.330), (0.210, 0.710), (0.150, 0.060), D65)
ADOBE_CURVE: Curve = (563 / 256,)  # Adobe RGB (1998), 4.3.4.2
UNSPECIFIED, SRGB_CODE = 2, 1
PRIMARIES = {
    SRGB_CODE: SRGB,
    UNSPECIFIED: SRGB,
    4: Primaries((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), ILLUMINANT_C),
    5: Primaries((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65),
    6: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),
    7: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),
    8: Primaries((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), ILLUMINANT_C),
    9: Primaries((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65),
    11: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), DCI_WHITE),
    12: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),
    22: Primaries((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65),
}
# 1, 6, 7, 14 and 15 are curves of cameras whose pictures screens show by about the curve of sRGB; so do browsers.
CURVES: dict[int, Curve] = {
    **dict.fromkeys((1, UNSPECIFIED, 6, 7, 13, 14, 15), SRGB_CURVE), 4: (2.2,), 5: (2.8,), 8: (1.0,),
}  # fmt: skip
PQ, HLG = 16, 18
EXIF_SRGB, EXIF_UNCALIBRATED, DCF_ADOBE_RGB = 1, 65535, "R03"
PNG_UNIT = 100_000  # of the numbers in gAMA and cHRM
SRGB_GAMA, GAMA_TOLERANCE, CHRM_TOLERANCE = 45455, 50, 200  # in that unit
NARROW_BLACK, NARROW_WHITE = 16 / 255, 235 / 255  # levels of pictures that follow video
UNUSABLE_PROFILE = "colour profile unusable: taken as sRGB"


@dataclass(frozen=True)
class ColourTags:
    """What a file says about its colours; None where it says nothing.

    profile: ICC; b"" where one is announced and cannot be put together.
    png: chunks cICP, sRGB, gAMA, cHRM that it has, by name.
    heif_codes: (primaries, transfer) of the property "nclx".
    exif_space, interoperability: EXIF's ColorSpace and InteroperabilityIndex.
    """

    profile: bytes | None = None
    png: dict[bytes, bytes] | None = None
    heif_codes: tuple[int, int] | None = None
    exif_space: int | None = None
    interoperability: str = ""


@dataclass(frozen=True)
class Meaning:
    """profile: ICC profile of the samples, b"" for sRGB. is_narrow: black and white are those of video."""

    profile: bytes = b""
    is_narrow: bool = False


def meaning_of(tags: ColourTags, space: str, notes: list[str]) -> Meaning:
    """The first statement about colours that counts. What is assumed is added to `notes`.

    Args:
        space: "GRAY", "RGB" or "CMYK".

    Raises:
        Refusal: code numbers that cannot be right, or of brightness for HDR screens.
    """
    for statement in (_png_codes, _icc, _heif_codes, _png_chunks, _exif):
        meaning = statement(tags, space, notes)
        if meaning is not None:
            return meaning
    return Meaning()


def _png_codes(tags: ColourTags, space: str, notes: list[str]) -> Meaning | None:
    codes = (tags.png or {}).get(b"cICP")
    if codes is None:
        return None
    if len(codes) != 4 or codes[2] != 0 or codes[3] > 1:  # RGB alone, of full or narrow range (11.3.2.6)
        raise Refusal(f"its colours are said by impossible code numbers (cICP {tuple(codes)}): export it as sRGB")
    if codes[:2] == bytes((UNSPECIFIED, UNSPECIFIED)):
        return None
    return Meaning(_coded(codes[0], codes[1]), is_narrow=codes[3] == 0)


def _heif_codes(tags: ColourTags, space: str, notes: list[str]) -> Meaning | None:
    if tags.heif_codes in (None, (UNSPECIFIED, UNSPECIFIED)):
        return None
    assert tags.heif_codes
    return Meaning(_coded(*tags.heif_codes))


def _coded(primaries: int, transfer: int) -> bytes:
    if transfer in (PQ, HLG):
        raise Refusal("its brightness is coded for HDR screens (PQ or HLG): export it in standard range")
    if primaries not in PRIMARIES or transfer not in CURVES:
        raise Refusal(
            f"its colours are said by code numbers that are not known (primaries {primaries}, transfer {transfer}): "
            "export it as sRGB"
        )
    return _profile(PRIMARIES[primaries], CURVES[transfer])


def _icc(tags: ColourTags, space: str, notes: list[str]) -> Meaning | None:
    if tags.profile is None:
        return None
    if space == "GRAY" and space_of(tags.profile) == "RGB":
        space = "RGB"  # greys may have the profile of a colour picture
    if not is_usable(tags.profile, space):
        notes.append(UNUSABLE_PROFILE)
        return Meaning()
    return Meaning(b"" if is_srgb(tags.profile) else tags.profile)


def _png_chunks(tags: ColourTags, space: str, notes: list[str]) -> Meaning | None:
    chunks = tags.png or {}
    if b"sRGB" in chunks:
        return Meaning()
    numbers = {name: struct.unpack(f">{len(body) // 4}I", body[: len(body) // 4 * 4]) for name, body in chunks.items()}
    gamma, points = numbers.get(b"gAMA"), numbers.get(b"cHRM")
    if gamma is None and points is None:
        return None
    try:
        primaries = SRGB if points is None or _is_srgb_chrm(points) else _chromaticities(points)
        if gamma is None or (primaries == SRGB and abs(gamma[0] - SRGB_GAMA) <= GAMA_TOLERANCE):
            return Meaning(_profile(primaries, SRGB_CURVE))
        return Meaning(_profile(primaries, (PNG_UNIT / gamma[0],)))
    except (ValueError, ArithmeticError, IndexError):
        notes.append("impossible gAMA or cHRM: taken as sRGB")
        return Meaning()


def _is_srgb_chrm(points: tuple[int, ...]) -> bool:
    srgb = (*SRGB.white, *SRGB.red, *SRGB.green, *SRGB.blue)
    return len(points) == 8 and all(abs(a - b * PNG_UNIT) <= CHRM_TOLERANCE for a, b in zip(points, srgb, strict=True))


def _chromaticities(points: tuple[int, ...]) -> Primaries:
    white, red, green, blue = ((points[i] / PNG_UNIT, points[i + 1] / PNG_UNIT) for i in range(0, 8, 2))
    return Primaries(red, green, blue, white)


def _exif(tags: ColourTags, space: str, notes: list[str]) -> Meaning | None:
    if tags.exif_space != EXIF_SRGB and tags.interoperability.startswith(DCF_ADOBE_RGB):
        return Meaning(_profile(ADOBE_RGB, ADOBE_CURVE))
    if tags.exif_space == EXIF_UNCALIBRATED and space != "CMYK":
        notes.append("colours uncalibrated by EXIF, without a profile: taken as sRGB")
    return None


def _profile(primaries: Primaries, curve: Curve) -> bytes:
    return b"" if primaries == SRGB and curve == SRGB_CURVE else matrix_profile(primaries, curve)


def to_srgb(
    image: pyvips.Image, colour_bands: int | None, alpha_band: int | None, tags: ColourTags, notes: list[str]
) -> pyvips.Image:
    """Samples as they lie in a file -> sRGB, 3 bands or 4 with alpha, of the same depth.

    Args:
        colour_bands: how many of the first bands are colour, or None if the image says it itself.
        alpha_band: which band is alpha, if one is.
    """
    if image.format not in ("uchar", "ushort"):
        raise Refusal(f"{image.format} samples have no agreed range: export 8 or 16 bits")
    if colour_bands is None:
        colour_bands = 1 if image.bands < 3 else 4 if image.interpretation == "cmyk" else 3
    space = {1: "GRAY", 3: "RGB", 4: "CMYK"}[colour_bands]
    deep = image.format == "ushort"
    only_colour = image.bands == colour_bands  # a copy of all samples less
    colour = _named(image if only_colour else image.extract_band(0, n=colour_bands), space, deep)
    meaning = meaning_of(tags, space, notes)
    if meaning.is_narrow:
        colour = _widened(colour)
    if space == "CMYK" and space_of(meaning.profile) != "CMYK":
        notes.append("CMYK without a usable colour profile: taken as common offset print")
        colour = _transformed(colour, {"input_profile": "cmyk"}, deep)
    elif meaning.profile:
        if space == "GRAY" and space_of(meaning.profile) == "RGB":
            colour = _named(colour.bandjoin([colour, colour]), "RGB", deep)
        colour.set_type(pyvips.GValue.blob_type, "icc-profile-data", meaning.profile)
        colour = _transformed(colour, {"embedded": True}, deep)
    if colour.bands == 1:
        colour = colour.bandjoin([colour, colour])
    colour = _named(colour, "RGB", deep)
    return colour if alpha_band is None else colour.bandjoin(image[alpha_band])


def _named(colour: pyvips.Image, space: str, deep: bool) -> pyvips.Image:
    """With the interpretation that libvips has for these samples."""
    shallow_name, deep_name = {"GRAY": ("b-w", "grey16"), "RGB": ("srgb", "rgb16"), "CMYK": ("cmyk", "cmyk")}[space]
    return colour.copy(interpretation=deep_name if deep else shallow_name)


def _transformed(colour: pyvips.Image, source: dict[str, object], deep: bool) -> pyvips.Image:
    options = {"intent": "relative", "black_point_compensation": True, **source}
    if not deep:
        return colour.icc_transform("srgb", **options)
    # By way of floating point: lcms2 makes 16-bit transforms into tables, up to 0.04 off at 33 steps a side.
    between = colour.icc_import(pcs="xyz" if colour.bands == 1 else "lab", **options)
    options.pop(next(iter(source)))
    return between.icc_export(output_profile="srgb", depth=16, **options)


def _widened(colour: pyvips.Image) -> pyvips.Image:
    top = 65535 if colour.format == "ushort" else 255
    scale = 1 / (NARROW_WHITE - NARROW_BLACK)
    return (colour * scale - NARROW_BLACK * scale * top).rint().cast(colour.format)
