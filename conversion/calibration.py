"""Which photos calibrate a quantization and which judge it: never the same ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.commandline import UserError
from training.data.pairs import find_pairs
from training.enhancer import thumbnail_planes, to_planes
from training.generators.base import Condition, Generator
from training.photos import from_samples, read_folder
from training.tiling import Tile, read_tile

JUDGES_MAX = 24  # photos that judge fidelity, unless told otherwise
CALIBRATION_MAX = 32
TILES_PER_PHOTO = 2
VARIANTS = 3  # simulated phone photos of each scene of the embedded sample
# Scenes of the embedded sample that judge; the other ones calibrate. Some of both also train the demo's generator,
# which does not matter here: an artifact is compared with the float model, not with a DSLR photo.
JUDGING_SCENES = ("chelsea", "coffee", "flower")
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Photos:
    """[H, W, 3] uint8 sRGB each; no scene is in both."""

    calibration: list[Pixels]
    fidelity: list[Pixels]


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

    Of the sample: of each scene three simulated phone photos and the photo itself, seven scenes in all.

    Raises:
        UserError: a photo cannot be read, or there is none; no judge.
    """
    if judges_max < 1:
        raise UserError(f"--judges {judges_max}: at least one photo must judge fidelity")
    if folder is None:
        embedded = _embedded()
        return Photos(embedded.calibration, embedded.fidelity[:judges_max])
    photos = list(read_folder(folder).values())
    return Photos(photos[1::2][:CALIBRATION_MAX], photos[::2][:judges_max])


def _embedded() -> Photos:
    splits = find_pairs(None)
    pairs = [*splits.train, *splits.validation, *splits.calibration, *splits.fidelity]
    photos = Photos([], [])
    scenes = {path: [pair for pair in pairs if pair.dslr == path] for path in dict.fromkeys(p.dslr for p in pairs)}
    for of_scene in scenes.values():
        judges = any(f"/{scene}-" in of_scene[0].name for scene in JUDGING_SCENES)
        loaded = [pair.load() for pair in of_scene[:VARIANTS]]
        (photos.fidelity if judges else photos.calibration).extend([*(phone for phone, _ in loaded), loaded[0][1]])
    return photos


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
