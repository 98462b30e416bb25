"""Boxes of HEIC and AVIF files that say what the numbers of the primary picture mean."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from mmap import mmap

MAX_BOX_BYTES = 1 << 24  # those of phones that say something about a photo have a few KB


def colour_codes(content: mmap | bytes) -> tuple[int, int] | None:
    """(primaries, transfer) of ITU-T H.273 from the property "colr" of the primary picture (ISO/IEC 23008-12, 6.5.5).

    None where it has none of the kind "nclx", or where the boxes are broken.
    """
    try:
        meta = next(body for name, body in _boxes(content) if name == b"meta")[4:]
        parts = dict(reversed(list(_boxes(meta))))
        version = parts[b"pitm"][0]
        primary = int.from_bytes(parts[b"pitm"][4 : 8 if version else 6], "big")
        shared = dict(_boxes(parts[b"iprp"]))
        properties = list(_boxes(shared[b"ipco"]))
        for index in _associations(shared[b"ipma"])[primary]:
            name, body = properties[index - 1]
            if index and name == b"colr" and body[:4] == b"nclx":
                primaries, transfer = struct.unpack_from(">HH", body, 4)
                return primaries, transfer
    except (StopIteration, KeyError, IndexError, struct.error):
        pass
    return None


def _boxes(content: mmap | bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, body) of boxes side by side (ISO/IEC 14496-12, 4.2). The body of "mdat", the pixels, is left empty."""
    place = 0
    while place + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, place)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", content, place + 8)
            head = 16
        length = length or len(content) - place
        if length < head:
            return
        yield name, bytes(content[place + head : place + min(length, MAX_BOX_BYTES)]) if name != b"mdat" else b""
        place += length


def _associations(body: bytes) -> dict[int, list[int]]:
    """Picture -> numbers of its properties, from 1 (box "ipma")."""
    version, flags = body[0], body[3]
    (count,) = struct.unpack_from(">I", body, 4)
    place, associations = 8, {}
    for _ in range(count):
        picture, entries = struct.unpack_from(">IB" if version else ">HB", body, place)
        place += 5 if version else 3
        wide = flags & 1
        indices = struct.unpack_from(f">{entries}{'H' if wide else 'B'}", body, place)
        place += entries * (2 if wide else 1)
        associations[picture] = [index & (0x7FFF if wide else 0x7F) for index in indices]  # the top bit: "essential"
    return associations
