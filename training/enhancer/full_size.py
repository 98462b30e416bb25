"""Enhance a photo file of any size into another, in bounded memory: samples lie on disk, strips and tiles in memory."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import numpy as np

from training.enhancer import TILE_PX, Array, Enhancer, TorchEngine, blend, check_strength, enhance_tiles, to_planes
from training.enhancer.jpeg_quality import quality_for
from training.files import workspace
from training.photos import from_samples, to_samples
from training.photos.decoding import decode
from training.photos.encoding import encoder, fitting, write_samples
from training.photos.raster import Raster
from training.tiling import ThumbnailSums, Tile

ConditionFrom = Literal["exact", "thumbnail"]
log = logging.getLogger(__name__)


def enhance_file(
    enhancer: Enhancer,
    source: Path,
    target: Path,
    strength: float = 1.0,
    condition: ConditionFrom = "exact",
    progress: Callable[[int, int], object] | None = None,
    quality: int | None = None,
) -> tuple[str, ...]:
    """Enhance a photo file into another, as `enhancer` does arrays, but in bounded memory.

    The samples lie in a temporary folder beside the target meanwhile: twice the photo, uncompressed.

    Args:
        target: its extension says the format: .jpg, .png or .tif.
        condition: for generators with statistics: "exact" reads the photo once more for each norm, "thumbnail" is
            what a phone does. The same for others.
        progress: called as work goes on with the number of pixels done since the last call, and of all that are
            to be done, where each pass over the photo counts.
        quality: of a JPEG, 1 to 100 (default: about the photo's own).

    Returns:
        What was dropped or assumed about the photo.

    Raises:
        PhotoError: the source cannot be decoded, or the target cannot be written.
        ValueError: strength outside [0, 1].
    """
    check_strength(strength)
    encoder(target)  # refuses before the work
    with ExitStack() as stack:
        folder = stack.enter_context(workspace(target.parent, ".enhancing-"))
        photo, exif, notes = decode(
            source, lambda opened: (opened.to_raster(folder / "photo"), opened.exif, opened.notes)
        )
        stack.enter_context(photo)
        height, width, _ = photo.shape
        channels, dtype = fitting(target, photo.shape[2], photo.dtype)
        result = stack.enter_context(Raster(folder / "result", (height, width, channels), dtype))
        norms = enhancer.engine.statistics_passes if condition == "exact" else 0

        def done(pixels: int) -> None:
            if progress:
                progress(pixels, height * width * (norms + 1))

        def read(tile: Tile) -> Array:
            return from_samples(photo.read_tile(tile, enhancer.repeats_edge)[..., :3])

        def keep(tile: Tile, enhanced: Array) -> None:
            samples = photo.read(tile.y0, tile.y1, tile.x0, tile.x1)
            colour = to_samples(blend(from_samples(samples[..., :3]), enhanced, strength), dtype)
            result.write(tile.y0, tile.x0, np.concatenate([colour, samples[..., 3:channels]], axis=2))

        tiles = enhancer.tiles(height, width)
        given = (
            _exact_condition(enhancer.engine, photo, done) if norms else _thumbnail_condition(enhancer.engine, photo)
        )
        enhance_tiles(tiles, read, keep, enhancer.engine, given, done, enhancer.threads)
        write_samples(target, result, exif, quality or quality_for(source))
    return notes


def _thumbnail_condition(engine: TorchEngine, photo: Raster) -> tuple[Array, ...]:
    side = engine.generator.thumbnail_px
    sums = ThumbnailSums(photo.shape[:2], side, side)
    for strip in photo.strips():
        colour = strip[..., :3]
        sums.add(colour if colour.dtype == np.uint8 else to_samples(from_samples(colour), np.uint8))
    return engine.analyze(to_planes(sums.thumbnail()) / np.float32(255))


def _exact_condition(engine: TorchEngine, photo: Raster, done: Callable[[int], None]) -> tuple[Array, ...]:
    """With the pixels of all passes as progress, and their cost in the log."""
    from torch.utils.flop_counter import FlopCounterMode  # not for others: it brings 70 MB of libraries

    height, width, _ = photo.shape
    parts = -(-height // TILE_PX) * -(-width // TILE_PX)
    reads = 0

    def read(y0: int, y1: int, x0: int, x1: int) -> Array:
        nonlocal reads
        reads += 1
        done(reads * height * width // parts - (reads - 1) * height * width // parts)
        return from_samples(photo.read(y0, y1, x0, x1)[..., :3])

    started = time.monotonic()
    with FlopCounterMode(display=False) as counter:
        condition = engine.statistics((height, width), read)
    assert condition is not None
    log.info(
        "exact statistics of the photo: %d passes, %.2f TMAC, %.0f s; --condition thumbnail does without",
        engine.statistics_passes, counter.get_total_flops() / 2e12, time.monotonic() - started,
    )  # fmt: skip
    return condition
