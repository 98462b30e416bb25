"""Enhance photos of any size: `Enhancer.load("pocket-clean")(photo)`. (`full_size` does it from file to file.)"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from training.checkpoint import Checkpoint
from training.enhancer.tiles import Array, enhance_tiles
from training.enhancer.torch_engine import TILE_PX, TorchEngine
from training.tiling import Tile, plan, read_tile, to_uint8

MAX_THREADS = 4  # each needs memory for a tile


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
        photo: npt.NDArray[Any] | Image.Image,
        strength: float = 1.0,
        progress: Callable[[int], object] | None = None,
    ) -> npt.NDArray[Any]:
        """Enhance an oriented sRGB photo.

        Args:
            photo: [H, W, 3] uint8, or float in [0, 1], any size; or a PIL image, which is taken as it is, in RGB.
            strength: 0 gives the photo back, 1 the generator's output, between is a blend.
            progress: called as work goes on with the number of pixels done since the last call.

        Returns:
            Same shape and type as `photo`; of a PIL image, uint8.

        Raises:
            ValueError: not such an array, samples outside [0, 1] or not finite, or strength outside [0, 1].
        """
        if isinstance(photo, Image.Image):
            if photo.mode[0] in "IF":  # whose range Pillow does not know: it would clip at 255
                raise ValueError(f"a PIL image of mode {photo.mode} has no agreed range; convert it to RGB first")
            photo = np.asarray(photo.convert("RGB"))
        check_photo(photo)
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


def check_photo(photo: object) -> None:
    """Raises ValueError: not [H, W, 3] of uint8, or of float in [0, 1]; the message says what to do."""
    if not isinstance(photo, np.ndarray):
        kind = f"{type(photo).__module__}.{type(photo).__name__}"
        raise ValueError(f"a photo must be a numpy array or a PIL image, not {kind}; a tensor's is .numpy()")
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.size == 0:
        raise ValueError(f"a photo must be [H, W, 3], not {list(photo.shape)}")
    if photo.dtype != np.uint8:
        if not np.issubdtype(photo.dtype, np.floating):
            raise ValueError(
                f"a photo must be uint8, or float in [0, 1], not {photo.dtype}; divide it by its largest value"
            )
        if not (photo.min() >= 0 and photo.max() <= 1):  # false for NaN, too
            raise ValueError("a photo of floats must lie in [0, 1], and this one does not; divide by 255, or clip it")


def blend(before: Array, enhanced: Array, strength: float) -> Array:
    return before + np.float32(strength) * (enhanced - before)


def check_strength(strength: float) -> None:
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must lie in [0, 1], not {strength}")
