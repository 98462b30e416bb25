"""cost.py: the mosaic, the table, bad input, and a small photo from end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.machine import cores, cpu_model
from benchmarks.studies.peers import cost
from benchmarks.studies.peers.contender import PhotoRun, TileTrial
from training.checkpoint import Checkpoint
from training.data.embedded_sample import SAMPLE
from training.generators.dped import Dped, DpedConfig
from training.generators.pocket import Pocket, PocketConfig
from training.photos import read_pixels


@pytest.fixture
def models(tmp_path: Path) -> list[str]:
    """--model and --peer, small and untrained."""
    torch.manual_seed(0)
    pocket = Pocket(PocketConfig(channels=4, layers=1, thumbnail_px=32, analyser_channels=2))
    dped = Dped(DpedConfig(channels=8, blocks=1, thumbnail_px=32))
    for generator, name in ((pocket, "cheap"), (dped, "dear")):
        Checkpoint(generator, "CC0-1.0", name=name).save(tmp_path / f"{name}.safetensors")
    return ["--model", str(tmp_path / "cheap.safetensors"), "--peer", str(tmp_path / "dear.safetensors")]


@pytest.mark.parametrize(("height", "width"), [(100, 77), (288, 576), (700, 901)])
def test_the_mosaic_is_of_the_sample(height: int, width: int) -> None:
    mosaic = cost.mosaic(height, width)
    assert mosaic.shape == (height, width, 3) and mosaic.dtype == np.uint8
    first, second = (read_pixels(photo.path())[:288, :288] for photo in SAMPLE[:2])
    assert np.array_equal(mosaic[:288, :288], first[:height, :width])
    assert np.array_equal(mosaic[:288, 288:576], second[:height, : max(0, min(width, 576) - 288)])


def test_seconds_add_up() -> None:
    run = PhotoRun(thumbnail_s=1, analyze_s=2, tiles_s=4, in_runtime_s=3, cpu_s=5)
    assert run.analyze_and_tiles_s == 6
    assert TileTrial(across=16, tile_px=256, tile_ms=50, tiles=20).all_tiles_s == 1
    assert cpu_model() and cores() >= 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--across", "1", "--megapixels", "0.01"], "--across"),
        (["--photo", "absent.jpg"], "absent.jpg"),
    ],
)
def test_bad_input_is_one_sentence(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    assert cost.main([*models, "--out", str(tmp_path / "out"), *flags]) == 1
    error = capsys.readouterr().err
    assert said in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out" / "cost.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("runtime", "package", "across"), [("litert", "litert_torch", ["4", "2"]), ("executorch", "executorch", ["4"])]
)
def test_a_small_photo_from_end_to_end(
    models: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    runtime: str,
    package: str,
    across: list[str],
) -> None:
    pytest.importorskip(package)
    out = tmp_path / "out"
    flags = ["--megapixels", "0.05", "--across", *across, "--threads", "1", "--runs", "3", "--runtime", runtime]
    assert cost.main([*models, *flags, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    facts: dict[str, Any] = json.loads((out / "cost.json").read_text())
    assert said.splitlines()[-1] == str(out / "cost.json")
    assert said.startswith((out / "cost.md").read_text())
    assert "MOSAIC" in facts["photo"]["source"] and "MOSAIC" in said

    assert facts["photo"]["megapixels"] == pytest.approx(0.05, rel=0.02)
    assert [len(facts[who]["runs"]) for who in ("model", "peer")] == [3, 1]
    for who in ("model", "peer"):
        tried = {trial["tile_px"]: trial["all_tiles_s"] for trial in facts[who]["tile_sizes_tried"]}
        assert [str(trial["across"]) for trial in facts[who]["tile_sizes_tried"]] == across
        assert facts[who]["tile_px"] == min(tried, key=lambda tile_px: tried[tile_px])
        assert 0 < facts[who]["in_runtime_s"] <= facts[who]["tiles_s"] < facts[who]["analyze_and_tiles_s"]
        middle = sorted(run["analyze_s"] + run["tiles_s"] for run in facts[who]["runs"])[len(facts[who]["runs"]) // 2]
        assert facts[who]["analyze_and_tiles_s"] == middle
        assert 0 < facts[who]["cpu_s"] < 10 * facts[who]["analyze_and_tiles_s"]
    ratio = facts["peer"]["analyze_and_tiles_s"] / facts["model"]["analyze_and_tiles_s"]
    assert facts["ratio"] == pytest.approx(ratio) and f"**{ratio:.1f}**" in said

    peaks = facts["memory"]
    assert peaks["peak_mb"] > 100 and peaks["quotient"] == peaks["larger_peak_mb"] / peaks["peak_mb"]
    assert facts["bars"]["ratio at least 100"] == ("pass" if ratio >= 100 else "fail")
    assert facts["bars"]["peak memory at most 700 MB"] == ("pass" if peaks["peak_mb"] <= 700 else "fail")
    assert len(facts["bars"]) == 3
