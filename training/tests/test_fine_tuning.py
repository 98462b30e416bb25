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
from training.data.pairs import find_pairs
from training.data.photo_pair import PhotoPair
from training.loop import fine_tuning
from training.loop.settings import FINETUNE_DEFAULTS
from training.loop.validation import SCORE, stalled_at
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
    assert steps == [2, 4, 5], "nothing is gained after two validations; the rate falls over a quarter more"
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
    assert settings["preset"] == FINETUNE_DEFAULTS["preset"] and settings["patch"] == str(FINETUNE_DEFAULTS["patch"])


@given(scores, st.integers(1, 5))
def test_it_stalls_where_the_best_is_long_past(history: list[float], patience: int) -> None:
    rows = [{"step": index, SCORE: score} for index, score in enumerate(history)]
    assert stalled_at(rows, 0) is None
    waits = [index - int(np.argmax(history[: index + 1])) for index in range(len(history))]
    assert stalled_at(rows, patience) == next((index for index, wait in enumerate(waits) if wait >= patience), None)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_halves_share_no_photo(patches: list[int]) -> None:
    held_out = [
        PhotoPair(f"{photo}-{number}", Path(), Path(), "", str(photo))
        for photo, count in enumerate(patches)
        for number in range(count)
    ]
    stopping, judged = fine_tuning.halves(held_out)
    assert judged and 1 <= len(stopping) <= fine_tuning.MAX_TO_STOP_BY
    assert len(held_out) == 1 or not set(stopping) & set(judged)
    assert len(patches) == 1 or not {one.photo for one in stopping} & {one.photo for one in judged}


def test_the_report_says_when_the_photos_were_seen(tmp_path: Path) -> None:
    Image.new("RGB", (192, 192), "teal").save(tmp_path / "a.png")
    pairs = [PhotoPair(str(k), tmp_path / "a.png", tmp_path / "a.png", "", "a") for k in range(3)]
    net = generators.build("per_pixel").eval()
    sentences = []
    for seen in (pairs, []):
        fine_tuning.report(net, net, pairs, base="base", folder=tmp_path, seen=seen)
        sentences.append((tmp_path / "gain.md").read_text())
    assert "3 patches of one photo; learning or stopping saw the same photos" in sentences[0]
    assert "3 patches of one photo that neither learning nor stopping saw" in sentences[1]
