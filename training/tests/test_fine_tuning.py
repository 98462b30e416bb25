"""train.py --finetune: its defaults, when it stops, what it keeps, and an honest report of what it gained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from training import generators, train
from training.checkpoint import Checkpoint, load_tensors
from training.data.pairs import PhotoPair, find_pairs
from training.loop import fine_tuning
from training.loop.progress import stalled_for
from training.loop.settings import FINE_TUNING
from training.quality.metrics import psnr

scores = st.lists(st.floats(0, 40), min_size=1, max_size=12)


@pytest.fixture
def camera(tmp_path: Path) -> Path:
    """As align.py leaves it: twelve patches to learn from and six held out, of a camera that is dull and cool."""
    random = np.random.default_rng(0)
    for place, count in (("training_data", 12), ("test_data/patches", 6)):
        for side in ("mine", "canon"):
            (tmp_path / "set/mine" / place / side).mkdir(parents=True)
        for k in range(count):
            dslr = random.integers(30, 250, (10, 10, 3), np.uint8).repeat(8, 0).repeat(8, 1)
            phone = (dslr * [0.6, 0.7, 0.85] + 20).astype(np.uint8)
            for side, pixels in (("mine", phone), ("canon", dslr)):
                Image.fromarray(pixels).save(tmp_path / "set/mine" / place / side / f"{k}.png")
    return tmp_path / "set"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return Checkpoint(generators.build("pocket"), "CC0", name="base").save(tmp_path / "base.safetensors")


def tune(base: Path, camera: Path, out: Path, *flags: str) -> int:
    return train.main(["--finetune", str(base), "--pairs", str(camera), "--batch", "4", "--out", str(out), *flags])


def test_a_new_camera_is_learned_and_the_gain_is_what_the_weights_gain(
    base: Path, camera: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert tune(base, camera, out, "--steps", "60", "--validate-every", "20", "--lr", "3e-3") == 0
    gain = json.loads((out / "gain.json").read_text())
    assert gain["gain_db"] > 1 and gain["pairs"] == gain["better"] == 3 and gain["base"] == "base"
    assert f"{gain['gain_db']:+.2f} dB" in (out / "gain.md").read_text()
    tuned = Checkpoint.load(out)
    assert tuned.scores["gain"] == gain and tuned.provenance["settings"]["lr"] == "0.003"
    judged = find_pairs(camera, None).validation[3:]
    from training.enhancer import TorchEngine

    engine = TorchEngine(tuned.generator)
    pixels = [tuple(side.astype(np.float32) / 255 for side in pair.load()) for pair in judged]
    measured = np.mean([psnr(engine.whole(phone), dslr) for phone, dslr in pixels])
    assert measured == pytest.approx(gain["scores"]["after"]["psnr_mean_of_images_db"], abs=1e-3)


def test_where_nothing_is_gained_the_base_is_kept(base: Path, camera: Path, tmp_path: Path) -> None:
    """A learning rate that destroys: it stops early, and the weights and the report are those of the base."""
    for path in camera.rglob("mine/*.png"):
        (path.parent.parent / "canon" / path.name).write_bytes(path.read_bytes())  # already as good as can be
    with torch.no_grad():
        same = generators.build("pocket")
        same.analyser.head.weight.zero_()  # the identity
    Checkpoint(same, "CC0", name="base").save(base)
    out = tmp_path / "run"
    flags = ["--steps", "40", "--validate-every", "2", "--patience", "2", "--lr", "0.5"]
    assert tune(base, camera, out, *flags) == 0
    steps = [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert steps == [2, 4, 5]
    assert json.loads((out / "gain.json").read_text())["gain_db"] == pytest.approx(0, abs=1e-6)
    before, after = (load_tensors(path)[0] for path in (base, out / "checkpoint.safetensors"))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert tune(base, camera, out, *flags) == 0, "the same command again changes nothing"
    assert [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()] == steps


def test_it_needs_pairs_and_says_so(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--finetune", str(base), "--out", str(tmp_path / "run")]) == 1
    assert "--finetune needs --pairs" in capsys.readouterr().err


def test_flags_that_are_given_win(base: Path, camera: Path, tmp_path: Path) -> None:
    assert tune(base, camera, tmp_path / "run", "--steps", "1", "--patience", "9") == 0
    settings = Checkpoint.load(tmp_path / "run").provenance["settings"]
    assert settings["steps"] == "1" and settings["batch"] == "4"
    assert settings["preset"] == FINE_TUNING["preset"] and settings["patch"] == str(FINE_TUNING["patch"])


@given(scores, st.integers(1, 5))
def test_it_stops_when_the_best_is_long_past(history: list[float], patience: int) -> None:
    stops = stalled_for(history) >= patience
    assert stops == (len(history) > patience and max(history[:-patience]) >= max(history[-patience:]))
    assert stalled_for([*history, max(history) + 1]) == 0


@given(st.integers(1, 500))
def test_halves_share_no_pair(count: int) -> None:
    pairs = [PhotoPair(f"p/{k}", Path("a"), Path("b"), "CC0") for k in range(count)]
    stopping, judged = fine_tuning.halves(pairs)
    assert len(judged) == count - count // 2 and 1 <= len(stopping) <= fine_tuning.MAX_TO_STOP_BY
    assert count == 1 or not set(stopping) & set(judged)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60))
def test_patches_of_a_photo_stay_together(photos: list[int]) -> None:
    pairs = [PhotoPair(f"p/{k}", Path("a"), Path("b"), "CC0", f"photo {n}") for k, n in enumerate(photos)]
    stopping, judged = fine_tuning.halves(pairs)
    assert len(set(photos)) == 1 or not {pair.photo for pair in stopping} & {pair.photo for pair in judged}
