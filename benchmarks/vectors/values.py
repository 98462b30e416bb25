"""Test images of the golden vectors, and how a result is written into them (conversion/contract/SPEC.md)."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

LISTED_VALUES = 48  # of an image this small all values are in the file, of others the first and last 12
Bytes = npt.NDArray[np.uint8]
Case = dict[str, Any]


def pixel_bytes(count: int, seed: int) -> Bytes:
    """The generator that SPEC.md defines: byte i is a hash of i and seed, in 32-bit integers that wrap."""
    x = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(seed)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(2246822519)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(3266489917)
    return (x >> np.uint32(24)).astype(np.uint8)


def image(height: int, width: int, seed: int, channels: int = 3) -> Bytes:
    return pixel_bytes(height * width * channels, seed).reshape(height, width, channels)


def facts(values: npt.NDArray[Any]) -> Case:
    flat = values.reshape(-1)
    digest = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
    shown = {"values": flat.tolist()} if flat.size <= LISTED_VALUES else _ends(flat)
    return {"sha256": digest, **shown}


def _ends(flat: npt.NDArray[Any]) -> Case:
    return {"first": flat[:12].tolist(), "last": flat[-12:].tolist()}


def bits(value: float | np.float32) -> str:
    """A float32 as the 8 hexadecimal digits of its IEEE 754 bits."""
    return struct.pack(">f", value).hex()


def bits64(value: float) -> str:
    return struct.pack(">d", value).hex()
