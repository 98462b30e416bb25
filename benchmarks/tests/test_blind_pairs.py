"""blind_pairs.py: every photo against both others, the key apart from the pages, answers counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.studies import blind_pairs
from training import generators
from training.checkpoint import Checkpoint


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for seed in range(5):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{seed}.png")
    checkpoint = Checkpoint(generators.build("pocket"), "Apache-2.0", name="n").save(tmp_path / "n.safetensors")
    out = tmp_path / "out"
    assert blind_pairs.main([str(checkpoint), "--photos", str(tmp_path / "photos"), "--out", str(out)]) == 0
    return out


def test_each_photo_meets_both_others_and_the_key_lies_apart(pages: Path) -> None:
    key = json.loads((pages / "key.json").read_text())
    met = {(pair["photo"], pair["against"]) for pair in key}
    assert len(key) == len(met) == 10 and {pair["network_is"] for pair in key} <= {"l", "r"}
    assert sorted(path.name for path in pages.iterdir()) == ["key.json", "page-0.png", "page-1.png"]


def test_answers_are_counted_by_the_key(pages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = json.loads((pages / "key.json").read_text())
    answers = pages.parent / "answers.txt"
    letters = ["=" if at == 0 else pair["network_is"] for at, pair in enumerate(key)]
    answers.write_text(" ".join(letters))
    assert blind_pairs.main(["n", "--photos", "x", "--answers", str(answers), "--out", str(pages)]) == 0
    rows = [line for line in (pages / "blind.md").read_text().splitlines() if line.endswith("% |")]
    assert sorted(row.split("|")[-2].strip() for row in rows) == ["100%", "80%"]
    answers.write_text("lr")
    assert blind_pairs.main(["n", "--photos", "x", "--answers", str(answers), "--out", str(pages)]) == 1
    assert "2 letters for 10 pairs" in capsys.readouterr().err
