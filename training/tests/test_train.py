"""train.py as a user runs it: trains, resumes after SIGKILL to the same weights, and refuses bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training import generators, train
from training.checkpoint import Checkpoint, load_tensors
from training.commandline import UserError
from training.data.batches import Batches
from training.data.pairs import find_pairs
from training.loop.build import tone_of
from training.loop.fit import is_due
from training.loop.recipes import make_schedule
from training.loop.validation import SCORE, Validation
from training.photos import from_samples
from training.tiling import to_uint8

SHORT = ["--steps", "6", "--validate-every", "2", "--batch", "2", "--accelerator", "cpu"]


def script(repository: Path, *args: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(repository / "training" / "train.py"), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, **kwargs)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def pairs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pairs of 120x110 patches whose DSLR side is brighter and warmer."""
    root = tmp_path_factory.mktemp("pairs")
    random = np.random.default_rng(0)
    for folder in ("iphone", "canon"):
        (root / folder).mkdir()
    for k in range(8):
        phone = random.integers(30, 150, (11, 12, 3), np.uint8).repeat(10, 0).repeat(10, 1)
        dslr = np.clip(phone * [1.4, 1.3, 1.1], 0, 255).astype(np.uint8)
        Image.fromarray(phone).save(root / "iphone" / f"{k * 3}.png")
        Image.fromarray(dslr).save(root / "canon" / f"{k * 3}.png")
    return root


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_tensors(out / "checkpoint.safetensors")[0]


def test_it_learns_and_says_where(pairs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--pairs", str(pairs_folder), "--steps", "60", "--validate-every", "30", "--batch", "4"]
    assert train.main([*arguments, "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == str(tmp_path / "run" / "checkpoint.safetensors")
    validations = [line for line in said.err.splitlines() if line.startswith("step ")]
    assert validations and len(validations) == len(set(validations))
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [25, 30, 60]
    assert rows[-1]["loss"]["l1"] < rows[0]["loss"]["l1"]
    assert rows[-1]["psnr_mean_of_images_db"] > rows[-1]["identity_psnr_mean_of_images_db"] + 1
    loaded = Checkpoint.load(tmp_path / "run")
    assert loaded.generator.describe()["name"] == "pocket"
    assert loaded.provenance["steps"] == 60 and "as its owner states" in loaded.licence
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    assert not list((tmp_path / "run").glob(".*")), "no temporary file may stay"


@pytest.mark.slow
@pytest.mark.parametrize("generator", [["--generator", "pocket"], ["--generator", "ppcn_student", "--preset", "code"]])
def test_resuming_after_sigkill_gives_the_same_weights(
    generator: list[str], repository: Path, pairs_folder: Path, tmp_path: Path
) -> None:
    common = [*generator, "--pairs", str(pairs_folder), *SHORT]
    uninterrupted = script(repository, *common, "--out", str(tmp_path / "whole"))
    assert uninterrupted.returncode == 0, uninterrupted.stderr

    out = tmp_path / "killed"
    command = [sys.executable, str(repository / "training" / "train.py"), *common, "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        give_up = time.monotonic() + 300
        while not (out / "resume.safetensors").exists() and process.poll() is None and time.monotonic() < give_up:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    resumed = script(repository, *common, "--out", str(out))
    assert resumed.returncode == 0 and "resuming at step" in resumed.stderr, resumed.stderr
    expected, actual = weights(tmp_path / "whole"), weights(out)
    assert expected.keys() == actual.keys()
    for name, value in expected.items():
        assert torch.equal(actual[name], value), name
    rows = [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert rows == [2, 4, 6]


def test_the_same_seed_gives_the_same_weights(pairs_folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert train.main(["--pairs", str(pairs_folder), *SHORT, "--out", str(tmp_path / name)]) == 0
    assert train.main(["--pairs", str(pairs_folder), *SHORT, "--seed", "1", "--out", str(tmp_path / "c")]) == 0
    first, second, other = (weights(tmp_path / name) for name in "abc")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_finished_run_with_other_settings_is_not_overwritten(
    pairs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--pairs", str(pairs_folder), "--out", str(tmp_path / "run")]
    assert train.main([*arguments, *SHORT]) == 0
    before = (tmp_path / "run" / "checkpoint.safetensors").read_bytes()
    assert train.main([*arguments, *SHORT, "--lr", "0.1"]) == 1
    assert "other settings" in capsys.readouterr().err
    assert (tmp_path / "run" / "checkpoint.safetensors").read_bytes() == before


def test_divergence_keeps_the_last_good_checkpoint(
    pairs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Batches.__getitem__

    def poisoned(self: Batches, step: int):  # type: ignore[no-untyped-def]
        batches = real(self, step)
        if step == 3:
            batches[0] = replace(batches[0], dslr=torch.full(batches[0].dslr.shape, float("nan")))
        return batches

    monkeypatch.setattr(Batches, "__getitem__", poisoned)
    assert train.main(["--pairs", str(pairs_folder), *SHORT, "--out", str(tmp_path / "run")]) == 1
    assert "step 3: the loss is not a finite number" in capsys.readouterr().err
    tensors, header = load_tensors(tmp_path / "run" / "resume.safetensors")
    assert header["step"] == 2
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())


def test_a_run_that_is_out_of_time_stops_and_stays_as_it_is(pairs_folder: Path, tmp_path: Path) -> None:
    arguments = ["--pairs", str(pairs_folder), *SHORT, "--minutes", "0.0001", "--out", str(tmp_path / "run")]
    assert train.main(arguments) == 0
    assert Checkpoint.load(tmp_path / "run").provenance["steps"] == 1
    before = weights(tmp_path / "run")
    assert train.main(arguments) == 0
    assert all(torch.equal(before[name], value) for name, value in weights(tmp_path / "run").items())


def test_the_best_weights_are_kept_and_the_last_beside_them(
    pairs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each validation is worse than the one before: the first is kept, unless the last is asked for."""
    scores = iter(range(40, 0, -1))
    real = Validation.of
    monkeypatch.setattr(Validation, "of", lambda *args, **kwargs: real(*args, **kwargs) | {SCORE: float(next(scores))})
    run = ["--pairs", str(pairs_folder), *SHORT]
    assert train.main([*run, "--out", str(tmp_path / "best")]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == "kept step 2: 40.0 dB; the last was 38.0"
    assert train.main([*run, "--keep", "last", "--out", str(tmp_path / "last")]) == 0
    best, last = (Checkpoint.load(tmp_path / name) for name in ("best", "last"))
    beside = load_tensors(tmp_path / "best" / "last.safetensors")[0]
    assert best.provenance["steps"] == 2 and last.provenance["steps"] == 6
    assert all(torch.equal(beside[name], value) for name, value in weights(tmp_path / "last").items())
    assert any(not torch.equal(beside[name], value) for name, value in weights(tmp_path / "best").items())


def test_a_finished_run_goes_on_when_it_gets_more_steps(pairs_folder: Path, tmp_path: Path) -> None:
    run = ["--pairs", str(pairs_folder), *SHORT, "--out", str(tmp_path / "run")]
    assert train.main(run) == 0
    assert train.main([*run, "--steps", "10"]) == 0
    rows = [json.loads(line)["step"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert rows == [2, 4, 6, 8, 10]


def test_an_interrupted_run_leaves_a_checkpoint(
    pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Batches.__getitem__

    def interrupted(self: Batches, step: int):  # type: ignore[no-untyped-def]
        if step == 5:
            raise KeyboardInterrupt
        return real(self, step)

    monkeypatch.setattr(Batches, "__getitem__", interrupted)
    assert train.main(["--pairs", str(pairs_folder), *SHORT, "--out", str(tmp_path / "run")]) == 130
    assert Checkpoint.load(tmp_path / "run").provenance["steps"] in (2, 4)


def test_validations_come_early_then_regularly() -> None:
    assert [step for step in range(1, 501) if is_due(step, 200)] == [25, 50, 100, 200, 400]
    assert [step for step in range(1, 7) if is_due(step, 2)] == [2, 4, 6]


@pytest.mark.parametrize("stalled", [None, 40, 800])
def test_the_rate_is_zero_where_the_run_ends(stalled: int | None) -> None:
    schedule = make_schedule(1000, 6, stalled)
    shares = [schedule.share(index) for index in range(schedule.end + 1)]
    assert shares[-1] == pytest.approx(0, abs=1e-9) and max(shares) <= 1
    assert schedule.end == (1000 if stalled is None else stalled * 5 // 4)
    falling = shares[max(schedule.fall_from, 100) :]
    assert falling == sorted(falling, reverse=True)


def test_help_loads_no_torch(repository: Path) -> None:
    code = (
        "import sys, contextlib\nfrom training import {0}\n"
        "with contextlib.suppress(SystemExit): {0}.main(['--help'])\nsys.exit('torch' in sys.modules)"
    )
    for name in ("train", "evaluate", "cross_validate", "quantize_aware", "release"):
        ran = subprocess.run([sys.executable, "-c", code.format(name)], cwd=repository, capture_output=True)
        assert ran.returncode == 0, name


def copied(pairs: Path, to: Path) -> Path:
    for path in pairs.rglob("*.png"):
        (to / path.parent.name).mkdir(parents=True, exist_ok=True)
        (to / path.parent.name / path.name).write_bytes(path.read_bytes())
    return to


def test_bad_input_gets_one_sentence_and_exit_code_1(
    pairs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(sentence: str, *args: str) -> None:
        assert train.main([*SHORT, "--out", str(tmp_path / "run"), *args]) == 1
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith("train.py: ") and sentence in error

    empty = tmp_path / "empty"
    (empty / "iphone").mkdir(parents=True)
    (empty / "canon").mkdir()
    fails("no photo in this folder", "--pairs", str(empty))
    fails("no such folder", "--pairs", str(tmp_path / "absent"))

    lonely = copied(pairs_folder, tmp_path / "lonely")
    (lonely / "canon" / "9.png").unlink()
    fails("9.png: no photo of that name", "--pairs", str(lonely))

    unequal = copied(pairs_folder, tmp_path / "unequal")
    Image.new("RGB", (100, 130)).save(unequal / "canon" / "9.png")
    fails("9.png: the sides differ in size", "--pairs", str(unequal))

    wrong = tmp_path / "vgg.mat"
    wrong.write_bytes(b"not a network")
    fails("vgg.mat: not imagenet-vgg", "--pairs", str(pairs_folder), "--preset", "code", "--vgg", str(wrong))

    fails("is smaller than a patch of 500 px", "--pairs", str(pairs_folder), "--patch", "500")

    (tmp_path / "file").write_text("in the way")
    fails("choose a path that you can write to", "--pairs", str(pairs_folder), "--out", str(tmp_path / "file" / "run"))


def test_a_truncated_photo_among_many_is_named_counted_and_passed_over(
    pairs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(pairs_folder, tmp_path / "pairs")
    broken = find_pairs(folder).train[0].phone
    assert isinstance(broken, Path)
    broken.write_bytes(broken.read_bytes()[:200])
    assert train.main(["--pairs", str(folder), *SHORT, "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().err
    assert f"passed over: {broken}" in said and "1 of " in said


@pytest.mark.slow
def test_a_full_disk_gets_a_sentence_and_a_rerun_finishes(repository: Path, pairs_folder: Path, tmp_path: Path) -> None:
    """A limit on file size stands in for the disk: the kernel refuses the write in the same place."""
    common = ["--pairs", str(pairs_folder), *SHORT, "--out", str(tmp_path / "run")]

    def limit() -> None:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    failed = script(repository, *common, preexec_fn=limit)
    assert failed.returncode == 1, failed.stderr
    assert "could not be written" in failed.stderr.splitlines()[-1]
    assert not list((tmp_path / "run").glob("*.safetensors")) and not list((tmp_path / "run").glob(".*"))
    assert script(repository, *common).returncode == 0


def test_batches_are_functions_of_seed_and_step(pairs_folder: Path) -> None:
    pairs = find_pairs(pairs_folder).train
    one, two = (
        Batches(pairs, steps=10, batch=3, patch_px=64, thumbnail_px=32, seed=5, batches_per_step=2) for _ in range(2)
    )
    two[0]  # another history
    (first, other), (again, _), (before, _) = (
        [batch.to(torch.device("cpu")) for batch in of[step]] for of, step in ((one, 7), (two, 7), (one, 6))
    )
    assert torch.equal(first.phone, again.phone) and torch.equal(first.thumbnail, again.thumbnail)
    assert first.phone.shape == (3, 3, 64, 64) and first.thumbnail.shape == (3, 3, 32, 32)
    assert not torch.equal(first.phone, other.phone)
    assert not torch.equal(first.phone, before.phone)
    # The sides stay aligned, mirrored or not: the DSLR side is a function of the phone's pixel.
    brighter = (first.phone * 255 * torch.tensor([1.4, 1.3, 1.1]).view(3, 1, 1)).clamp(max=255).floor() / 255
    torch.testing.assert_close(first.dslr, brighter, atol=1.01 / 255, rtol=0)
    with pytest.raises(UserError, match="smaller than a patch"):
        Batches(pairs, steps=1, batch=1, patch_px=300, thumbnail_px=32, seed=0)[0]


def test_weights_kept_lie_between_before_and_after(pairs_folder: Path, tmp_path: Path) -> None:
    base = [*SHORT, "--pairs", str(pairs_folder)]
    assert train.main([*base, "--out", str(tmp_path / "first")]) == 0
    tune = [*base, "--init", str(tmp_path / "first"), "--seed", "1"]
    for share in ("0", "0.25", "1"):
        assert train.main([*tune, "--keep-initial", share, "--out", str(tmp_path / share)]) == 0
    after, between, before = (weights(tmp_path / share) for share in ("0", "0.25", "1"))
    assert any(not torch.equal(after[name], before[name]) for name in before)
    for name, value in weights(tmp_path / "first").items():
        torch.testing.assert_close(before[name], value)
        torch.testing.assert_close(between[name], after[name].lerp(value, 0.25))


def test_pairs_lend_their_detail_with_the_tone_of_another_network(pairs_folder: Path, tmp_path: Path) -> None:
    teacher = Checkpoint(generators.build("ppcn_student"), "CC0-1.0")
    with torch.no_grad():
        for parameter in teacher.generator.parameters():
            parameter.mul_(0.5)
    teacher.save(tmp_path / "teacher.safetensors")
    pairs = find_pairs(pairs_folder).train
    tone = tone_of(Checkpoint.load(tmp_path / "teacher.safetensors"))
    toned = Batches(pairs, steps=4, batch=3, patch_px=100, thumbnail_px=32, seed=5, tone=tone)
    for index, pair in enumerate(pairs[:3]):
        phone, dslr = pair.load()
        _, moved, _ = toned._load(index)
        values = from_samples(dslr) + tone(phone) - from_samples(dslr).mean((0, 1))
        np.testing.assert_array_equal(moved, to_uint8(values))
    run = ["--pairs", str(pairs_folder), *SHORT, "--tone-of", str(tmp_path / "teacher.safetensors")]
    assert train.main([*run, "--out", str(tmp_path / "run")]) == 0
    assert train.main(["--pairs", str(pairs_folder), *SHORT, "--out", str(tmp_path / "without")]) == 0
    with_tone, without = weights(tmp_path / "run"), weights(tmp_path / "without")
    assert any(not torch.equal(with_tone[name], without[name]) for name in without)


def test_sizes_of_a_new_generator(pairs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["--pairs", str(pairs_folder), *SHORT, "--out", str(tmp_path / "run")]
    assert train.main([*run, "--config", "channels=8", "layers=1", "factor=2"]) == 0
    config = Checkpoint.load(tmp_path / "run").generator.config
    assert (config.channels, config.layers, config.factor) == (8, 1, 2)
    other = ["--pairs", str(pairs_folder), *SHORT, "--out", str(tmp_path / "other")]
    assert train.main([*other, "--config", "chanels=8"]) == 1
    assert "chanels" in capsys.readouterr().err
    assert train.main([*other, "--config", "channels=8", "--init", str(tmp_path / "run")]) == 1
    assert "leave one of --init and --config out" in capsys.readouterr().err
