"""ICC profiles: which can be used, which are sRGB, and ones made of primaries and a tone curve (ICC.1:2022)."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import ImageCms

# How descriptions begin; others, such as the linear "sRGB-elle-V2-g10", are converted. libvips writes plain "sRGB".
SRGB_NAMES = ("sRGB IEC61966", "sRGB built-in")
D50_XYZ = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
MIN_DETERMINANT = 1e-3  # of primaries that span colours; Rec. 709 has 0.1
Curve = tuple[float, ...]  # parameters of "parametricCurveType", (gamma,) or (gamma, a, b, c, d): ICC.1, 10.18
SRGB_CURVE: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


@dataclass(frozen=True)
class Primaries:
    """Chromaticities (x, y), CIE 1931."""

    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]


def matrix_profile(primaries: Primaries, curve: Curve) -> bytes:
    """An RGB profile with the same tone curve for all three channels.

    Raises:
        ValueError: the chromaticities span no colours.
    """
    points = (primaries.red, primaries.green, primaries.blue, primaries.white)
    if min(y for _, y in points) <= 0:
        raise ValueError("a chromaticity without light")
    *columns, white = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in points)
    matrix = np.array(columns).T
    if abs(np.linalg.det(np.array([[x, y, 1] for x, y in points[:3]]))) < MIN_DETERMINANT:
        raise ValueError("primaries on one line")
    to_xyz = matrix * np.linalg.solve(matrix, white)
    adaptation = np.linalg.inv(BRADFORD) @ np.diag((BRADFORD @ D50_XYZ) / (BRADFORD @ white)) @ BRADFORD
    colorants = (adaptation @ to_xyz).T
    if not np.abs(colorants).max() < 32768:
        raise ValueError("primaries beyond what a profile holds")
    kind = {1: 0, 5: 3}[len(curve)]
    tags = {name: b"XYZ " + bytes(4) + _fixed(*xyz)
            for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt"), (*colorants, D50_XYZ), strict=True)}  # fmt: skip
    tags |= dict.fromkeys(
        (b"rTRC", b"gTRC", b"bTRC"), b"para" + bytes(4) + struct.pack(">HH", kind, 0) + _fixed(*curve)
    )
    table, data, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, body in tags.items():
        table += struct.pack(">4sII", name, start + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    header = struct.pack(">I4xI4s4s4s", start + len(data), 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + _fixed(*D50_XYZ)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def space_of(profile: bytes) -> str:
    """ "RGB", "GRAY", "CMYK" and so on, as the header says (7.2.8)."""
    return profile[16:20].decode("ascii", "replace").strip()


@lru_cache(maxsize=16)
def is_usable(profile: bytes, space: str) -> bool:
    """libvips silently takes another profile in place of a broken one; this says beforehand."""
    try:
        parsed = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = {"GRAY": "L"}.get(space, space)
        ImageCms.buildTransform(parsed, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ValueError, OSError, ImageCms.PyCMSError):
        return False
    return space_of(profile) == space


@lru_cache(maxsize=16)
def is_srgb(profile: bytes) -> bool:
    description = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.profile_description or ""
    return description.strip() == "sRGB" or description.strip().startswith(SRGB_NAMES)


def _fixed(*numbers: float) -> bytes:
    """s15Fixed16Number (4.6)."""
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)
