"""Packed samples: teach.py and simulate.py as a user runs them, train.py on what they make, refusals, properties."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from training import generators, train
from training.checkpoint import Checkpoint
from training.data import packed, pictures, simulate, teach
from training.data.batches import Batches
from training.data.packed import PackedError
from training.data.pictures import Pictures, crops
from training.enhancer import TorchEngine
from training.generators.teachers import Answers
from training.tiling import thumbnail

seeds = st.integers(0, 2**32 - 1)


def picture(seed: int, height: int = 150, width: int = 170) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (height // 10, width // 10, 3), np.uint8).repeat(10, 0).repeat(10, 1)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for k in range(3):
        Image.fromarray(picture(k)).save(folder / f"{k}.png")
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("teacher") / "student.safetensors"
    return Checkpoint(generators.build("ppcn_student"), "research use", name="student").save(path)


def taught(photos: Path, teacher: Path, out: Path, *flags: str) -> list[str]:
    return ["--phone-photos", str(photos), "--hold-out", "0.png", "--photos", str(photos), "--teachers", str(teacher),
            "--patches", "6", "--whole", "2", "--crops", "3", "--out", str(out), *flags]  # fmt: skip


def test_teachers_answer_for_patches_and_whole_photos(
    photos: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert teach.main(taught(photos, teacher, tmp_path / "a")) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "a")
    samples = packed.load(tmp_path / "a", 100, 64)
    assert len(samples) == 6 + 2 * 3 and samples.facts["licences"] == ["student: research use"]
    assert samples.facts["photos"][:2] == ["1.png", "2.png"]  # the one held out of the phone's is not among these
    for k in range(6):  # a patch alone knows nothing but itself
        np.testing.assert_array_equal(samples.thumbnail[k], thumbnail(samples.phone[k], 64, 64))
    np.testing.assert_array_equal(samples.thumbnail[6], samples.thumbnail[8])  # of one whole photo

    assert teach.main(taught(photos, teacher, tmp_path / "b")) == 0  # the same seed makes the same samples
    assert packed.load(tmp_path / "b", 100, 64).facts["sha256"] == samples.facts["sha256"]


def test_an_answer_has_the_detail_of_an_orientation_and_the_tone_of_the_upright_photo(teacher: Path) -> None:
    generator = Checkpoint.load(teacher).generator
    photos = [picture(5, 110, 130), picture(6, 110, 130)]
    engine, answers = TorchEngine(generator), Answers([generator], "cpu")
    seen: list[set[bytes]] = [set(), set()]
    for seed in range(40):
        for of, answer in zip(seen, answers(photos, np.random.default_rng(seed)), strict=True):
            of.add(answer.tobytes())
    for photo, of in zip(photos, seen, strict=True):
        outputs = []
        for turns in range(4):
            for mirror in (False, True):
                turned = np.rot90(photo, turns)[:, ::-1] if mirror else np.rot90(photo, turns)
                output = engine.whole(np.ascontiguousarray(turned).astype(np.float32) / np.float32(255))
                outputs.append(np.rot90(output[:, ::-1] if mirror else output, -turns))
        upright = outputs[0].mean((0, 1))
        wanted = [(output - output.mean((0, 1)) + upright).clip(0, 1) for output in outputs]
        assert len(of) == len({output.tobytes() for output in outputs}) == 8
        for answer in of:
            pixels = np.frombuffer(answer, np.uint8).reshape(photo.shape) / 255
            assert min(np.abs(pixels - output).max() for output in wanted) < 1.01 / 255


def test_simulated_samples_leave_one_in_five_as_it_is(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.camera.good_tone.good_tone", lambda photo: photo)
    flags = ["--variants", "5", "--crops", "2", "--out", str(tmp_path / "s")]
    assert simulate.main([str(photos), *flags]) == 0
    samples = packed.load(tmp_path / "s", 100, 64)
    same = [bool((phone == dslr).all()) for phone, dslr in zip(samples.phone, samples.dslr, strict=True)]
    assert len(samples) == 3 * 5 * 2 and sum(same) == len(samples) // 5
    assert samples.facts["licences"] == ["3 photos, the phone's side by simulated cameras: as their owner states"]


def test_photos_without_attribution_are_left_out(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "photos.csv"
    table.write_text(f"photo,source,licence\n{photos.name}/1.png,somewhere,CC0\n")
    flags = [str(photos), "--attribution", str(table), "--crops", "1", "--out", str(tmp_path / "s")]
    assert simulate.main(flags) == 0
    facts = packed.load(tmp_path / "s", 100, 64).facts
    assert facts["photos"] == [f"{photos.name}/1.png"]
    assert facts["licences"] == ["1 photos, the phone's side by simulated cameras: CC0"]
    for broken in ("", "photo,source\na,b\n", f"photo,source,licence\n{photos.name}/1.png,somewhere,\n"):
        table.write_text(broken)
        assert simulate.main(flags) == 1
        assert "no table of photo, source, licence" in capsys.readouterr().err.splitlines()[-1]


def test_training_on_packed_samples_alone_and_from_given_weights(photos: Path, tmp_path: Path) -> None:
    assert simulate.main([str(photos), "--crops", "4", "--out", str(tmp_path / "s")]) == 0
    common = ["--packed", str(tmp_path / "s"), "--patch", "64", "--steps", "2", "--batch", "4", "--accelerator", "cpu"]
    assert train.main([*common, "--packed-share", "1", "--out", str(tmp_path / "one")]) == 0
    one = Checkpoint.load(tmp_path / "one")
    assert one.provenance["licences"] == [
        "3 photos, the phone's side by simulated cameras: as their owner states"
    ]  # none of the pairs: none was learned
    assert train.main([*common, "--init", str(tmp_path / "one"), "--out", str(tmp_path / "two")]) == 0
    two = Checkpoint.load(tmp_path / "two")
    assert set(one.provenance["licences"]) < set(two.provenance["licences"])
    assert two.provenance["settings"]["init"] == one.sha256


def test_packed_share_of_every_batch(photos: Path, tmp_path: Path) -> None:
    assert simulate.main([str(photos), "--crops", "4", "--out", str(tmp_path / "s")]) == 0
    samples = packed.load(tmp_path / "s", 64, 64)
    one, other = (
        Batches([], steps=4, batch=4, patch_px=64, thumbnail_px=64, seed=0, packed=[samples] * 2, packed_share=1.0)
        for _ in range(2)
    )
    batch, again = one[2][0], other[2][0]
    assert batch.phone.shape == (4, 3, 64, 64) and torch.equal(batch.dslr, again.dslr)


@pytest.mark.parametrize(
    "damage", ["absent", "no facts", "tampered", "truncated", "pickled", "other thumbnail", "small"]
)
def test_damaged_samples_are_refused(photos: Path, tmp_path: Path, damage: str) -> None:
    folder, patch_px, thumbnail_px = tmp_path / "s", 100, 64
    assert simulate.main([str(photos), "--crops", "1", "--out", str(folder)]) == 0
    file = folder / "phone.npy"
    if damage == "absent":
        folder = tmp_path / "nowhere"
    elif damage == "no facts":
        (folder / "facts.json").unlink()
    elif damage == "tampered":
        data = bytearray(file.read_bytes())
        data[-1] ^= 255
        file.write_bytes(data)
    elif damage == "truncated":
        file.write_bytes(file.read_bytes()[:-10])
    elif damage == "pickled":
        np.save(file, np.array([{"a": 1}]), allow_pickle=True)
    elif damage == "other thumbnail":
        thumbnail_px = 32
    else:
        patch_px = 101
    with pytest.raises(PackedError, match=r"teach\.py or simulate\.py"):
        packed.load(folder, patch_px, thumbnail_px)


def test_bad_input_has_one_sentence(
    photos: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = {
        "smaller than a patch": taught(photos, teacher, tmp_path / "x", "--patch", "160"),
        "no photo is left": taught(photos, teacher, tmp_path / "x", "--hold-out", "0.png", "1.png", "2.png"),
        "no such folder": taught(tmp_path / "none", teacher, tmp_path / "x"),
    }
    for sentence, flags in cases.items():
        assert teach.main(flags) == 1
        assert sentence in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "x").exists()
    assert simulate.main([str(photos), "--patch", "400", "--out", str(tmp_path / "x")]) == 1
    with pytest.raises(SystemExit):
        train.main(["--packed-share", "1.5", "--out", str(tmp_path / "y")])
    assert "'1.5' is not a number from 0 to 1" in capsys.readouterr().err.splitlines()[-1]
    facts = {"sha256": {}, "licences": "a string"}
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "facts.json").write_text(json.dumps(facts))
    assert train.main(["--packed", str(tmp_path / "z"), "--out", str(tmp_path / "y")]) == 1


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_pictures_have_the_size_of_their_kind(seed: int) -> None:
    random = np.random.default_rng(seed)
    pictures = Pictures([picture(1), picture(2, 300, 120)], [picture(3, 110, 240)], 100)
    patch, whole = pictures.patch(random), pictures.whole(random)
    assert patch.shape == (100, 100, 3) and patch.dtype == whole.dtype == np.uint8
    assert sorted(whole.shape[:2]) in ([150, 170], [120, 300], [110, 240])
    for crop in crops(whole.shape, 100, 5, random):
        assert whole[crop].shape == (100, 100, 3)


@given(seeds, seeds)
@settings(max_examples=25, deadline=None)
def test_matching_takes_over_mean_and_contrast(one: int, two: int) -> None:
    values = picture(one) // 4 + 80  # room on both sides, so that nothing is clipped
    like = picture(two) // 4 + 96
    matched = pictures.matched(values, like).astype(np.float64)
    np.testing.assert_allclose(matched.mean((0, 1)), like.mean((0, 1)), atol=1)
    assert matched.std((0, 1)).mean() == pytest.approx(like.std((0, 1)).mean(), rel=0.15)


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_jitter_moves_tone_and_keeps_order_of_greys(seed: int) -> None:
    ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2).repeat(4, 0)
    moved = pictures.jittered(ramp, np.random.default_rng(seed))
    assert moved.shape == ramp.shape and moved.dtype == np.uint8
    assert (np.diff(moved.astype(int).sum(-1), axis=1) >= 0).all()
    assert pictures.degraded(ramp, np.random.default_rng(seed)).shape == ramp.shape
