"""ICC profiles: pictures in other colour spaces to sRGB.

8-bit pictures go through Pillow's ImageCms. It knows no 16-bit colour, so 16-bit samples are converted here, for
profiles of one curve per channel and a matrix (Display P3, Adobe RGB, ProPhoto RGB, camera greys), which is what
editors embed in such files. ICC.1:2022: 7.3 tag table, 10.6 curv, 10.18 para, 10.31 XYZ, annex F.3.
"""

from __future__ import annotations

import io
import struct
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

Samples = npt.NDArray[np.uint16]
Curve = npt.NDArray[np.float64]  # [65536]: linear light of every 16-bit value
SRGB_NAMES = ("sRGB IEC61966", "sRGB built-in")  # others, such as the linear "sRGB-elle-V2-g10", are converted
# Linear sRGB -> XYZ with the white D50, as in the sRGB profile of the ICC; columns are R, G, B.
SRGB_TO_XYZ_D50 = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)


class ProfileError(ValueError):
    """The profile is broken or one for another kind of picture."""


def picture_to_srgb(picture: Image.Image, icc: bytes) -> Image.Image:
    """A picture of mode L, RGB or CMYK with its profile, or LAB, to mode RGB in sRGB; relative colorimetric.

    Raises:
        ProfileError: the profile cannot be applied.
    """
    try:
        transform = _transform(icc if picture.mode != "LAB" else b"", picture.mode)
        converted = picture if transform is None else ImageCms.applyTransform(picture, transform)
    except (ValueError, OSError, ImageCms.PyCMSError) as error:
        raise ProfileError(str(error)) from error
    assert converted is not None  # None is returned for conversions in place
    return converted


@lru_cache(maxsize=16)
def _transform(icc: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """To sRGB; None when the profile is sRGB already."""
    profile = _parsed(icc, mode) if icc else ImageCms.ImageCmsProfile(ImageCms.createProfile(mode))  # type: ignore[arg-type]
    if profile is None:
        return None
    return ImageCms.buildTransform(
        profile, _srgb_profile(), mode, "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )  # fmt: skip


def _parsed(icc: bytes, mode: str) -> ImageCms.ImageCmsProfile | None:
    """The profile of a picture of that mode; None when it is sRGB."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    except (OSError, ImageCms.PyCMSError) as error:
        raise ProfileError(f"no ICC profile ({error})") from error
    if colour_space(icc) != {"L": "GRAY"}.get(mode, mode):
        raise ProfileError(f"a profile for {colour_space(icc)} in a picture of mode {mode}")
    return None if (profile.profile.profile_description or "").strip().startswith(SRGB_NAMES) else profile


def colour_space(icc: bytes) -> str:
    """ "RGB", "GRAY", "CMYK" and so on, as the profile's header says."""
    return icc[16:20].decode("ascii", "replace").strip()


@cache
def _srgb_profile() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@cache
def srgb_bytes() -> bytes:
    """The profile that every written photo carries; without its time of creation, so that equal photos are equal."""
    icc = _srgb_profile().tobytes()
    return icc[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + icc[36:84] + bytes(16) + icc[100:]


def samples_to_srgb(samples: Samples, icc: bytes) -> Samples:
    """[H, W, 3] or [H, W, 1] uint16 in the profile's space -> the same shape in sRGB; colours outside are clipped.

    Raises:
        ProfileError: broken, or no profile of curves and a matrix for that number of channels.
    """
    channels = samples.shape[-1]
    if _parsed(icc, "L" if channels == 1 else "RGB") is None:
        return samples
    tags = _tags(icc)
    if b"A2B0" in tags or icc[20:24] != b"XYZ ":
        raise ProfileError("the profile is a table, not a matrix")
    curves = [_curve(tags, name) for name in ((b"kTRC",) if channels == 1 else (b"rTRC", b"gTRC", b"bTRC"))]
    matrix = np.eye(1)
    if channels == 3:
        colorants = np.stack([_xyz(tags, name) for name in (b"rXYZ", b"gXYZ", b"bXYZ")], axis=1)
        matrix = np.linalg.inv(SRGB_TO_XYZ_D50) @ colorants
    output = np.empty_like(samples)
    for y in range(0, samples.shape[0], 256):  # in strips: 64-bit values of a whole photo would take gigabytes
        strip = samples[y : y + 256]
        light = np.stack([curve[strip[..., c]] for c, curve in enumerate(curves)], axis=-1) @ matrix.T
        light = np.nan_to_num(light).clip(0, 1)
        encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        output[y : y + 256] = (encoded * 65535 + 0.5).astype(np.uint16)
    return output


def _tags(icc: bytes) -> dict[bytes, bytes]:
    count = int.from_bytes(icc[128:132], "big")
    entries = icc[132 : 132 + 12 * min(count, 200)]
    if len(entries) < 12:
        raise ProfileError("the profile has no tags")
    table = [struct.unpack_from(">4sII", entries, at) for at in range(0, len(entries) - 11, 12)]
    return {name: icc[offset : offset + size] for name, offset, size in table}


def _fixed(data: bytes, count: int, at: int) -> npt.NDArray[np.float64]:
    """s15Fixed16 numbers."""
    if len(data) < at + 4 * count:
        raise ProfileError("a tag of the profile is too short")
    return np.frombuffer(data, ">i4", count, at) / 65536.0


def _xyz(tags: dict[bytes, bytes], name: bytes) -> npt.NDArray[np.float64]:
    if name not in tags:
        raise ProfileError(f"the profile has no {name.decode()}")
    return _fixed(tags[name], 3, at=8)


def _curve(tags: dict[bytes, bytes], name: bytes) -> Curve:
    data = tags.get(name, b"")
    x = np.arange(65536) / 65535.0
    if data[:4] == b"curv" and len(data) >= 12:
        count = int.from_bytes(data[8:12], "big")
        if count == 0:
            return x
        if len(data) < 12 + 2 * count:
            raise ProfileError("a curve of the profile is too short")
        points = np.frombuffer(data, ">u2", count, 12).astype(np.float64)
        return x ** (points[0] / 256) if count == 1 else np.interp(x, np.linspace(0, 1, count), points / 65535)
    if data[:4] == b"para" and len(data) >= 12:
        kind = int.from_bytes(data[8:10], "big")
        if kind <= 4:
            return _parametric(x, kind, data)
    raise ProfileError(f"the profile has no {name.decode()} of a known kind")


def _parametric(x: Curve, kind: int, data: bytes) -> Curve:
    """Y = (a X + b)^g + e from d on, c X + f below it; the simpler kinds leave some out (ICC.1:2022, table 68)."""
    numbers = _fixed(data, (1, 3, 4, 5, 7)[kind], at=12)
    missing = (1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)[len(numbers) :]
    g, a, b, c, d, e, f = (*map(float, numbers), *missing)
    if kind in (1, 2) and a == 0:
        raise ProfileError("a curve of the profile divides by zero")
    if kind in (1, 2):  # below -b / a the curve is constant
        c, d, f = 0.0, -b / a, c
        e = f
    return np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f)
