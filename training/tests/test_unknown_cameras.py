"""unknown_cameras.py: who judges, what is compared with what, and what a network that changes nothing gets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training import generators
from training.checkpoint import Checkpoint
from training.data.simulate import scaled
from training.quality import unknown_cameras

pytest.importorskip("stlpips_pytorch", reason="needs the weights of stlpips-pytorch; make setup installs it")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "cc0"
    folder.mkdir()
    for seed, name in enumerate(("canyon-wren", "lake-sherburne", "someone-elses")):
        low = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(low).resize((96, 72), Image.Resampling.BICUBIC).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    return Checkpoint(generators.build("pocket"), "Apache-2.0", name="identity").save(tmp_path / "identity.safetensors")


def record_of(out: Path) -> dict:
    return json.loads((out / "unknown-cameras.json").read_text())


def test_photos_held_out_judge_and_a_network_that_changes_nothing_gains_nothing(
    photos: Path, identity: Path, tmp_path: Path
) -> None:
    assert unknown_cameras.main([str(identity), "--photos", str(photos), "--out", str(tmp_path / "out")]) == 0
    record = record_of(tmp_path / "out")
    assert [name.split("/")[1] for name in record["photos"]] == ["canyon-wren.png", "lake-sherburne.png"]
    untouched, same = record["models"]["as the camera gave it"], record["models"]["identity"]
    assert len(untouched["shots"]) == 4 and len(untouched["good"]) == 2
    for shot, of_identity in zip(untouched["shots"], same["shots"], strict=True):
        assert of_identity["delta_e"] == pytest.approx(shot["delta_e"], abs=0.05)
    assert all(row["delta_e"] < 0.05 and row["newly_clipped_percent"] == 0 for row in same["good"])
    assert all(row["delta_e"] > 1 for row in record["models"]["0.9 stops brighter"]["good"])
    table = (tmp_path / "out" / "unknown-cameras.md").read_text()
    assert table.count("| identity |") == 1 and "4 shots of 2 photos that no release learned from" in table


def test_the_others_choose(photos: Path, identity: Path, tmp_path: Path) -> None:
    flags = [str(identity), "--photos", str(photos), "--variants", "1", "--choose", "--out", str(tmp_path / "out")]
    assert unknown_cameras.main(flags) == 0
    assert record_of(tmp_path / "out")["photos"] == ["cc0/someone-elses.png"]


def test_no_photo_of_the_kind_gets_one_sentence(
    photos: Path, identity: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "someone-elses.png").unlink()
    assert unknown_cameras.main([str(identity), "--photos", str(photos), "--choose", "--out", str(tmp_path)]) == 1
    assert "no photo of the asked kind" in capsys.readouterr().err


def test_two_models_of_one_name_are_refused(
    photos: Path, identity: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unknown_cameras.main([str(identity), str(identity), "--photos", str(photos), "--out", str(tmp_path)]) == 1
    assert "two models are called identity" in capsys.readouterr().err


@pytest.mark.parametrize("size", [(100, 300), (300, 100), (1000, 1000), (90, 95)])
def test_scaled_photos_keep_their_shape_and_a_patch_fits(size: tuple[int, int]) -> None:
    photo = np.zeros((*size, 3), np.uint8)
    height, width = scaled(photo, 200, 90).shape[:2]
    assert min(height, width) >= 90 and height <= size[0] and width <= size[1]
    assert height / width == pytest.approx(size[0] / size[1], rel=0.03)
