"""A photo and its result on disk, with a few rows of tiles in memory: each file is read and written in large pieces."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

import numpy as np

from training.photos.raster import Raster, Samples
from training.tiling import Tile, extend_edge

MAX_BANDS = 2  # of the photo: threads that work on the end of one row of tiles and on the begin of the next


class Bands:
    """Tiles of a photo, and of the result. Several threads may use it; `finish` is for one, in the order of the tiles.

    Args:
        tiles: row by row, as `tiling.plan` gives them.
        photo, result: of equal height and width; the result may have fewer channels.
    """

    def __init__(self, tiles: Iterable[Tile], photo: Raster, result: Raster):
        self.photo, self.result = photo, result
        self._order = iter(tiles)
        self._lock = threading.Lock()
        self._read: OrderedDict[tuple[int, int], Samples] = OrderedDict()
        self._made: dict[int, Samples] = {}

    def tile(self, tile: Tile, repeat_edge: bool) -> Samples:
        """[size, size, channels] of the photo as `tiling.read_tile` gives it, or only what lies inside."""
        height, width, _ = self.photo.shape
        inside = self._band(tile)[:, tile.inside(height, width)[1]]
        return extend_edge(inside, tile.beyond(height, width)) if repeat_edge else inside

    def kept(self, tile: Tile) -> Samples:
        """The part of the photo whose result is kept of a tile."""
        top = tile.inside(*self.photo.shape[:2])[0].start
        return self._band(tile)[tile.y0 - top : tile.y1 - top, tile.x0 : tile.x1]

    def put(self, tile: Tile, part: Samples) -> None:
        """Samples [y1 - y0, x1 - x0, channels] into the result."""
        with self._lock:
            if tile.y0 not in self._made:
                shape = (tile.y1 - tile.y0, *self.result.shape[1:])
                self._made[tile.y0] = np.empty(shape, self.result.dtype)
            band = self._made[tile.y0]
        band[:, tile.x0 : tile.x1] = part

    def finish(self) -> None:
        """The next tile has been put: after the last one of a row, the row goes to disk."""
        tile = next(self._order)
        if tile.x1 == self.result.shape[1]:
            self.result.write(tile.y0, 0, self._made.pop(tile.y0))
            self.result.rows_written(tile.y1)

    def _band(self, tile: Tile) -> Samples:
        """The rows of the photo that a tile reads."""
        rows = tile.inside(*self.photo.shape[:2])[0]
        with self._lock:
            band = self._read.get((rows.start, rows.stop))
            if band is None:
                while len(self._read) >= MAX_BANDS:
                    self._read.popitem(last=False)
                band = self._read[rows.start, rows.stop] = self.photo.read(
                    rows.start, rows.stop, 0, self.photo.shape[1]
                )
        return band
