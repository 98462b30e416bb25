"""Enhance photos of any size: `Enhancer.load("pocket-clean")(photo)`. (`full_size` does it from file to file.)"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from training.commandline import UserError
from training.enhancer.photo_model import PhotoModel, open_model
from training.enhancer.tiles import Array, enhance_tiles, to_planes
from training.tiling import Tile, plan, read_tile, thumbnail, to_uint8


class Enhancer:
    """A model and the threads that it takes for photos."""

    def __init__(self, model: PhotoModel):
        self.model = model

    @classmethod
    def load(cls, name_or_path: str | Path, device: str = "cpu") -> Enhancer:
        """By the name of a release, a checkpoint's path or an artifact's folder.

        Args:
            device: "cpu" or "cuda", which takes the float generator.

        Raises:
            UserError: none of them, or one that is broken or needs what is not installed.
        """
        return cls(open_model(name_or_path, device))

    @cached_property
    def workers(self) -> ThreadPoolExecutor:
        """The threads that enhance tiles, of one photo or of several."""
        return ThreadPoolExecutor(self.model.threads, "tiles", initializer=self.model.prepare)

    def warm_up(self) -> None:
        """Begin to open the engine in the threads, beside what the caller does next."""
        for _ in range(self.model.threads):
            self.workers.submit(lambda: None)

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
        height, width = photo.shape[:2]
        output = np.empty_like(photo)

        def read(tile: Tile) -> Array:
            return to_float(read_tile(photo, tile) if self.repeats_edge else photo[tile.inside(height, width)])

        def keep(tile: Tile, enhanced: Array) -> None:
            blended = enhanced if strength == 1 else blend(to_float(photo[tile.kept]), enhanced, strength)
            output[tile.kept] = to_uint8(blended) if photo.dtype == np.uint8 else blended

        condition = self._condition(photo)
        enhance_tiles(self.tiles(height, width), read, keep, self.model.engine, condition, progress, self.workers)
        return output

    def _condition(self, photo: npt.NDArray[Any]) -> tuple[Array, ...]:
        """That of the whole photo: exact statistics where the generator has any."""
        if self.model.float_engine and self.model.float_engine.statistics_passes:
            return self.model.float_engine.exact_condition(to_float(photo))
        samples = photo if photo.dtype == np.uint8 else to_uint8(photo)
        return self.analyze(thumbnail(samples, self.model.thumbnail_px, self.model.thumbnail_px))

    def analyze(self, small: npt.NDArray[np.uint8]) -> tuple[Array, ...]:
        """The condition of a thumbnail [thumbnail_px, thumbnail_px, 3]."""
        return self.model.engine.analyze(to_planes(small) / np.float32(255))

    @property
    def repeats_edge(self) -> bool:
        """Whether tiles reach over the border of the photo, where its edge repeats."""
        return self.model.tiling.border == "clamp"

    def tiles(self, height: int, width: int) -> Iterable[Tile]:
        """The plan for a photo. Where the edge does not repeat, small photos are one tile of what lies inside."""
        model, shorter = self.model, min(height, width)
        if model.tiling.border == "clamp" or shorter >= model.tile_px:
            return plan(height, width, model.tile_px, model.tiling)
        if not model.any_size:
            raise UserError(f"a photo of {width}x{height} px is below a tile of {model.tile_px} px, which {model.name} "
                            "takes alone; enhance it with the checkpoint")  # fmt: skip
        if height * width <= model.tile_px**2 or shorter <= 2 * model.tiling.halo:
            return [Tile(0, 0, max(height, width), 0, height, 0, width)]
        return plan(height, width, shorter, model.tiling)


def to_float(samples: npt.NDArray[Any]) -> Array:
    """uint8 -> float32 in [0, 1]; floats as they are."""
    return (
        np.divide(samples, np.float32(255), dtype=np.float32)
        if samples.dtype == np.uint8
        else (samples.astype(np.float32, copy=False))
    )


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
