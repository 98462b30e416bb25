"""The thumbnail and the tile plan: pure integers, shared with the phones (no torch here).

Both are part of the contract between Python and the apps, so they are defined by integer arithmetic
that any language reproduces bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

Border = Literal["clamp", "shift"]
Beyond = tuple[tuple[int, int], tuple[int, int]]  # (above, below), (left, right), in pixels
T = TypeVar("T", bound=np.generic)
STRIP_ROWS = 64  # the 64-bit sums of a whole 48 MP photo would take a gigabyte
MAX_SUMMED_ROWS = 65535 // 255  # of 8-bit samples, in 16 bits


class ThumbnailSums:
    """The thumbnail of a photo that comes in strips of rows: each pixel box-averaged, aspect ratio ignored.

    A photo of H x W px is cut into `height` x `width` equal cells; a pixel that a border cuts counts by its share. In
    units of 1/height and 1/width of a pixel all shares are integers, and those of one cell add up to H * W. A value is
    `(sum + H * W // 2) // (H * W)`. Works for enlarging, too.
    """

    def __init__(self, photo_size: tuple[int, int], height: int, width: int):
        self.photo_size = photo_size
        self.shape = (height, width)
        self.rows = 0
        self.sums: npt.NDArray[np.int64] | None = None  # [height, width, C]

    def add(self, strip: npt.NDArray[np.uint8]) -> None:
        """The next rows of the photo, [rows, W, C] uint8."""
        photo_height = self.photo_size[0]
        height, width = self.shape
        if self.sums is None:
            self.sums = np.zeros((height, width, strip.shape[2]), np.int64)
        top, bottom = self.rows, self.rows + strip.shape[0]
        first, last = top * height // photo_height, -(-bottom * height // photo_height)  # the cells that it reaches
        narrowed = np.stack([self._column_sums(strip, cell) for cell in range(first, last)])  # [cells, W, C]
        self.sums[first:last] += _row_sums(narrowed, width)
        self.rows = bottom

    def _column_sums(self, strip: npt.NDArray[np.uint8], cell: int) -> npt.NDArray[np.int64]:
        """What the rows of a strip bring to a row of cells, each by its share -> [W, C]."""
        photo_height, height = self.photo_size[0], self.shape[0]
        rows = np.arange(self.rows, self.rows + strip.shape[0])
        shares = np.minimum((cell + 1) * photo_height, (rows + 1) * height)
        shares = (shares - np.maximum(cell * photo_height, rows * height)).clip(0)
        sums = np.zeros(strip.shape[1:], np.int64)
        inside = np.flatnonzero(shares == height)
        for start in range(0, len(inside), MAX_SUMMED_ROWS):  # those that lie inside follow each other
            part = inside[start : start + MAX_SUMMED_ROWS]
            sums += strip[part[0] : part[-1] + 1].sum(axis=0, dtype=np.uint16)
        sums *= height
        for row in np.flatnonzero((shares > 0) & (shares < height)):
            sums += strip[row] * shares[row]
        return sums

    def thumbnail(self) -> npt.NDArray[np.uint8]:
        """[height, width, C] uint8, after the last strip."""
        photo_height, photo_width = self.photo_size
        assert self.sums is not None and self.rows == photo_height, "strips must make up the photo"
        weight = photo_height * photo_width
        return ((self.sums + weight // 2) // weight).astype(np.uint8)


def _row_sums(pixels: npt.NDArray[np.int64], cells: int) -> npt.NDArray[np.int64]:
    """Sum each row of [H, W, C] over `cells` equal intervals -> [H, cells, C]: pixels are `cells` units wide,
    cells W units."""
    values = np.moveaxis(pixels, 1, 0)
    length = values.shape[0]
    totals = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    whole, part = np.divmod(np.arange(cells + 1) * length, cells)
    padded = np.concatenate([values, np.zeros_like(values[:1])])  # the last border has part == 0
    at_border = totals[whole] * cells + padded[whole] * part.reshape(-1, 1, 1)
    return np.moveaxis(np.diff(at_border, axis=0), 0, 1)


def thumbnail(pixels: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """The thumbnail of an oriented sRGB photo, as `ThumbnailSums` defines it.

    Args:
        pixels: [H, W, C] uint8, any size from 1x1.

    Returns:
        [height, width, C] uint8.
    """
    if pixels.ndim != 3 or pixels.size == 0:
        raise ValueError(f"a thumbnail needs an image [H, W, C], got shape {pixels.shape}")
    sums = ThumbnailSums((pixels.shape[0], pixels.shape[1]), height, width)
    for top in range(0, pixels.shape[0], STRIP_ROWS):
        sums.add(pixels[top : top + STRIP_ROWS])
    return sums.thumbnail()


def to_uint8(values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.uint8]:
    """Round [0, 1] to 8 bit: floor(x * 255 + 0.5) in float32, clamped; NaN becomes 0."""
    scaled = np.multiply(values, np.float32(255), dtype=np.float32, casting="same_kind")
    scaled += np.float32(0.5)
    np.fmax(scaled, np.float32(0), out=scaled)  # of NaN and 0, 0
    np.fmin(scaled, np.float32(255), out=scaled)
    return scaled.astype(np.uint8)  # which cuts off


@dataclass(frozen=True)
class Tiling:
    """How a generator may be cut into tiles.

    halo: pixels around a tile's useful part that are computed and thrown away, >= the receptive radius.
    align: tile origins are multiples of it (the Pocket generator works on align x align cells).
    border: "clamp" reads outside the photo repeat its edge pixels, at tiles as in the whole photo;
            "shift" moves border tiles inside the photo, which must be at least one tile large.
    """

    halo: int
    align: int
    border: Border


@dataclass(frozen=True)
class Tile:
    """One tile: read [top, top + size) x [left, left + size) of the photo, keep rows y0:y1, columns x0:x1.

    All in photo pixels. With border "clamp" the read range may lie outside the photo.
    """

    top: int
    left: int
    size: int
    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def kept(self) -> tuple[slice, slice]:
        """The kept part in photo coordinates."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    @property
    def kept_in_tile(self) -> tuple[slice, slice]:
        """The kept part in tile coordinates."""
        return slice(self.y0 - self.top, self.y1 - self.top), slice(self.x0 - self.left, self.x1 - self.left)

    def beyond(self, height: int, width: int) -> Beyond:
        """Rows and columns of the read range that lie outside the photo."""
        above, left = max(-self.top, 0), max(-self.left, 0)
        below, right = max(self.top + self.size - height, 0), max(self.left + self.size - width, 0)
        return (above, below), (left, right)

    def inside(self, height: int, width: int) -> tuple[slice, slice]:
        """The read range as far as it lies inside the photo."""
        (above, below), (left, right) = self.beyond(height, width)
        return (
            slice(self.top + above, self.top + self.size - below),
            slice(self.left + left, self.left + self.size - right),
        )


def _spans(length: int, size: int, tiling: Tiling) -> list[tuple[int, int, int]]:
    """(origin, keep from, keep to) along one axis; the kept ranges partition [0, length)."""
    step = (size - 2 * tiling.halo) // tiling.align * tiling.align
    if size % tiling.align or tiling.halo % tiling.align:
        raise ValueError(f"tile {size} and halo {tiling.halo} must be multiples of {tiling.align}")
    if step <= 0:
        raise ValueError(f"a tile of {size} px is all halo ({tiling.halo} px on each side): use at least "
                         f"{2 * tiling.halo + tiling.align}")  # fmt: skip
    if tiling.border == "clamp":
        return [(at - tiling.halo, at, min(at + step, length)) for at in range(0, length, step)]
    if length < size:
        raise ValueError(f"a photo side of {length} px is below one tile of {size} px")
    spans, kept_to = [], 0
    while kept_to < length:
        origin = min(max(kept_to - tiling.halo, 0), length - size)
        end = length if origin + size == length else origin + size - tiling.halo
        spans.append((origin, kept_to, end))
        kept_to = end
    return spans


def tile_px_for(length: int, parts: int, tiling: Tiling) -> int:
    """The smallest tile of which no more than so many cover a side of a photo: no last one is nearly empty."""
    kept = length if tiling.border == "clamp" else length - 2 * tiling.halo
    return -(-kept // (parts * tiling.align)) * tiling.align + 2 * tiling.halo


def plan(height: int, width: int, size: int, tiling: Tiling) -> Iterator[Tile]:
    """Cut a photo into square tiles, row by row; the kept parts cover every pixel exactly once.

    Args:
        height, width: of the photo, in pixels.
        size: side of a tile with its halo, in pixels, a multiple of `tiling.align`.

    Raises:
        ValueError: the tile is all halo, or the photo is below one tile and the border rule is "shift".
    """
    if height < 1 or width < 1:
        raise ValueError(f"a photo of {width}x{height} px has no pixels")
    columns = _spans(width, size, tiling)
    for top, y0, y1 in _spans(height, size, tiling):
        for left, x0, x1 in columns:
            yield Tile(top, left, size, y0, y1, x0, x1)


def read_tile(photo: npt.NDArray[T], tile: Tile) -> npt.NDArray[T]:
    """The [size, size, C] pixels of a tile from a photo [H, W, C]; outside the photo, its edge repeats."""
    height, width = photo.shape[:2]
    return extend_edge(photo[tile.inside(height, width)], tile.beyond(height, width))


def extend_edge(inside: npt.NDArray[T], beyond: Beyond) -> npt.NDArray[T]:
    """[H, W, C] with its edge pixels repeated so often; itself where there is nothing to repeat."""
    return np.pad(inside, (*beyond, (0, 0)), mode="edge") if any(map(any, beyond)) else inside
