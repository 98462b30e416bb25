"""Releases, checkpoints and artifacts are models for photos by one name, and a release's artifact is of its weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from conversion import engines
from conversion.artifact import Artifact, ArtifactError
from conversion.embed import embed
from conversion.engines import RELEASES
from training.checkpoint import CheckpointError
from training.data.embedded_sample import SAMPLE
from training.enhancer import Enhancer
from training.files import sha256
from training.photos import read_pixels
from training.weights import WEIGHTS_FOLDER, release_file

EMBEDDED = sorted(path.name for path in RELEASES.iterdir())


def test_the_default_release_has_an_artifact() -> None:
    assert "pocket-clean" in EMBEDDED


@pytest.mark.parametrize("name", EMBEDDED)
def test_an_artifact_of_a_release_is_of_its_weights(name: str) -> None:
    """`make embedded` makes it again after the weights have changed."""
    manifest, weights = Artifact.load(RELEASES / name).manifest, release_file(name)
    assert weights is not None and manifest.source.sha256 == sha256(weights)
    assert manifest.precision == "fp32" and manifest.fidelity is not None and manifest.fidelity.below_floor is None
    assert sum(path.stat().st_size for path in (RELEASES / name).iterdir()) < 600_000


@pytest.mark.parametrize("name", EMBEDDED)
def test_it_makes_of_photos_what_the_float_generator_makes(name: str) -> None:
    by_artifact, by_checkpoint = Enhancer.load(name), Enhancer.load(WEIGHTS_FOLDER / f"{name}.safetensors")
    assert by_artifact.model.float_engine is None and by_checkpoint.model.float_engine is not None
    assert by_artifact.model.licence == by_checkpoint.model.licence
    for photo in map(read_pixels, [SAMPLE[0].path(), SAMPLE[3].path()]):
        first, second = by_artifact(photo), by_checkpoint(photo)
        assert np.abs(first.astype(int) - second).max() <= 1 and (first != photo).any()
    floats = np.random.default_rng(0).random((70, 90, 3), np.float32)
    np.testing.assert_allclose(by_artifact(floats, 0.5), by_checkpoint(floats, 0.5), atol=1e-4)


def test_what_is_broken_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(RELEASES / "pocket-clean", tmp_path / "pocket-clean")
    with pytest.raises(ArtifactError, match="missing, or a link"):  # an artifact elsewhere must be whole
        Enhancer.load(tmp_path / "pocket-clean")
    monkeypatch.setattr(engines, "RELEASES", tmp_path)
    model = tmp_path / "pocket-clean" / "model.tflite"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match="differs from its checksum"):
        Enhancer.load("pocket-clean")
    with pytest.raises(CheckpointError, match="neither a checkpoint file nor a released name"):
        Enhancer.load("pocket-absent")
    with pytest.raises(CheckpointError, match="neither a checkpoint file nor a released name"):
        Enhancer.load("../releases")


def test_only_whole_artifacts_of_releases_are_embedded(tmp_path: Path) -> None:
    shutil.copytree(RELEASES / "pocket-clean", tmp_path / "a")
    with pytest.raises(ArtifactError):
        embed(Artifact.load(tmp_path / "a"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
