"""Enhance a photo file of any size into another, in bounded memory: samples lie on disk, strips and tiles in memory.

Work overlaps: the thumbnail is summed up while the photo is decoded, and rows are encoded as soon as their tiles are
done. Several photos may be under way at a time, by threads of the caller; their tiles share the enhancer's threads.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from training.enhancer.bands import Bands
from training.enhancer.enhancer import Enhancer, blend, check_strength
from training.enhancer.jpeg_quality import quality_for
from training.enhancer.tiles import Array, enhance_tiles
from training.files import workspace
from training.photos import from_samples, to_samples
from training.photos.decoding import OpenPhoto, decode, upright
from training.photos.encoding import encoder, fitting, write_samples
from training.photos.raster import Raster, Samples
from training.tiling import ThumbnailSums, Tile

ConditionFrom = Literal["exact", "thumbnail"]
HEARING_S = 0.1  # how long the end of encoding is waited for until the caller is asked whether to stop
_one_decodes = threading.Lock()  # as libvips has one buffer for what it says of all photos
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decoded:
    """An upright photo on disk. small: its thumbnail. notes: what was dropped or assumed."""

    raster: Raster
    small: npt.NDArray[np.uint8]
    exif: bytes
    notes: tuple[str, ...]


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
        progress: called as work goes on, in this thread, with the number of pixels done since the last call, and of
            all that are to be done, where each pass over the photo counts. What it raises ends the work.
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
        engine = enhancer.model.float_engine
        norms = engine.statistics_passes if engine and condition == "exact" else 0

        def say(pixels: int, size_px: int) -> None:
            if progress:
                progress(pixels, size_px * (norms + 1))

        photo = _decoded(source, folder / "photo", enhancer.model.thumbnail_px, say)
        stack.enter_context(photo.raster)
        height, width, _ = photo.raster.shape
        result = stack.enter_context(_result(folder / "result", target, photo.raster))
        tiles = list(enhancer.tiles(height, width))
        encoding = stack.enter_context(_encoding(target, result, photo.exif, quality or quality_for(source)))

        def done(pixels: int) -> None:
            if encoding.done():
                encoding.result()  # it failed: there is nothing to wait for
            say(pixels, height * width)

        given = _exact_condition(enhancer, photo.raster, done) if norms else enhancer.analyze(photo.small)
        _enhance_bands(enhancer, Bands(tiles, photo.raster, result), tiles, given, strength, done)
        while not wait([encoding], HEARING_S).done:
            done(0)
        encoding.result()
    return photo.notes


def _decoded(source: Path, path: Path, thumbnail_px: int, say: Callable[[int, int], object]) -> Decoded:
    """A photo in a raster at `path`. say: called on the way with no pixel done, of those of the photo."""

    def draw(opened: OpenPhoto) -> Decoded:
        size = (opened.image.height, opened.image.width)
        sums = ThumbnailSums(size, thumbnail_px, thumbnail_px)

        def look(strip: Samples) -> None:
            say(0, size[0] * size[1])
            colour = strip[..., :3]
            sums.add(colour if colour.dtype == np.uint8 else to_samples(from_samples(colour), np.uint8))

        raster = opened.to_raster(path, look)
        return Decoded(raster, upright(sums.thumbnail(), opened.orientation), opened.exif, opened.notes)

    with _one_decodes:
        return decode(source, draw)


def _result(path: Path, target: Path, photo: Raster) -> Raster:
    """Where the result is put together: of the size of the photo, and what the format of `target` can hold."""
    channels, dtype = fitting(target, photo.shape[2], photo.dtype)
    return Raster(path, (*photo.shape[:2], channels), dtype)


@contextmanager
def _encoding(target: Path, result: Raster, exif: bytes, quality: int) -> Iterator[Future[None]]:
    """In a thread, as rows of the result are written. It ends without a file if the block fails."""
    with ThreadPoolExecutor(1, "encoding") as thread:
        encoding = thread.submit(write_samples, target, result, exif, quality)
        try:
            yield encoding
        except BaseException:
            result.end()
            raise


def _enhance_bands(
    enhancer: Enhancer, bands: Bands, tiles: list[Tile], given: tuple[Array, ...], strength: float,
    done: Callable[[int], None],
) -> None:  # fmt: skip
    """All tiles of a photo under the condition `given`, with their pixels as progress."""

    def finished(pixels: int) -> None:
        bands.finish()
        done(pixels)

    read, keep = _reader(enhancer, bands), _keeper(bands, strength)
    enhance_tiles(tiles, read, keep, enhancer.model.engine, given, finished, enhancer.workers)


def _reader(enhancer: Enhancer, bands: Bands) -> Callable[[Tile], Array]:
    return lambda tile: from_samples(bands.tile(tile, enhancer.repeats_edge)[..., :3])


def _keeper(bands: Bands, strength: float) -> Callable[[Tile, Array], None]:
    """Puts tiles into the result, blended with the photo, and with its alpha."""
    channels, dtype = bands.result.shape[2], bands.result.dtype

    def keep(tile: Tile, enhanced: Array) -> None:
        samples = bands.kept(tile)
        blended = enhanced if strength == 1 else blend(from_samples(samples[..., :3]), enhanced, strength)
        colour = to_samples(blended, dtype)
        bands.put(tile, colour if channels == 3 else np.concatenate([colour, samples[..., 3:]], axis=2))

    return keep


def _exact_condition(enhancer: Enhancer, photo: Raster, done: Callable[[int], None]) -> tuple[Array, ...]:
    """With the pixels of all passes as progress, and their cost in the log."""
    from torch.utils.flop_counter import FlopCounterMode  # not for others: it brings 70 MB of libraries

    engine, tile_px = enhancer.model.float_engine, enhancer.model.tile_px
    assert engine
    height, width, _ = photo.shape
    parts = -(-height // tile_px) * -(-width // tile_px)
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
