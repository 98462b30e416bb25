"""The report on files: what it says of a bar is what was measured, and the peer is a commit that there is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.studies.file_speed import Tiles, earlier, enhance_py, folder_of_photos, levels_from_float, table, timed
from training.commandline import UserError
from training.photos import read_pixels


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(60, 200, (40, 60, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg", quality=95)
    return tmp_path / "photo.jpg"


def test_tiles_alone_are_those_of_the_enhancer(photo: Path) -> None:
    tiles = Tiles(photo)
    np.testing.assert_array_equal(tiles.output, tiles.enhancer(read_pixels(photo)))
    assert timed(tiles.network).cpu_s > timed(tiles.thumbnail).cpu_s > 0


@pytest.mark.slow
def test_a_folder_is_enhanced_as_it_is_typed(photo: Path, tmp_path: Path) -> None:
    found = folder_of_photos(Tiles(photo), photo, 3, tmp_path)
    assert len(list((tmp_path / "enhanced").glob("*.jpg"))) == found["photos"] == 3
    assert found["quotient"] == found["folder"]["clock_s"] / found["tiles_alone"]["clock_s"]
    assert levels_from_float(photo, tmp_path) <= 1


def test_what_fails_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--before nonsense"):
        earlier("nonsense", tmp_path)
    with pytest.raises(UserError, match=r"absent\.jpg: no such photo or folder"):
        enhance_py(Path(__file__).parents[2], tmp_path / "absent.jpg", tmp_path)


def test_bars_missed_are_said() -> None:
    cost = {"clock_s": 2.0, "cpu_s": 3.0}
    speed = {"before": [cost], "now": [cost], "ratio_clock": 4.25, "ratio_cpu": 3.5, "now_cpu_s": 2.0}
    speed |= {"now_clock_s": 1.0, "before_clock_s": 4.25, "before_cpu_s": 7.0}
    facts = {
        "speed": speed,
        "before_commit": "1234567",
        "peak_mb": {"before": 800.0, "now": 200.0, "large": 300.0},
        "thumbnail": {"quotient": 1.01},
        "levels_from_float": 1,
        "album": {"photos": 5, "folder": cost, "tiles_alone": cost, "quotient": 1.0, "quotient_cpu": 1.0},
        "machine": {"cpu": "a CPU", "cores_available": 2},
        "bars": {"first": "pass", "second": "fail"},
    }
    text = table(facts)
    assert "| by the clock, s | 4.25 | 1.00 | 4.2 |" in text and "1.50 times as much" in text
    assert "- first: **pass**\n- second: **fail**" in text
