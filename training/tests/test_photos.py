"""Photos of every kind and state: decoded right or refused with one sentence, and written whole or not at all."""

from __future__ import annotations

import csv
import io
import itertools
import struct
import time
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pillow_heif
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms, ImageOps

from training.photos import ENCODERS, Photo, PhotoError, read_folder, read_photo, read_pixels, write_photo

SIDE = 24
# Of 16-bit colour through a profile: lcms2 has its curves in tables, which shows near black. Largest and mean error.
DEEP_TOLERANCE, DEEP_MEAN_TOLERANCE = 3.1 / 255, 0.2 / 255


def scene(height: int = SIDE, width: int = 36) -> npt.NDArray[np.uint8]:
    """A smooth colour picture with no symmetry, which JPEG keeps well."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    return (255 * np.stack([x, y, (x + 2 * y) / 3], axis=-1)).astype(np.uint8)


def exif_with(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "Maker"
    exif.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base.ExifImageWidth: 36, ExifTags.Base.ExifImageHeight: SIDE})
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({ExifTags.GPS.GPSAltitude: 12.5})
    return exif


def shown(stored: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Pixel by pixel as the EXIF standard words it: which visual side row 0 and column 0 of the file are."""
    height, width = stored.shape[:2]
    turned = np.empty((width, height, *stored.shape[2:]) if orientation >= 5 else stored.shape, stored.dtype)
    for i, j in itertools.product(range(height), range(width)):
        bottom, right = height - 1 - i, width - 1 - j
        at = {1: (i, j), 2: (i, right), 3: (bottom, right), 4: (bottom, j)}
        at |= {5: (j, i), 6: (j, bottom), 7: (right, bottom), 8: (right, i)}
        turned[at[orientation]] = stored[i, j]
    return turned


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def write_png16(path: Path, samples: npt.NDArray[np.uint16], icc: bytes = b"", exif: bytes = b"") -> None:
    """[H, W, C], C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGB + alpha, by the PNG specification, without row filters."""
    height, width, channels = samples.shape
    rows = np.zeros((height, 1 + 2 * width * channels), np.uint8)
    rows[:, 1:] = np.ascontiguousarray(samples, ">u2").view(np.uint8).reshape(height, -1)
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))]
    parts += [(b"iCCP", b"profile\0\0" + zlib.compress(icc))] if icc else []
    parts += [(b"eXIf", exif.removeprefix(b"Exif\0\0"))] if exif else []
    parts += [(b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts))


# --- files of others -------------------------------------------------------------------------------------------


def test_every_odd_file_is_a_photo_or_a_sentence(pocket_data: Path) -> None:
    folder = pocket_data / "robustness"
    with (folder / "MANIFEST.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 100
    for row in rows:
        path = folder / row["file"]
        started = time.monotonic()
        try:
            photo = read_photo(path)
        except PhotoError as error:
            assert path.name in str(error) and "\n" not in str(error)
            assert row["pillow_13_result"] != "decodes" or row["format"] == "HEIF", error
        else:
            assert row["pillow_13_result"] == "decodes", path
            assert photo.pixels.dtype == np.float32 and photo.pixels.shape[2] == 3
            assert photo.pixels.min() >= 0 and photo.pixels.max() <= 1
            if photo.exif:
                exif = Image.Exif()
                exif.load(photo.exif)
                assert exif[ExifTags.Base.Orientation] == 1
            if photo.bits == 8 and photo.pixels.size < 10**6:
                np.testing.assert_array_equal(np.rint(photo.pixels * 255), read_pixels(path))
        assert time.monotonic() - started < 30


def by_pillow(path: Path) -> npt.NDArray[np.uint8] | None:
    """[H, W, 3] upright sRGB by Pillow alone; None for CMYK, greys of 16 bits, and PNG of linear light."""
    with warnings.catch_warnings(), Image.open(path) as image:
        warnings.simplefilter("ignore")
        icc = image.info.get("icc_profile")
        turned = image if image.format == "HEIF" else ImageOps.exif_transpose(image)
        if turned.mode == "CMYK" or turned.mode.startswith("I;16") or image.info.get("gamma") == 1:
            return None
        colour = turned.convert("RGBA").convert("RGB") if image.has_transparency_data else turned.convert("RGB")
        if icc and icc[16:20] == b"RGB ":
            parsed = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            bpc = ImageCms.Flags.BLACKPOINTCOMPENSATION
            converted = ImageCms.profileToProfile(
                colour, parsed, ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC, flags=bpc
            )
            assert converted is not None
            colour = converted
        return np.asarray(colour)


def test_pixels_are_those_of_an_independent_library(pocket_data: Path) -> None:
    """Within one level, as 16 bits are rounded here and cut off there; 24 where two AVIF decoders differ on edges."""
    folder, compared = pocket_data / "robustness", 0
    with (folder / "MANIFEST.csv").open() as file:
        paths = [folder / row["file"] for row in csv.DictReader(file) if row["pillow_13_result"] == "decodes"]
    for path in paths:
        expected = by_pillow(path)
        if expected is not None:
            found = read_pixels(path)
            assert found.shape == expected.shape, path
            difference = np.abs(found.astype(int) - expected)
            assert difference.max() <= (24 if path.suffix == ".avif" else 1), path
            assert difference.mean() <= (0.4 if read_photo(path).bits == 16 else 0.05), path
            compared += 1
    assert compared > 45


def test_16_bit_tiffs_of_others_are_those_of_an_independent_library(pocket_data: Path) -> None:
    for name in ("pillow__tiff_16bit_RGB.tiff", "pillow__16bit.cropped.tif"):
        expected = tifffile.imread(pocket_data / "robustness" / "color" / name)
        photo = read_photo(pocket_data / "robustness" / "color" / name)
        colour = expected if expected.ndim == 3 else np.repeat(expected[..., None], 3, axis=2)
        assert photo.bits == 16 and expected.dtype == np.uint16
        np.testing.assert_array_equal(np.rint(photo.pixels * 65535), colour)


def test_turned_photos_of_one_scene_look_alike(pocket_data: Path) -> None:
    paths = sorted((pocket_data / "robustness" / "orientation").glob("*.jpg"))
    small = [read_photo(path).pixels[::40, ::40] for path in paths]
    assert len(small) >= 4
    for other in small[1:]:
        assert np.corrcoef(small[0].ravel(), other.ravel())[0, 1] > 0.95
    assert np.corrcoef(small[0].ravel(), small[0][:, ::-1].ravel())[0, 1] < 0.9  # a mirrored one would show


# --- orientation -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "kind", ["jpg", "png", "webp", "tif", "grey.tif", "16.png", "16.tif", "16grey.tif", "raw16.tif"]
)
def test_orientation_is_applied_once(tmp_path: Path, kind: str, orientation: int) -> None:
    path, stored, exif = tmp_path / f"photo.{kind[-3:]}", scene(), exif_with(orientation)
    tag = [(274, "H", 1, orientation, True)]
    if kind == "jpg":
        Image.fromarray(stored).save(path, quality=100, subsampling=0, exif=exif)
    elif kind == "webp":
        path = tmp_path / "photo.webp"
        Image.fromarray(stored).save(path, lossless=True, exif=exif)
    elif kind == "png":
        Image.fromarray(stored).save(path, exif=exif)
    elif kind == "16.png":
        write_png16(path, stored.astype(np.uint16) * 257, exif=exif.tobytes())
    else:
        values: npt.NDArray[Any] = stored.astype(np.uint16) * 257 if "16" in kind else stored
        if "grey" in kind:
            stored = np.repeat(stored[..., 2:], 3, axis=2)
            values = values[..., 2]
        tifffile.imwrite(
            path, values, photometric="minisblack" if "grey" in kind else "rgb", extratags=tag,
            compression="zlib" if kind in ("tif", "16.tif") else None,
        )  # fmt: skip
    photo = read_photo(path)
    assert photo.bits == (16 if "16" in kind else 8)
    tolerance = 6 if kind == "jpg" else 0.01
    np.testing.assert_allclose(photo.pixels * 255, shown(stored, orientation), atol=tolerance)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_unknown_orientation_counts_as_upright(tmp_path: Path, orientation: int) -> None:
    Image.fromarray(scene()).save(tmp_path / "a.png", exif=exif_with(orientation))
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.png"), scene())


# --- kinds of pictures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "YCbCr"])
def test_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(scene()).convert(mode)
    if mode in ("LA", "RGBA"):
        picture.putalpha(Image.fromarray(scene()[..., 0]))
    path = tmp_path / ("a.tif" if mode == "YCbCr" else "a.png")
    picture.save(path)
    photo = read_photo(path)
    np.testing.assert_allclose(photo.pixels * 255, np.asarray(picture.convert("RGB")), atol=1.01)
    assert (photo.alpha is not None) == (mode in ("LA", "RGBA"))
    if photo.alpha is not None:
        np.testing.assert_allclose(photo.alpha * 255, scene()[..., 0], atol=0.01)


def test_a_transparent_palette_gives_alpha(tmp_path: Path) -> None:
    picture = Image.new("P", (4, 3), 1)
    picture.putpalette([0, 0, 0, 200, 100, 50])
    picture.putpixel((0, 0), 0)
    picture.save(tmp_path / "a.png", transparency=0)
    photo = read_photo(tmp_path / "a.png")
    assert photo.alpha is not None and photo.alpha[0, 0] == 0 and photo.alpha[1, 1] == 1
    np.testing.assert_allclose(photo.pixels[1, 1] * 255, [200, 100, 50], atol=0.01)


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_cmyk_is_not_inverted_and_looks_like_print(tmp_path: Path, name: str) -> None:
    """Adobe's CMYK JPEGs store 255 - ink; a reader that misses it shows the negative."""
    cyan, magenta, white, black = (255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 0, 0), (255, 255, 255, 255)
    shown = {}
    for ink in (cyan, magenta, white, black):
        Image.new("CMYK", (16, 16), ink).save(tmp_path / name, **({"quality": 100} if name == "a.jpg" else {}))
        photo = read_photo(tmp_path / name)
        shown[ink] = photo.pixels[8, 8]
        assert any("CMYK" in note for note in photo.notes)
    assert shown[white].min() > 0.98 and shown[black].max() < 0.2
    assert shown[cyan][0] < 0.2 < 0.5 < shown[cyan][1:].min()
    assert shown[magenta][1] < 0.2 and shown[magenta][0] > 0.7


def test_the_first_of_many_frames_is_read_and_noted(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    photo = read_photo(tmp_path / "a.webp")
    np.testing.assert_array_equal(photo.pixels[0, 0], [1, 0, 0])
    assert any("first picture" in note for note in photo.notes)


def test_float_tiff_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 5), np.float32))
    with pytest.raises(PhotoError, match=r"a\.tif: .*export 8 or 16"):
        read_photo(tmp_path / "a.tif")


def test_premultiplied_alpha_is_divided_out(tmp_path: Path) -> None:
    for dtype, level in ((np.uint8, 1), (np.uint16, 257)):
        samples = np.full((4, 5, 4), 50 * level, dtype)
        samples[..., 3] = 100 * level
        tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", extrasamples=["assocalpha"])
        photo = read_photo(tmp_path / "a.tif")
        assert photo.alpha is not None
        np.testing.assert_allclose(photo.alpha, 100 / 255, atol=1e-3)
        np.testing.assert_allclose(photo.pixels, 50 / 100, atol=3e-3)


# --- HEIC, HDR -------------------------------------------------------------------------------------------------


def save_heic(path: Path, pixels: npt.NDArray[Any], orientation: int = 1, **options: Any) -> None:
    image = Image.fromarray(pixels)
    image.info["exif"] = exif_with(orientation).tobytes()
    image.save(path, quality=-1, chroma=444, **options)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_turned_by_its_container_once(tmp_path: Path, orientation: int) -> None:
    """As phones write it: a rotation of the container, and an EXIF tag that says the same and has no say."""
    stored = scene(64, 96)
    save_heic(tmp_path / "a.heic", stored, orientation)
    boxes = (tmp_path / "a.heic").read_bytes()
    assert (orientation == 1) == (b"irot" not in boxes and b"imir" not in boxes)
    photo = read_photo(tmp_path / "a.heic")
    np.testing.assert_allclose(photo.pixels * 255, shown(stored, orientation), atol=4)
    exif = Image.Exif()
    exif.load(photo.exif)
    assert exif[ExifTags.Base.Orientation] == 1 and exif[ExifTags.Base.Make] == "Maker"


def test_heic_keeps_alpha_and_ten_bits(tmp_path: Path) -> None:
    pixels = np.dstack([scene(64, 96), scene(64, 96)[..., 0]])
    save_heic(tmp_path / "a.heif", pixels)
    photo = read_photo(tmp_path / "a.heif")
    assert photo.alpha is not None and photo.bits == 8
    np.testing.assert_allclose(photo.alpha * 255, pixels[..., 3], atol=4)

    deep = np.repeat(np.linspace(0, 65535, 96 * 64).reshape(64, 96, 1), 3, axis=2).astype(np.uint16)
    pillow_heif.from_bytes("RGB;16", (96, 64), deep.tobytes()).save(tmp_path / "b.heic", quality=-1, chroma=444)
    photo = read_photo(tmp_path / "b.heic")
    assert photo.bits == 16 and len(np.unique(photo.pixels)) > 256
    np.testing.assert_allclose(photo.pixels, deep / 65535, atol=4 / 1023)


def test_colour_said_by_code_numbers(tmp_path: Path) -> None:
    """ITU-T H.273 in place of a profile: Display P3 (12, 13) is converted, PQ (9, 16) refused."""
    heic, pixels = tmp_path / "a.heic", scene(64, 96)
    coded = {"matrix_coefficients": 0, "full_range_flag": 1}
    save_heic(heic, pixels, nclx_profile=coded | {"color_primaries": 12, "transfer_characteristics": 13})
    assert b"colrnclx\0\x0c\0\x0d" in heic.read_bytes(), "the encoder should write the codes"
    np.testing.assert_allclose(read_photo(heic).pixels, from_display_p3(pixels / 255), atol=7 / 255)
    assert abs(from_display_p3(pixels / 255) - pixels / 255).max() > 0.1
    save_heic(heic, pixels, nclx_profile=coded | {"color_primaries": 9, "transfer_characteristics": 16})
    with pytest.raises(PhotoError, match="PQ or HLG"):
        read_photo(heic)

    Image.fromarray(pixels).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    for codes, sentence in ((b"\x0c\x0d\0\1", None), (b"\x09\x10\0\1", "PQ or HLG")):
        (tmp_path / "a.png").write_bytes(whole[:33] + png_chunk(b"cICP", codes) + whole[33:])
        if sentence:
            with pytest.raises(PhotoError, match=sentence):
                read_photo(tmp_path / "a.png")
        else:
            found = read_photo(tmp_path / "a.png").pixels
            np.testing.assert_allclose(found, from_display_p3(pixels / 255), atol=2.1 / 255)


@pytest.mark.parametrize(
    ("kind", "packet"),
    [
        ("Ultra HDR", b'<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/>'),
        ("Apple", b'<rdf:Description apdi:AuxiliaryImageType="urn:com:apple:photo:2020:aux:hdrgainmap"/>'),
    ],
)
def test_a_gain_map_is_dropped_aloud(tmp_path: Path, kind: str, packet: bytes) -> None:
    """A JPEG with a second picture behind the first (MPF), which XMP of the one or the other calls a gain map."""
    pixels, dark = scene(64, 96), Image.fromarray(np.zeros((32, 48), np.uint8))
    first = Image.fromarray(pixels)
    xmp = {"xmp": packet} if kind == "Ultra HDR" else {}
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[dark], quality=100, subsampling=0, **xmp)
    if kind == "Apple":
        (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes() + packet)
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.notes == ("HDR gain map dropped: the result is standard range",)
    np.testing.assert_allclose(photo.pixels * 255, pixels, atol=6)
    write_photo(tmp_path / "b.jpg", photo)
    assert b"gainmap" not in (tmp_path / "b.jpg").read_bytes().lower() and not read_photo(tmp_path / "b.jpg").notes


def test_a_second_view_is_dropped_aloud(tmp_path: Path) -> None:
    first = Image.fromarray(scene(64, 96))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[first])
    assert read_photo(tmp_path / "a.jpg").notes == ("only the first picture of the file kept, a second view dropped",)


# --- broken, absent, too large ---------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", ["jpg", "png", "tif", "webp"])
def test_truncated_files_are_refused(tmp_path: Path, extension: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    path = tmp_path / f"a.{extension}"
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    for percent in (0, 1, 10, 50, 90):
        path.write_bytes(whole[: len(whole) * percent // 100])
        for read in (read_photo, read_pixels):
            with pytest.raises(PhotoError, match=rf"a\.{extension}: not a photo that can be decoded"):
                read(path)


def test_a_truncated_16_bit_png_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_png16(path, np.random.default_rng(0).integers(0, 65536, (40, 50, 3)).astype(np.uint16))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(PhotoError):
        read_photo(path)


def test_a_truncated_jpeg_with_an_end_is_refused(tmp_path: Path) -> None:
    """Libraries fill what is missing with grey, and many do not say so."""
    path = tmp_path / "a.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-9000] + b"\xff\xd9")
    with pytest.raises(PhotoError, match="premature end"):
        read_photo(path)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_a_damaged_tiff_is_refused(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(
        path, compression=compression
    )
    whole = path.read_bytes()
    path.write_bytes(whole[:5000] + bytes(3000) + whole[8000:] if compression else whole[:-3000])
    with pytest.raises(PhotoError):
        read_photo(path)


def test_an_absent_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"absent\.jpg: no such file"):
        read_photo(tmp_path / "absent.jpg")
    with pytest.raises(PhotoError):
        read_photo(tmp_path)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 20000, 13422, 8, 2, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(b""))
        + png_chunk(b"IEND", b"")
    )
    with pytest.raises(PhotoError, match="above 268 megapixels"):
        read_photo(tmp_path / "a.png")


def test_hostile_names_stay_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(PhotoError) as caught:
        read_photo(tmp_path / "a\n\x1b[31m.jpg")
    assert str(caught.value).isprintable()


# --- colour profiles -------------------------------------------------------------------------------------------

D65, D50 = np.array([0.95047, 1.0, 1.08883]), np.array([0.9642, 1.0, 0.8249])
SRGB_XY = [(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)]
DISPLAY_P3_XY = [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)]


def rgb_to_xyz(primaries: list[tuple[float, float]]) -> npt.NDArray[np.float64]:
    """From chromaticities and the white D65 (SMPTE RP 177)."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    return columns * np.linalg.solve(columns, D65)


def encode_srgb(light: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)


def decode_srgb(encoded: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def fixed(*numbers: float) -> bytes:
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


def build_profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(79), **tags}
    tags[b"wtpt"] = b"XYZ " + bytes(4) + fixed(*D50)
    at, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, body in tags.items():
        body += bytes(-len(body) % 4)
        table += struct.pack(">4sII", name, at + len(data), len(body))
        data += body
    header = struct.pack(">I4sI4s4s4s", at + len(data), bytes(4), 0x02400000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(*D50) + bytes(48)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def para(*numbers: float) -> bytes:
    kind = {1: 0, 3: 1, 4: 2, 5: 3, 7: 4}[len(numbers)]
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + fixed(*numbers)


def curv(*points: int) -> bytes:
    return b"curv" + bytes(4) + struct.pack(f">I{len(points)}H", len(points), *points)


SRGB_CURVE = para(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def matrix_profile(primaries: list[tuple[float, float]], curve: bytes) -> bytes:
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    adapt = np.linalg.inv(bradford) @ np.diag((bradford @ D50) / (bradford @ D65)) @ bradford
    colorants = (adapt @ rgb_to_xyz(primaries)).T
    tags = {
        name: b"XYZ " + bytes(4) + fixed(*c) for name, c in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants, strict=True)
    }
    return build_profile(b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def from_display_p3(encoded: npt.NDArray[Any]) -> npt.NDArray[Any]:
    light = decode_srgb(encoded) @ (np.linalg.inv(rgb_to_xyz(SRGB_XY)) @ rgb_to_xyz(DISPLAY_P3_XY)).T
    return encode_srgb(light.clip(0, 1))


def test_display_p3_becomes_srgb(tmp_path: Path) -> None:
    icc = matrix_profile(DISPLAY_P3_XY, SRGB_CURVE)
    colours = np.random.default_rng(0).random((20, 30, 3))
    eight, sixteen = (colours * 255).astype(np.uint8), (colours * 65535).astype(np.uint16)
    Image.fromarray(eight).save(tmp_path / "8.png", icc_profile=icc)
    np.testing.assert_allclose(read_photo(tmp_path / "8.png").pixels, from_display_p3(eight / 255), atol=2.1 / 255)
    write_png16(tmp_path / "16.png", sixteen, icc)
    tifffile.imwrite(tmp_path / "16.tif", sixteen, photometric="rgb", iccprofile=icc)
    for name in ("16.png", "16.tif"):
        photo = read_photo(tmp_path / name)
        assert photo.bits == 16 and not photo.notes
        np.testing.assert_allclose(photo.pixels, from_display_p3(sixteen / 65535), atol=DEEP_TOLERANCE)
        assert np.abs(photo.pixels - from_display_p3(sixteen / 65535)).mean() < DEEP_MEAN_TOLERANCE
    assert abs(from_display_p3(eight / 255) - eight / 255).max() > 0.1  # the conversion is no small matter


@pytest.mark.parametrize(
    ("curve", "decode"),
    [
        (curv(), lambda x: x),
        (curv(round(1.8 * 256)), lambda x: x ** (round(1.8 * 256) / 256)),
        (curv(0, 16384, 65535), lambda x: np.interp(x, [0, 0.5, 1], [0, 16384 / 65535, 1])),
        (para(2.2), lambda x: x**2.2),
        (para(2.0, 1.25, -0.25), lambda x: np.where(x >= 0.2, np.maximum(1.25 * x - 0.25, 0) ** 2, 0)),
        (para(2.0, 0.78078, 0.25, -0.0625), lambda x: (0.78078 * x + 0.25) ** 2 - 0.0625),
        (SRGB_CURVE, decode_srgb),
        (para(2.0, 0.78078, 0.25, 0.6952, 0.5, -0.0625, 0.0),
         lambda x: np.where(x >= 0.5, (0.78078 * x + 0.25) ** 2 - 0.0625, 0.6952 * x)),
    ],
    ids=["linear", "gamma", "points", "para0", "para1", "para2", "para3", "para4"],
)  # fmt: skip
def test_every_kind_of_tone_curve_in_16_bit(tmp_path: Path, curve: bytes, decode: Any) -> None:
    values = np.arange(0, 65536, 16, dtype=np.uint16)[None, :, None]
    expected = encode_srgb(decode(values / 65535.0))
    write_png16(tmp_path / "grey.png", values, build_profile(b"GRAY", {b"kTRC": curve}))
    write_png16(tmp_path / "colour.png", np.repeat(values, 3, axis=2), matrix_profile(SRGB_XY, curve))
    for name in ("grey.png", "colour.png"):
        photo = read_photo(tmp_path / name)
        assert photo.bits == 16 and not photo.notes
        np.testing.assert_allclose(photo.pixels, np.repeat(expected, 3, axis=2), atol=DEEP_TOLERANCE)
        assert np.abs(photo.pixels - expected).mean() < DEEP_MEAN_TOLERANCE


GAMMA = round(1.8 * 256)


def test_a_grey_profile_in_8_bit(tmp_path: Path) -> None:
    values = np.arange(256, dtype=np.uint8)[None]
    icc = build_profile(b"GRAY", {b"kTRC": curv(GAMMA)})
    Image.fromarray(values).save(tmp_path / "a.png", icc_profile=icc)
    np.testing.assert_allclose(
        read_photo(tmp_path / "a.png").pixels[..., 1], encode_srgb((values / 255) ** (GAMMA / 256)), atol=1.6 / 255
    )  # fmt: skip


def test_a_grey_photo_may_carry_a_colour_profile(tmp_path: Path) -> None:
    values = np.arange(256, dtype=np.uint8)[None]
    icc = matrix_profile(SRGB_XY, curv(GAMMA))
    Image.fromarray(values).save(tmp_path / "8.png", icc_profile=icc)
    write_png16(tmp_path / "16.png", (values.astype(np.uint16) * 257)[..., None], icc)
    for name, tolerance in (("8.png", 2.1 / 255), ("16.png", DEEP_TOLERANCE)):
        photo = read_photo(tmp_path / name)
        assert not photo.notes
        np.testing.assert_allclose(photo.pixels[..., 1], encode_srgb((values / 255) ** (GAMMA / 256)), atol=tolerance)


@pytest.mark.parametrize("icc", [b"garbage", build_profile(b"CMYK", {}), matrix_profile(SRGB_XY, SRGB_CURVE)[:200]])
def test_an_unusable_profile_is_noted_and_taken_as_srgb(tmp_path: Path, icc: bytes) -> None:
    Image.fromarray(scene()).save(tmp_path / "8.png", icc_profile=icc)
    write_png16(tmp_path / "16.png", scene().astype(np.uint16) * 257, icc)
    for name in ("8.png", "16.png"):
        photo = read_photo(tmp_path / name)
        assert any("colour profile" in note for note in photo.notes)
        np.testing.assert_allclose(photo.pixels * 255, scene(), atol=0.01)


def test_16_bit_files_of_others_agree_with_their_high_bytes(pocket_data: Path) -> None:
    color = pocket_data / "robustness" / "color"
    for name in ("image-rs__basn2c16.png", "sharp__bggn4a16.png", "sharp__tbgn2c16.png", "pillow__tiff_16bit_RGB.tiff"):
        photo = read_photo(color / name)
        with Image.open(color / name) as image:
            high = np.asarray(image.convert("RGB"))
            is_linear = image.info.get("gamma") == 1
        assert photo.bits == 16
        if is_linear:
            assert np.abs(decode_srgb(photo.pixels) * 255 - high).mean() < 0.6
        else:
            np.testing.assert_array_equal(np.rint(photo.pixels * 65535).astype(int) >> 8, high)


# --- writing ---------------------------------------------------------------------------------------------------


def sixteen_bit_photo(alpha: bool = False, exif: bytes = b"") -> Photo:
    levels = np.random.default_rng(0).integers(0, 65536, (SIDE, 36, 4)).astype(np.float32) / np.float32(65535)
    return Photo(levels[..., :3], exif, levels[..., 3] if alpha else None, bits=16)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("extension", ["png", "tif", "TIFF"])
def test_lossless_round_trip(tmp_path: Path, extension: str, bits: int, alpha: bool) -> None:
    photo = sixteen_bit_photo(alpha)
    top = 2**bits - 1
    photo = Photo(
        np.rint(photo.pixels * top).astype(np.float32) / np.float32(top), b"",
        None if photo.alpha is None else np.rint(photo.alpha * top).astype(np.float32) / np.float32(top), bits,
    )  # fmt: skip
    path = tmp_path / f"a.{extension}"
    write_photo(path, photo)
    again = read_photo(path)
    assert again.bits == bits and again.notes == ()
    np.testing.assert_array_equal(again.pixels, photo.pixels)
    assert (again.alpha is None) == (photo.alpha is None)
    if photo.alpha is not None:
        np.testing.assert_array_equal(again.alpha, photo.alpha)


def test_jpeg_is_close_keeps_colour_resolution_and_drops_alpha_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pixels = scene().astype(np.float32) / 255
    write_photo(tmp_path / "a.jpg", Photo(pixels, alpha=np.ones(pixels.shape[:2], np.float32)))
    assert "alpha" in caplog.text
    np.testing.assert_allclose(read_photo(tmp_path / "a.jpg").pixels, pixels, atol=6 / 255)
    with Image.open(tmp_path / "a.jpg") as image:
        assert [component[1:3] for component in image.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "bits"), [("a.jpg", 8), ("a.png", 8), ("a.png", 16), ("a.tif", 8), ("a.tif", 16)])
def test_exif_survives_with_orientation_1_and_an_srgb_profile(tmp_path: Path, name: str, bits: int) -> None:
    Image.fromarray(scene()).save(tmp_path / "source.jpg", exif=exif_with(6), quality=100)
    photo = read_photo(tmp_path / "source.jpg")
    write_photo(tmp_path / name, Photo(photo.pixels, photo.exif, bits=bits))
    with Image.open(tmp_path / name) as image:
        image.load()
        exif = image.getexif()
        assert image.size == (SIDE, 36)
        assert exif[ExifTags.Base.Make] == "Maker"
        assert exif.get(ExifTags.Base.Orientation, 1) == 1
        details = exif.get_ifd(ExifTags.IFD.Exif)
        assert (details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight]) == image.size
        assert float(exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAltitude]) == 12.5
        assert "sRGB" in ImageCms.getProfileDescription(io.BytesIO(image.info["icc_profile"]))
    again = read_photo(tmp_path / name)
    assert again.notes == ()
    np.testing.assert_allclose(again.pixels, photo.pixels, atol=0.02)


def test_a_tiff_hands_on_what_describes_the_scene_only(tmp_path: Path) -> None:
    Image.fromarray(scene()).save(tmp_path / "a.tif", exif=exif_with(1))
    exif = Image.Exif()
    exif.load(read_photo(tmp_path / "a.tif").exif)
    assert exif[ExifTags.Base.Make] == "Maker"
    assert ExifTags.Base.StripOffsets not in exif and ExifTags.Base.ImageWidth not in exif


def test_equal_photos_are_equal_files(tmp_path: Path) -> None:
    for name in ("jpg", "png", "tif"):
        for number in (1, 2):
            write_photo(tmp_path / f"{number}.{name}", sixteen_bit_photo())
            time.sleep(1.1 if name == "jpg" and number == 1 else 0)  # a time stamp would differ
        assert (tmp_path / f"1.{name}").read_bytes() == (tmp_path / f"2.{name}").read_bytes()


def test_values_outside_the_range_are_clipped(tmp_path: Path) -> None:
    pixels = np.array([[[-1.0, 2.0, np.nan]]], np.float32)
    for bits in (8, 16):
        write_photo(tmp_path / "a.png", Photo(pixels, bits=bits))
        np.testing.assert_array_equal(read_photo(tmp_path / "a.png").pixels, [[[0, 1, 0]]])


def test_what_cannot_be_written_is_said_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = sixteen_bit_photo()
    with pytest.raises(PhotoError, match=r"a\.gif: .*choose \.jpg"):
        write_photo(tmp_path / "a.gif", photo)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(PhotoError, match="could not be written"):
        write_photo(tmp_path / "file" / "a.jpg", photo)
    with pytest.raises(PhotoError, match="could not be written"):  # a JPEG side is at most 65,535 px
        write_photo(tmp_path / "wide.jpg", Photo(np.zeros((1, 70000, 3), np.float32)))
    (tmp_path / "a.png").write_bytes(b"old")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(ENCODERS, ".png", full)
    with pytest.raises(PhotoError, match="No space left"):
        write_photo(tmp_path / "a.png", photo)
    assert (tmp_path / "a.png").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "file"]


def test_of_exif_too_long_for_jpeg_the_longest_entries_are_dropped_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exif = exif_with(1)
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = bytes(70000)
    write_photo(tmp_path / "a.jpg", Photo(scene().astype(np.float32) / 255, exif.tobytes()))
    assert "a.jpg: JPEG holds no EXIF above 65533 bytes: MakerNote left out" in caplog.text
    kept = Image.Exif()
    kept.load(read_photo(tmp_path / "a.jpg").exif)
    assert kept[ExifTags.Base.Make] == "Maker"
    assert float(kept.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAltitude]) == 12.5


def test_broken_exif_does_not_stop_writing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.jpg", "a.png", "a.tif"):
        write_photo(tmp_path / name, Photo(scene().astype(np.float32) / 255, b"Exif\0\0II+\0\x08\0"))
        assert f"{name}: broken EXIF left out" in caplog.text and read_photo(tmp_path / name).exif == b""


def test_broken_photos_of_a_folder_are_named_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Image.fromarray(np.zeros((80, 101, 3), np.uint8)).save(tmp_path / "photo.png")
    (tmp_path / "truncated.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (tmp_path / "notes.txt").write_text("not a photo")
    photos = read_folder(tmp_path)
    assert {name: pixels.shape for name, pixels in photos.items()} == {"photo.png": (80, 101, 3)}
    assert "truncated.jpg" in caplog.text and "1 of 2 photos" in caplog.text


def test_no_photo_in_a_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="no photo in it"):
        read_folder(tmp_path)
    with pytest.raises(PhotoError, match="no such folder"):
        read_folder(tmp_path / "absent")
