"""The one loop over tiles of this project: the float generator and every artifact run in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, wait
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from training.tiling import Tile, Tiling, plan, read_tile, thumbnail, to_uint8

Array = npt.NDArray[np.float32]


class Engine(Protocol):
    """Runs the two entry points of a model; all arrays float32, images [1, 3, H, W] RGB in [0, 1], with any strides.

    The output of `enhance` is clamped to [0, 1].
    """

    def analyze(self, thumbnail: Array) -> tuple[Array, ...]: ...

    def enhance(self, tile: Array, condition: tuple[Array, ...]) -> Array: ...


def to_planes(pixels: npt.NDArray[Any]) -> Array:
    """[H, W, 3] -> contiguous [1, 3, H, W]."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32)


def from_planes(planes: Array) -> Array:
    """[1, 3, H, W] -> [H, W, 3]."""
    return planes[0].transpose(1, 2, 0)


def thumbnail_planes(photo: Array, thumbnail_px: int) -> Array:
    """What `analyze` sees of a photo [H, W, 3] in [0, 1]: [1, 3, thumbnail_px, thumbnail_px] in [0, 1]."""
    return to_planes(thumbnail(to_uint8(photo), thumbnail_px, thumbnail_px)) / np.float32(255)


def enhance_photo(
    photo: Array,
    engine: Engine,
    tiling: Tiling,
    tile_px: int,
    condition: tuple[Array, ...],
    progress: Callable[[int], object] | None = None,
) -> Array:
    """Enhance a photo [H, W, 3] in [0, 1], tile by tile, under one condition -> [H, W, 3], clamped to [0, 1].

    Args:
        tile_px: side of a tile with its halo.
        progress: called after every tile with the number of pixels done.

    Raises:
        ValueError: the border rule is "shift" and the photo is below one tile.
    """
    height, width = photo.shape[:2]
    output = np.empty((height, width, 3), np.float32)

    def keep(tile: Tile, enhanced: Array) -> None:
        output[tile.kept] = enhanced

    tiles = plan(height, width, tile_px, tiling)
    enhance_tiles(tiles, lambda tile: read_tile(photo, tile), keep, engine, condition, progress)
    return output


def enhance_tiles(
    tiles: Iterable[Tile],
    read: Callable[[Tile], Array],
    keep: Callable[[Tile, Array], None],
    engine: Engine,
    condition: tuple[Array, ...],
    progress: Callable[[int], object] | None = None,
    workers: Executor | None = None,
) -> None:
    """Read each tile [size, size, 3] in [0, 1], enhance it, and hand over the part to keep.

    Args:
        workers: threads that take a tile at a time; `read`, `keep` and `engine` must allow it (default: this thread).
        progress: called with the number of pixels done, in the calling thread, after each tile in the order of `tiles`.
    """

    def enhance(tile: Tile) -> int:
        planes = read(tile).transpose(2, 0, 1)[None]  # a view: engines that take NHWC turn it back, nothing is copied
        enhanced = from_planes(engine.enhance(planes, condition))[tile.kept_in_tile]
        keep(tile, enhanced)
        return enhanced.shape[0] * enhanced.shape[1]

    progress = progress or (lambda pixels: None)
    if workers is None:
        for tile in tiles:
            progress(enhance(tile))
        return
    futures = [workers.submit(enhance, tile) for tile in tiles]
    try:
        for future in futures:
            progress(future.result())
    finally:
        wait([future for future in futures if not future.cancel()])  # those that run still use the photo
