"""Which photos calibrate a quantization and which judge it: never the same ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from conversion.converter import JUDGES_MAX
from training.commandline import UserError
from training.data.pairs import find_pairs
from training.data.photo_pair import PhotoPair
from training.enhancer import thumbnail_planes, to_planes
from training.generators.base import Condition, Generator
from training.photos import from_samples, read_folder
from training.tiling import Tile, read_tile

CALIBRATION_MAX = 32
TILES_PER_PHOTO = 2
VARIANTS = 3  # simulated phone photos of each scene of the embedded sample
Pixels = npt.NDArray[np.uint8]


class Photos:
    """[H, W, 3] uint8 sRGB each; no scene is in both. Those of one kind are made when they are first asked for."""

    def __init__(self, calibration: Callable[[], list[Pixels]], fidelity: Callable[[], list[Pixels]]):
        self._calibration, self._fidelity = calibration, fidelity

    @cached_property
    def calibration(self) -> list[Pixels]:
        return self._calibration()

    @cached_property
    def fidelity(self) -> list[Pixels]:
        return self._fidelity()


@dataclass(frozen=True)
class Sample:
    """A tile [1, 3, tile_px, tile_px] with thumbnail and float condition of its own photo."""

    thumbnail: Tensor
    tile: Tensor
    condition: Condition


@dataclass(frozen=True)
class Calibration:
    """samples: what toolchains run to find ranges. photos: how many they come from; sha256: of all pixels in order."""

    samples: tuple[Sample, ...]
    photos: int
    sha256: str


def find_photos(folder: Path | None, judges_max: int = JUDGES_MAX) -> Photos:
    """The photos of a folder, by turns for calibration and for fidelity; of the embedded sample without one.

    Of the sample, scenes of the split fidelity judge and all others calibrate, those of the split calibration first.
    Training sees some of them, which does not matter: an artifact is compared with the float model, not with a DSLR.

    Raises:
        UserError: a photo cannot be read, or there is none; no judge.
    """
    if judges_max < 1:
        raise UserError(f"--judges {judges_max}: at least one photo must judge fidelity")
    if folder is None:
        return _embedded(judges_max)
    photos = list(read_folder(folder).values())
    return Photos(lambda: photos[1::2][:CALIBRATION_MAX], lambda: photos[::2][:judges_max])


def golden_photo() -> Pixels:
    """The embedded sample's first photo that judges: nobody's own photo ends up in an artifact."""
    return find_pairs(None).fidelity[0].load()[0]


def _embedded(judges_max: int) -> Photos:
    splits = find_pairs(None)
    return Photos(
        lambda: _in_turns([*splits.calibration, *splits.validation, *splits.train])[:CALIBRATION_MAX],
        lambda: _in_turns(splits.fidelity)[:judges_max],
    )


def _in_turns(pairs: Sequence[PhotoPair]) -> list[Pixels]:
    """One photo of every scene, then a second one: VARIANTS simulated phone photos and the photo itself."""
    scenes: dict[Path, list[Pixels]] = {}
    for pair in pairs:
        photos = scenes.setdefault(pair.dslr, [])
        if len(photos) < VARIANTS:
            photos.append(pair.load()[0])
    for path, photos in scenes.items():
        photos.append(next(pair for pair in pairs if pair.dslr == path).load()[1])
    return [photo for turn in zip_longest(*scenes.values()) for photo in turn if photo is not None]


def calibrate(photos: Sequence[Pixels], generator: Generator, tile_px: int) -> Calibration:
    """Tiles at random places, the same on every run; each with its own photo's condition.

    Raises:
        UserError: no photos.
    """
    if not photos:
        raise UserError("no photo to calibrate on: --photos needs at least two, half calibrate and half judge fidelity")
    samples, digest = [], hashlib.sha256()
    for at, pixels in enumerate(photos):
        digest.update(repr(pixels.shape).encode() + pixels.tobytes())
        photo = from_samples(pixels)
        thumbnail = torch.from_numpy(thumbnail_planes(photo, generator.thumbnail_px))
        with torch.no_grad():
            condition = generator.analyze(thumbnail)
        random = np.random.default_rng([at])
        align = generator.tiling.align
        for _ in range(TILES_PER_PHOTO):
            top, left = (int(random.integers(max(0, side - tile_px) // align + 1)) * align for side in photo.shape[:2])
            tile = read_tile(photo, Tile(top, left, tile_px, top, top + tile_px, left, left + tile_px))
            samples.append(Sample(thumbnail, torch.from_numpy(to_planes(tile)), condition))
    return Calibration(tuple(samples), len(photos), digest.hexdigest())
