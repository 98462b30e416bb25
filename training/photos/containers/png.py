"""Chunks of a PNG that stand before its pixels (W3C PNG 3, 5.3)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from mmap import mmap

SIGNATURE_BYTES = 8
COLOUR_CHUNKS = (b"cICP", b"sRGB", b"gAMA", b"cHRM")
MAX_TEXTS, MAX_TEXT_BYTES = 100, 1 << 20


def chunks(content: mmap | bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, first byte of the body, bytes of the body) of all chunks, whole or not."""
    place = SIGNATURE_BYTES
    while place + 12 <= len(content):
        length, name = struct.unpack_from(">I4s", content, place)
        yield name, place + 8, length
        place += 12 + length


def colour_chunks(content: mmap | bytes) -> dict[bytes, bytes]:
    """Bodies of the whole chunks about colours that stand before the pixels (5.6), the first of each name."""
    bodies: dict[bytes, bytes] = {}
    for name, start, length in chunks(content):
        if name == b"IDAT":
            break
        if name in COLOUR_CHUNKS and name not in bodies:
            body = bytes(content[start : start + length])
            if content[start + length : start + length + 4] == struct.pack(">I", zlib.crc32(name + body)):
                bodies[name] = body
    return bodies


def exif(content: mmap | bytes) -> bytes:
    """The body of the chunk eXIf, wherever it stands; b"" where there is none."""
    return next((content[start : start + size] for name, start, size in chunks(content) if name == b"eXIf"), b"")


def texts(content: mmap | bytes) -> dict[str, bytes]:
    """Keyword -> text as it is stored, the language before it, of the first chunks of text, wherever they stand."""
    entries = (
        content[start : start + min(length, MAX_TEXT_BYTES)].partition(b"\0")
        for name, start, length in chunks(content)
        if name in (b"tEXt", b"zTXt", b"iTXt")
    )
    return {keyword.decode("latin-1"): text for keyword, _, text in islice(entries, MAX_TEXTS)}
