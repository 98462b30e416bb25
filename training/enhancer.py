"""Enhance photos of any size: `Enhancer.load("pocket-clean")(photo)`.

`enhance_photo` is the one loop over tiles of this project; the float generator and every artifact run in it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from training.checkpoint import Checkpoint
from training.generators.base import Generator
from training.tiling import Tiling, plan, read_tile, thumbnail, to_uint8

Array = npt.NDArray[np.float32]
TILE_PX = 512


class Engine(Protocol):
    """Runs the two entry points of a model; all arrays float32, images [1, 3, H, W] RGB in [0, 1]."""

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
    for tile in plan(height, width, tile_px, tiling):
        enhanced = from_planes(engine.enhance(to_planes(read_tile(photo, tile)), condition))
        output[tile.kept] = enhanced[tile.kept_in_tile].clip(0, 1)
        if progress:
            progress((tile.y1 - tile.y0) * (tile.x1 - tile.x0))
    return output


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
        return self.generator.enhance(torch.from_numpy(tile).to(self.device), *given).cpu().numpy()

    @torch.inference_mode()
    def exact_condition(self, photo: Array) -> tuple[Array, ...]:
        """The condition of the whole photo; for generators without statistics, `analyze` of the thumbnail."""
        planes = torch.from_numpy(to_planes(photo)).to(self.device)
        exact = self.generator.exact_condition(
            (photo.shape[0], photo.shape[1]), lambda y0, y1, x0, x1: planes[:, :, y0:y1, x0:x1], TILE_PX
        )
        if exact is None:
            return self.analyze(thumbnail_planes(photo, self.generator.thumbnail_px))
        return tuple(part.cpu().numpy() for part in exact)

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
        if not 0 <= strength <= 1:
            raise ValueError(f"strength must lie in [0, 1], not {strength}")
        inside: Array = photo.astype(np.float32)
        if photo.dtype == np.uint8:
            inside /= 255
        tiling = self.engine.generator.tiling
        if tiling.border == "shift" and min(inside.shape[:2]) < TILE_PX:
            output = self.engine.whole(inside)
            if progress:
                progress(inside.shape[0] * inside.shape[1])
        else:
            condition = self.engine.exact_condition(inside)
            output = enhance_photo(inside, self.engine, tiling, TILE_PX, condition, progress)
        output = inside + np.float32(strength) * (output - inside)
        return to_uint8(output) if photo.dtype == np.uint8 else output.astype(photo.dtype)
