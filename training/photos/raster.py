"""Samples of a photo in a file on disk: written and read in parts, by any thread, never in memory as a whole.

The file is a TIFF without compression, which libvips reads as a stream. Read and written at an offset and not by a
memory map, whose pages would count as memory of the process (libvips maps files of raw samples, too).
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import TiffImagePlugin as tiff

from training.tiling import STRIP_ROWS

Samples = npt.NDArray[Any]
UNCOMPRESSED, RGB, UNASSOCIATED_ALPHA = 1, 2, 2  # values of tags, TIFF 6.0


class RowsEnded(Exception):
    """No more rows of a raster will come: who was to write them has failed or was stopped."""


class Raster:
    """[height, width, 3 or 4] of uint8 or uint16, row by row without padding.

    One thread may read its file from the top while another one still writes: `rows_written` says how far it may go.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int], dtype: npt.DTypeLike):
        self.path = path
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._header = _header(*shape, self.dtype)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.pwrite(self._file, self._header, 0)
        self._change, self._rows_ready, self.ended = threading.Condition(), 0, False

    def __enter__(self) -> Raster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._file)

    def _offset(self, y: int, x: int) -> int:
        return len(self._header) + (y * self.shape[1] + x) * self.shape[2] * self.dtype.itemsize

    def read(self, y0: int, y1: int, x0: int, x1: int) -> Samples:
        """Rows y0:y1 and columns x0:x1, which must lie inside -> [y1 - y0, x1 - x0, channels]."""
        part = np.empty((y1 - y0, x1 - x0, self.shape[2]), self.dtype)
        wide = x1 - x0 == self.shape[1]
        for y, into in [(y0, part)] if wide else zip(range(y0, y1), part, strict=True):
            if os.preadv(self._file, [into.reshape(-1).view(np.uint8).data], self._offset(y, x0)) != into.nbytes:
                raise OSError(f"{self.path}: ends before its last row")
        return part

    def write(self, y0: int, x0: int, part: Samples) -> None:
        """Put [rows, columns, channels] with its upper left corner at (y0, x0)."""
        part = np.ascontiguousarray(part, self.dtype)
        wide = part.shape[1] == self.shape[1]
        for y, row in [(y0, part)] if wide else enumerate(part, y0):
            if os.pwrite(self._file, row.reshape(-1).view(np.uint8).data, self._offset(y, x0)) != row.nbytes:
                raise OSError(28, "No space left on device", str(self.path))

    def rows_written(self, rows: int) -> None:
        """So many rows from the top are there."""
        with self._change:
            self._rows_ready = rows
            self._change.notify_all()

    def end(self) -> None:
        """No more rows will come: who waits for them gets RowsEnded."""
        with self._change:
            self.ended = True
            self._change.notify_all()

    @property
    def file_bytes(self) -> int:
        """Of the whole file, also while its rows are yet to come."""
        return self._offset(self.shape[0], 0)

    def read_file(self, start: int, size: int) -> bytes:
        """Bytes of the file, at most `size`, as soon as their rows are written.

        Raises:
            RowsEnded: they will not be.
        """
        if start < len(self._header):
            return self._header[start : start + size]
        size = max(0, min(size, self.file_bytes - start))
        rows = -(-(start + size - len(self._header)) // (self._offset(1, 0) - self._offset(0, 0)))
        with self._change:
            self._change.wait_for(lambda: self.ended or self._rows_ready >= rows)
            if self.ended:
                raise RowsEnded
        return os.pread(self._file, size, start)

    def strips(self) -> Iterator[Samples]:
        """The rows from the top, STRIP_ROWS at a time."""
        height, width, _ = self.shape
        for y in range(0, height, STRIP_ROWS):
            yield self.read(y, min(y + STRIP_ROWS, height), 0, width)


def _header(height: int, width: int, channels: int, dtype: np.dtype[Any]) -> bytes:
    """All of a TIFF that stands before its samples (TIFF 6.0, section 6)."""
    strip_bytes = STRIP_ROWS * width * channels * dtype.itemsize
    total_bytes = height * width * channels * dtype.itemsize
    starts = range(0, total_bytes, strip_bytes)
    directory = tiff.ImageFileDirectory_v2(prefix=b"II" if sys.byteorder == "little" else b"MM")
    directory[tiff.IMAGEWIDTH], directory[tiff.IMAGELENGTH] = width, height
    directory[tiff.BITSPERSAMPLE], directory[tiff.SAMPLESPERPIXEL] = (8 * dtype.itemsize,) * channels, channels
    directory[tiff.COMPRESSION], directory[tiff.PHOTOMETRIC_INTERPRETATION] = UNCOMPRESSED, RGB
    directory[tiff.ROWSPERSTRIP] = STRIP_ROWS
    directory[tiff.STRIPOFFSETS] = tuple(starts)  # from the end of the directory, as Pillow takes them
    directory[tiff.STRIPBYTECOUNTS] = tuple(min(strip_bytes, total_bytes - start) for start in starts)
    if channels == 4:
        directory[tiff.EXTRASAMPLES] = UNASSOCIATED_ALPHA
    begin = directory.prefix + struct.pack("=HI", 42, 8)
    return begin + directory.tobytes(len(begin))
