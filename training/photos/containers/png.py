"""Chunks of a PNG that stand before its pixels (W3C PNG 3, 5.3)."""

from __future__ import annotations

import struct
import zlib
from mmap import mmap

SIGNATURE_BYTES = 8


def chunks_before_pixels(content: mmap | bytes, names: set[bytes]) -> dict[bytes, bytes]:
    """Bodies of the whole chunks of these names before the pixels (W3C PNG 3, 5.6), the first of each name."""
    chunks: dict[bytes, bytes] = {}
    place = SIGNATURE_BYTES
    while place + 12 <= len(content):
        length, name = struct.unpack_from(">I4s", content, place)
        if name == b"IDAT":
            break
        if name in names and name not in chunks:
            body = bytes(content[place + 8 : place + 8 + length])
            if content[place + 8 + length : place + 12 + length] == struct.pack(">I", zlib.crc32(name + body)):
                chunks[name] = body
        place += 12 + length
    return chunks
