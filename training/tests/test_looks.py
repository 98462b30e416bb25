"""looks.py: figures of models whose treatment is known, the sheets, bad input; and whole photos that are too large."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from training.checkpoint import Checkpoint
from training.enhancer import TorchEngine
from training.enhancer.whole_photo import reduced, whole_output
from training.generators.base import Condition, Generator
from training.generators.dped import Dped, DpedConfig
from training.generators.pocket import Pocket, PocketConfig
from training.photos import from_samples
from training.quality import looks
from training.tiling import to_uint8


def pocket(offset: float, by_thumbnail: float = 0.0) -> Pocket:
    """A generator that adds `offset` to every pixel, and treats photos by their thumbnails, the more the larger."""
    generator = Pocket(PocketConfig(channels=4, layers=1, thumbnail_px=16, analyser_channels=2))
    torch.manual_seed(3)
    with torch.no_grad():
        generator.up.bias += offset
        generator.analyser.head.weight.normal_(0, by_thumbnail)
    return generator


def save(generator: Generator, folder: Path, name: str) -> str:
    Checkpoint(generator, "Apache-2.0", name=name).save(folder / f"{name}.safetensors")
    return str(folder / f"{name}.safetensors")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos of 96x80 px without black or white, one of them grey at the left and dark at the right."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(40, 200, (80, 96, 3), dtype=np.uint8)).save(folder / "colours.png")
    halves = np.full((80, 96, 3), 200, np.uint8)
    halves[:, 48:] = 30
    Image.fromarray(halves).save(folder / "halves.jpg", quality=95)
    return folder


def rows(out: Path) -> dict[str, Any]:
    return {row["model"]: row for row in json.loads((out / "looks.json").read_text())["models"]}


def test_figures_of_known_models(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same, lighter = save(pocket(0), tmp_path, "same"), save(pocket(0.1), tmp_path, "lighter")
    out = tmp_path / "out"
    arguments = ["--photos", str(photos), "--beside", same, "--teachers", same, lighter, "--crops", "3"]
    assert looks.main([lighter, *arguments, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == str(out)
    assert said.startswith((out / "looks.md").read_text())
    found = rows(out)
    assert [found[name]["roles"] for name in ("same", "lighter")] == [["beside", "teacher"], ["checkpoint", "teacher"]]

    before, after = found["same"]["mean"], found["lighter"]["mean"]
    assert before["delta_e_2000_from_input"] == 0 < after["delta_e_2000_from_input"]
    # The teachers' mean lies between the two.
    assert 0 < before["delta_e_2000_from_teachers"] < after["delta_e_2000_from_input"]
    assert 0 < after["delta_e_2000_from_teachers"] < after["delta_e_2000_from_input"]
    for channel in "rgb":
        assert after[f"colour_shift_{channel}_levels"] == pytest.approx(25.5, abs=0.6)
    assert after["newly_clipped_percent"] == 0
    assert before["condition_spread_delta_e_2000"] is None  # of CHECKPOINTs only
    assert after["condition_spread_delta_e_2000"] == pytest.approx(0, abs=1e-3)
    assert after["cast_chroma"] < 0.2

    sheet = Image.open(out / "sheets" / "halves.jpg")
    assert sheet.size == (3 * 96, 80 + looks.LABEL_PX)
    assert (out / "sheets" / "colours.png.jpg").is_file()
    middle = np.asarray(sheet)[-40, [20, 96 + 20, 2 * 96 + 20]].astype(int)
    assert np.abs(middle[0] - middle[1]).max() <= 3
    assert middle[2] - middle[0] == pytest.approx(25.5, abs=4)


def test_strength_is_measured_as_shipped_and_blends_the_checkpoints_only(photos: Path, tmp_path: Path) -> None:
    lighter = save(pocket(0.2), tmp_path, "lighter")
    out = tmp_path / "out"
    arguments = [lighter, "--photos", str(photos), "--beside", lighter, "--crops", "0", "--strength", "0.25"]
    assert looks.main([*arguments, "--out", str(out)]) == 0
    found = rows(out)
    assert set(found) == {"lighter", "lighter at 0.25"}
    full, quarter = (found[name]["mean"]["colour_shift_g_levels"] for name in ("lighter", "lighter at 0.25"))
    assert quarter == pytest.approx(full / 4, abs=0.6)
    assert found["lighter at 0.25"]["mean"]["condition_spread_delta_e_2000"] is None


def test_spread_tells_a_model_that_looks_at_the_crop(photos: Path, tmp_path: Path) -> None:
    models = [save(pocket(0, by_thumbnail=k), tmp_path, f"by-{k}") for k in (0.0, 0.01, 0.04)]
    out = tmp_path / "out"
    assert looks.main([*models, "--photos", str(photos), "--crops", "12", "--out", str(out)]) == 0
    spread = [row["photos"]["halves.jpg"]["condition_spread_delta_e_2000"] for row in rows(out).values()]
    assert spread[0] == pytest.approx(0, abs=1e-3)
    assert 0.01 < spread[1] < spread[2]


def test_clipping_is_counted_against_the_photo(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    white = Dped(DpedConfig(channels=4, blocks=1))
    with torch.no_grad():
        white.tail.bias += 9.0
    models = [save(white, tmp_path, "white"), save(pocket(0.4), tmp_path, "lighter")]
    assert looks.main([*models, "--photos", str(photos), "--crops", "0", "--out", str(out)]) == 0
    halves = rows(out)["white"]["photos"]["halves.jpg"]
    assert halves["clipped_before_percent"] == 0
    assert halves["newly_clipped_percent"] == halves["clipped_after_percent"] == 100
    assert rows(out)["lighter"]["photos"]["halves.jpg"]["newly_clipped_percent"] == 0  # Pocket stops short of it


def test_the_whole_photo_has_its_own_statistics() -> None:
    torch.manual_seed(0)
    generator = Dped(DpedConfig(channels=4, blocks=1))
    engine = TorchEngine(generator)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 52, 3), dtype=np.uint8)
    photo = torch.from_numpy(from_samples(pixels).transpose(2, 0, 1)[None].copy())
    condition: Condition = generator.analyze(photo)  # of the photo itself
    with torch.no_grad():
        expected = generator.enhance(photo, *condition)[0].permute(1, 2, 0).numpy().clip(0, 1)
    assert whole_output(engine, pixels) == pytest.approx(expected, abs=1e-5)
    blend = from_samples(pixels) + 0.3 * (expected - from_samples(pixels))
    assert whole_output(engine, pixels, 0.3) == pytest.approx(blend, abs=1e-5)


@pytest.mark.parametrize(
    ("size", "most", "expected", "divisor"),
    [
        ((40, 60), 2400, (40, 60), 1),
        ((40, 60), 2399, (20, 30), 2),
        ((41, 61), 280, (13, 20), 3),
        ((1, 90), 30, (1, 30), 3),
    ],
)
def test_photos_too_large_are_reduced(
    size: tuple[int, int], most: int, expected: tuple[int, int], divisor: int
) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    smaller, divided = reduced(pixels, most)
    assert smaller.shape == (*expected, 3) and divided == divisor
    assert smaller.mean() == pytest.approx(pixels.mean(), abs=0.6)
    if divisor == 2:
        boxes = pixels.reshape(20, 2, 30, 2, 3).mean((1, 3))
        assert np.array_equal(smaller, to_uint8(np.float32(boxes / 255)))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--strength", "0"], "--strength"),
        (["--photos", "absent"], "absent"),
        (["--beside", "absent.safetensors"], "absent.safetensors"),
    ],
)
def test_bad_input_is_one_sentence(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    model = save(pocket(0), tmp_path, "same")
    assert looks.main([model, "--photos", str(photos), "--out", str(tmp_path / "out"), *flags]) == 1
    error = capsys.readouterr().err
    assert said in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out" / "looks.json").exists()
