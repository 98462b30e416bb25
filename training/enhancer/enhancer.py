"""Enhance photos of any size: `Enhancer.load("pocket-clean")(photo)`. (`full_size` does it from file to file.)

`enhance_tiles` is the one loop over tiles of this project; the float generator and every artifact run in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from training.checkpoint import Checkpoint
from training.generators.base import Generator
from training.generators.statistics import StatisticsGenerator
from training.tiling import Tile, Tiling, plan, read_tile, thumbnail, to_uint8

Array = npt.NDArray[np.float32]
ReadPart = Callable[[int, int, int, int], Array]  # (y0, y1, x0, x1) -> [y1 - y0, x1 - x0, 3]
TILE_PX = 320  # DPED is fastest at 256 to 320, Pocket about as fast from 256 to 768; memory grows with the square
MAX_THREADS = 4  # each needs memory for a tile


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
    threads: int = 1,
) -> None:
    """Read each tile [size, size, 3] in [0, 1], enhance it, and hand over the part to keep.

    Args:
        threads: that many tiles at a time, each on one core; `read`, `keep` and `engine` must allow it.
        progress: called after every tile with the number of pixels done, in the calling thread.
    """

    def enhance(tile: Tile) -> int:
        planes = read(tile).transpose(2, 0, 1)[None]  # a view: engines that take NHWC turn it back, nothing is copied
        enhanced = from_planes(engine.enhance(planes, condition))[tile.kept_in_tile]
        keep(tile, enhanced)
        return enhanced.shape[0] * enhanced.shape[1]

    with ExitStack() as stack:
        done: Iterable[int] = map(enhance, tiles)
        if threads > 1:
            pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
            stack.callback(pool.shutdown, cancel_futures=True)
            done = pool.map(enhance, tiles)
        for pixels in done:
            if progress:
                progress(pixels)


class TorchEngine:
    """The float generator itself."""

    def __init__(self, generator: Generator, device: str = "cpu"):
        self.generator = generator.eval().to(device)
        self.device = device

    @torch.inference_mode()
    def analyze(self, thumbnail: Array) -> tuple[Array, ...]:
        condition = self.generator.analyze(torch.from_numpy(thumbnail).to(self.device))
        return tuple(part.cpu().numpy() for part in condition)

    @torch.inference_mode()
    def enhance(self, tile: Array, condition: tuple[Array, ...]) -> Array:
        given = [torch.from_numpy(part).to(self.device) for part in condition]
        planes = torch.from_numpy(np.ascontiguousarray(tile)).to(self.device)
        return self.generator.enhance(planes, *given).clamp_(0, 1).cpu().numpy()

    def exact_condition(self, photo: Array) -> tuple[Array, ...]:
        """The condition of the whole photo; for generators without statistics, `analyze` of the thumbnail."""
        exact = self.statistics((photo.shape[0], photo.shape[1]), lambda y0, y1, x0, x1: photo[y0:y1, x0:x1])
        return exact or self.analyze(thumbnail_planes(photo, self.generator.thumbnail_px))

    @property
    def statistics_passes(self) -> int:
        """How often `statistics` reads the photo."""
        return len(self.generator.norms) if isinstance(self.generator, StatisticsGenerator) else 0

    @torch.inference_mode()
    def statistics(self, size: tuple[int, int], read: ReadPart) -> tuple[Array, ...] | None:
        """The exact condition of a photo that is read in parts; None for generators without statistics.

        Args:
            size: (height, width).
        """

        def read_planes(y0: int, y1: int, x0: int, x1: int) -> torch.Tensor:
            return torch.from_numpy(to_planes(read(y0, y1, x0, x1))).to(self.device)

        exact = self.generator.exact_condition(size, read_planes, TILE_PX)
        return None if exact is None else tuple(part.cpu().numpy() for part in exact)

    @torch.inference_mode()
    def whole(self, photo: Array) -> Array:
        """The reference: the whole photo [H, W, 3] at once, clamped."""
        small = torch.from_numpy(thumbnail_planes(photo, self.generator.thumbnail_px)).to(self.device)
        output = self.generator(torch.from_numpy(to_planes(photo)).to(self.device), small)
        return from_planes(output.cpu().numpy()).clip(0, 1)


class Enhancer:
    """A checkpoint, ready for photos."""

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu"):
        self.checkpoint = checkpoint
        self.engine = TorchEngine(checkpoint.generator, device)
        # Tiles side by side, as torch's own threads wait for each other: with another program on one of two cores,
        # 12 MP took Pocket 2.5 s this way and 13 s or more the other.
        self.threads = min(torch.get_num_threads(), MAX_THREADS) if device == "cpu" else 1

    @classmethod
    def load(cls, name_or_path: str | Path, device: str = "cpu") -> Enhancer:
        """By released name or path.

        Raises:
            CheckpointError: no such release or file, or a broken one.
        """
        return cls(Checkpoint.load(name_or_path), device)

    def __call__(
        self,
        photo: npt.NDArray[Any],
        strength: float = 1.0,
        progress: Callable[[int], object] | None = None,
    ) -> npt.NDArray[Any]:
        """Enhance an oriented sRGB photo.

        Args:
            photo: [H, W, 3] uint8, or float in [0, 1], any size.
            strength: 0 gives the photo back, 1 the generator's output, between is a blend.
            progress: called as work goes on with the number of pixels done since the last call.

        Returns:
            Same shape and type as `photo`.

        Raises:
            ValueError: not [H, W, 3], or strength outside [0, 1].
        """
        if photo.ndim != 3 or photo.shape[2] != 3 or photo.size == 0:
            raise ValueError(f"a photo must be [H, W, 3], not {list(photo.shape)}")
        check_strength(strength)
        inside: Array = photo.astype(np.float32)
        if photo.dtype == np.uint8:
            inside /= 255
        output = np.empty_like(inside)

        def read(tile: Tile) -> Array:
            if self.repeats_edge:
                return read_tile(inside, tile)
            return inside[tile.inside(*inside.shape[:2])]

        def keep(tile: Tile, enhanced: Array) -> None:
            output[tile.kept] = blend(inside[tile.kept], enhanced, strength)

        tiles = self.tiles(*inside.shape[:2])
        condition = self.engine.exact_condition(inside)
        enhance_tiles(tiles, read, keep, self.engine, condition, progress, self.threads)
        return to_uint8(output) if photo.dtype == np.uint8 else output.astype(photo.dtype)

    @property
    def repeats_edge(self) -> bool:
        """Whether tiles reach over the border of the photo, where its edge repeats."""
        return self.engine.generator.tiling.border == "clamp"

    def tiles(self, height: int, width: int) -> Iterable[Tile]:
        """The plan for a photo. Where the edge does not repeat, small photos are one tile of what lies inside."""
        tiling, shorter = self.engine.generator.tiling, min(height, width)
        if tiling.border == "clamp" or shorter >= TILE_PX:
            return plan(height, width, TILE_PX, tiling)
        if height * width <= TILE_PX**2 or shorter <= 2 * tiling.halo:
            return [Tile(0, 0, max(height, width), 0, height, 0, width)]
        return plan(height, width, shorter, tiling)


def blend(before: Array, enhanced: Array, strength: float) -> Array:
    return before + np.float32(strength) * (enhanced - before)


def check_strength(strength: float) -> None:
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must lie in [0, 1], not {strength}")
