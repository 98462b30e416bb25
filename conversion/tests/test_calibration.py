"""What calibrates and what judges: never the same, always the same ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conversion.calibration import CALIBRATION_MAX, TILES_PER_PHOTO, VARIANTS, calibrate, find_photos, golden_photo
from conversion.converter import JUDGES_MAX
from training.checkpoint import Checkpoint
from training.commandline import UserError
from training.data.embedded_sample import SAMPLE
from training.data.photo_pair import PhotoPair


def test_embedded_scenes_judge_or_calibrate() -> None:
    photos = find_photos(None)
    judging = sum(photo.split == "fidelity" for photo in SAMPLE)
    assert len(photos.fidelity) == min(JUDGES_MAX, (VARIANTS + 1) * judging)
    assert 12 <= len(photos.calibration) <= CALIBRATION_MAX
    sizes = {photo.shape for photo in photos.fidelity} & {photo.shape for photo in photos.calibration}
    seen = {photo.tobytes() for photo in photos.calibration if photo.shape in sizes}
    assert not seen & {photo.tobytes() for photo in photos.fidelity}
    again = find_photos(None)
    assert all(map(np.array_equal, photos.fidelity, again.fidelity))


def test_photos_are_made_only_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulating all of the sample took a third of the CPU time of a conversion."""
    made: list[PhotoPair] = []
    load = PhotoPair.load
    monkeypatch.setattr(PhotoPair, "load", lambda pair: made.append(pair) or load(pair))
    photos = find_photos(None)
    assert not made
    golden = golden_photo()
    assert len(made) == 1
    np.testing.assert_array_equal(golden, photos.fidelity[0])
    loaded = len(made)
    assert photos.calibration and len(made) > loaded
    loaded = len(made)
    assert photos.fidelity and photos.calibration and len(made) == loaded


def test_photos_of_a_folder_take_turns(tmp_path: Path) -> None:
    count = 2 * CALIBRATION_MAX + 5
    for at in range(count):
        Image.new("RGB", (8, 8), (at, 0, 0)).save(tmp_path / f"{at:03}.png")
    photos = find_photos(tmp_path)
    calibration = {int(photo[0, 0, 0]) for photo in photos.calibration}
    fidelity = {int(photo[0, 0, 0]) for photo in photos.fidelity}
    assert len(calibration) == CALIBRATION_MAX and len(fidelity) == JUDGES_MAX and not calibration & fidelity
    assert [len(find_photos(tmp_path, judges_max=count).fidelity) for count in (1, 12)] == [1, 12]
    with pytest.raises(UserError, match="--judges 0: at least one photo"):
        find_photos(tmp_path, judges_max=0)


def test_samples_carry_the_condition_of_their_own_photo(make_checkpoint: Callable[..., Checkpoint]) -> None:
    generator = make_checkpoint("pocket").generator
    random = np.random.default_rng(0)
    photos = [(random.random((70, 90, 3)) * scale).astype(np.uint8) for scale in (60, 250)]
    made = calibrate(photos, generator, tile_px=48)
    assert made.photos == 2 and len(made.samples) == 2 * TILES_PER_PHOTO
    for at, sample in enumerate(made.samples):
        assert sample.tile.shape == (1, 3, 48, 48)
        bright = float(sample.tile.max()) * 255
        assert (bright > 60) == (at >= TILES_PER_PHOTO)
        with torch.no_grad():
            torch.testing.assert_close(sample.condition, generator.analyze(sample.thumbnail))
    assert calibrate(photos, generator, 48).sha256 == made.sha256
    assert calibrate(photos[::-1], generator, 48).sha256 != made.sha256


def test_no_photos_is_a_sentence(make_checkpoint: Callable[..., Checkpoint]) -> None:
    with pytest.raises(UserError, match="at least two"):
        calibrate([], make_checkpoint("pocket").generator, 48)
