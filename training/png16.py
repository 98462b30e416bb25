"""PNG with 16 bits per sample, which Pillow 13 reduces to 8 when it reads colour and cannot write in colour.

PNG specification, third edition: chunks (5), filters (9), compression (10). Without Adam7 interlacing.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.uint16]
SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by colour type: grey, RGB, grey + alpha, RGB + alpha
SUB, UP, AVERAGE, PAETH = 1, 2, 3, 4


def read(path: Path) -> Samples | None:
    """[H, W, C] uint16, C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGB + alpha; None when not 16 bit or interlaced.

    Raises:
        ValueError: the file is broken.
    """
    with path.open("rb") as file:
        header = file.read(29).ljust(29, b"\0")  # signature, then the chunk IHDR
        width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", header, 16)
        if not header.startswith(SIGNATURE) or depth != 16 or interlaced or colour not in CHANNELS:
            return None
        file.seek(0)
        compressed = [body for kind, body in _chunks(file.read()) if kind == b"IDAT"]
    pixel_bytes = 2 * CHANNELS[colour]
    length = height * (1 + width * pixel_bytes)
    try:
        data = zlib.decompressobj().decompress(b"".join(compressed), max(length, 1))
    except zlib.error as error:
        raise ValueError(f"broken PNG data ({error})") from error
    if len(data) < length:
        raise ValueError(f"PNG data ends after {len(data)} of {length} bytes")
    rows = np.frombuffer(data, np.uint8).reshape(height, -1)
    pixels = _unfilter(rows[:, 0], rows[:, 1:].reshape(height, width, pixel_bytes))
    return np.ascontiguousarray(pixels).view(">u2").astype(np.uint16)


def write(path: Path, samples: Samples, icc: bytes = b"", exif: bytes = b"") -> None:
    """Write [H, W, C] uint16 with C as in `read`, every row filtered by "up"."""
    height, width, channels = samples.shape
    colour = next(colour for colour, count in CHANNELS.items() if count == channels)
    rows = np.ascontiguousarray(samples, ">u2").view(np.uint8).reshape(height, -1)
    filtered = np.full((height, 1 + rows.shape[1]), UP, np.uint8)
    filtered[:, 1:] = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))  # modulo 256, as the filter is defined
    with path.open("wb") as file:
        file.write(SIGNATURE + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)))
        if icc:
            file.write(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)))
        if exif:
            file.write(_chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")))
        file.write(_chunk(b"IDAT", zlib.compress(filtered.tobytes())) + _chunk(b"IEND", b""))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if zlib.crc32(kind + body) != int.from_bytes(data[at + 8 + length : at + 12 + length], "big"):
            raise ValueError(f"PNG chunk {kind!r} is broken (CRC)")
        yield kind, body
        at += 12 + length


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _unfilter(filters: npt.NDArray[np.uint8], filtered: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Undo the row filters of [H, W, B] bytes: each pixel from its left, upper and upper left neighbours.

    Pixels of one anti-diagonal do not depend on each other, so a diagonal is one step. The pixels lie in a flat
    array below a row and beside a column of zeros, where a diagonal is a slice with a constant stride.
    """
    height, width, pixel_bytes = filtered.shape
    across = width + 1
    cells = np.zeros(((height + 1) * across, pixel_bytes), np.uint8)
    cells.reshape(height + 1, across, pixel_bytes)[1:, 1:] = filtered
    kinds = np.concatenate([[0], filters])[:, None]
    for diagonal in range(2, height + width + 1):  # y + x, both counted from 1
        y0, y1 = max(1, diagonal - width), min(height, diagonal - 1)
        first, last = y0 * across + diagonal - y0, y1 * across + diagonal - y1

        left, up, corner = (
            cells[first - back : last - back + 1 : width].astype(np.int16) for back in (1, across, across + 1)
        )
        estimate = left + up - corner
        to_left, to_up, to_corner = abs(estimate - left), abs(estimate - up), abs(estimate - corner)
        paeth = np.where((to_left <= to_up) & (to_left <= to_corner), left, np.where(to_up <= to_corner, up, corner))
        kind = kinds[y0 : y1 + 1]
        predicted = np.select(
            [kind == SUB, kind == UP, kind == AVERAGE, kind == PAETH], [left, up, (left + up) // 2, paeth], 0
        )
        cells[first : last + 1 : width] += predicted.astype(np.uint8)
    return cells.reshape(height + 1, across, pixel_bytes)[1:, 1:]
