"""The benchmarks of alignment, reading and fine-tuning: what they say follows from what they measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.studies import alignment, alignment_throughput, fine_tuning, reading
from training.data import simulated_phone
from training.data.embedded_sample import SAMPLE
from training.photos import read_pixels


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of two scenes, and a folder with two photos of one."""
    folder = tmp_path_factory.mktemp("scenes")
    (folder / "one").mkdir()
    for photo in SAMPLE:
        if photo.name in ("astronaut", "coffee"):
            Image.fromarray(read_pixels(photo.path())).save(folder / f"{photo.name}.png")
    view = read_pixels(folder / "coffee.png")
    Image.fromarray(view[:-8, :-4]).save(folder / "one" / "a.png")
    Image.fromarray(view[8:, 4:]).save(folder / "one" / "b.png")
    return folder


def figures(out: Path, name: str) -> dict:
    assert (out / f"{name}.md").read_text()
    return json.loads((out / f"{name}.json").read_text())


@pytest.mark.slow
def test_alignment_counts_what_it_found(scenes: Path, tmp_path: Path) -> None:
    flags = ["--cases", "2", "--unrelated", "1", "--real", str(scenes / "one"), "--out", str(tmp_path)]
    assert alignment.main([str(scenes), *flags]) == 0
    facts = figures(tmp_path, "alignment")
    (real,) = facts["real"]
    assert (
        real["residual_px"] < 0.05
        and real["patches"] > 0.9 * real["windows"]
        and real["scale"] == pytest.approx(1, rel=1e-3)
    )
    assert facts["truth"]["cases"] == len(facts["cases"]) == 2 and facts["unrelated"] == {"pairs": 1, "refused": 1}
    assert facts["bars"]["different scenes refused always"] == "pass"
    assert "| one: a.png, b.png |" in (tmp_path / "alignment.md").read_text()


def test_a_case_that_is_refused_counts_as_one_that_is_off() -> None:
    good = {"corner_mean_px": 0.1, "corner_worst_px": 0.2, "patch_errors_px": [0.1, 0.3]}
    judged = alignment.judge_truth([good, {"refused": "no detail"}])
    assert judged["refused"] == 1 and judged["corner_worst_below_bar"] == judged["patch_shift_below_bar"] == 0.5
    assert alignment.judge_truth([{"refused": "no detail"}])["patch_shift_below_bar"] == 0


@pytest.mark.slow
def test_throughput_of_one_worker(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ["--count", "1", "--jobs", "1", "--out", str(tmp_path)]
    monkeypatch.setattr(alignment_throughput, "QUIET_LOAD", -1.0)
    assert alignment_throughput.main([str(scenes / "astronaut.png"), *flags]) == 0
    (row,) = figures(tmp_path, "alignment-throughput")["throughput"]
    assert row["refused"] == 0 and row["patches_mean"] > 1 and sum(row["share_of_time"].values()) == pytest.approx(1)
    assert row["dslr_megapixels_mean"] > 2 * row["phone_megapixels_mean"] * 0.9
    assert "The machine was busy: not of record." in (tmp_path / "alignment-throughput.md").read_text()


def test_bars_follow_from_the_figures() -> None:
    rows = [{"jobs": 1, "pairs_per_minute": 20.0, "peak_mb_by_worker": []},
            {"jobs": 2, "pairs_per_minute": 30.0, "peak_mb_by_worker": [700.0, 1600.0]}]  # fmt: skip
    judged = alignment_throughput.judge(rows)
    assert judged["speed_up"] == 1.5 and judged["peak_mb"] == 1600 and not any(judged["bars"].values())
    assert judged["hours_for_6000"] == pytest.approx(6000 / 30 / 60)
    rows[1] |= {"pairs_per_minute": 36.0, "peak_mb_by_worker": [700.0]}
    assert all(alignment_throughput.judge(rows)["bars"].values())


def test_the_other_camera_is_unlike_the_simulated_phone() -> None:
    grey = np.full((32, 32, 3), 120, np.uint8)
    other, known = (
        np.mean([simulated_phone.apply(grey, draw(seed), seed).mean((0, 1)) for seed in range(8)], axis=0)
        for draw in (fine_tuning.draw_camera, simulated_phone.draw)
    )
    assert other[0] > other[2] + 10 and known[2] > known[0] + 5, "warm, and cool"
    assert other.mean() > known.mean() + 20, "bright, and dark"


@pytest.mark.slow
def test_reading_compares_files_arrays_and_shards(tmp_path: Path) -> None:
    pytest.importorskip("webdataset", reason="install pocket-dslr[shards]")
    random = np.random.default_rng(0)
    for place in ("training_data", "test_data/patches"):
        for side in ("iphone", "canon"):
            (tmp_path / "dped/iphone" / place / side).mkdir(parents=True)
            for k in range(4):
                pixels = random.integers(0, 256, (100, 100, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / "dped/iphone" / place / side / f"{k}.jpg")
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patched:
        patched.setattr(reading, "TRAIN_STEPS", 1)
        patched.setattr(reading, "BATCH", 2)
        assert reading.main(["--pairs", str(tmp_path / "dped"), "--seconds", "0.1", "--out", str(tmp_path)]) == 0
    rows = figures(tmp_path, "reading")["sources"]
    assert [row["name"] for row in rows][2:] == ["packed arrays", "packed shards"]
    assert all(row["images_per_s"] > 0 for row in rows)
    assert all(0 <= row["waiting_share"] <= 1 for row in rows[1:]) and "waiting_share" not in rows[0]
