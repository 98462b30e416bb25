"""evaluate.py: the table, its protocol, bad input; and the known figures of the published generators."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from training import evaluate, import_published
from training.checkpoint import Checkpoint
from training.data.pairs import find_pairs
from training.generators.pocket import Pocket, PocketConfig
from training.generators.ppcn import PpcnStudent
from training.quality.auto_levels import auto_levels

REQUIRED = {
    "model", "params", "mac_per_px", "psnr_mean_of_images_db", "psnr_of_mean_mse_db", "ssim", "ms_ssim",
    "delta_e_2000", "colour_shift_r", "colour_shift_g", "colour_shift_b", "images", "checkpoint_sha256", "licence",
}  # fmt: skip


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A DPED root of four training and five validation pairs, 40x48 px PNG; the phone side is darker."""
    rng = np.random.default_rng(5)
    for folder, count in (("training_data", 4), ("test_data/patches", 5)):
        for number in range(count):
            dslr = np.kron(rng.random((5, 6, 3)), np.ones((8, 8, 1))) * 255
            phone = (dslr * 0.7 + rng.normal(0, 5, dslr.shape)).clip(0, 255)
            for side, pixels in (("iphone", phone), ("canon", dslr)):
                path = tmp_path / "dped" / "iphone" / folder / side / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.astype(np.uint8)).save(path)
    return tmp_path / "dped"


def save(generator: Any, path: Path, name: str) -> str:
    Checkpoint(generator, "Apache-2.0", name=name).save(path)
    return str(path)


def run(arguments: list[str], out: Path) -> list[dict[str, Any]]:
    assert evaluate.main([*arguments, "--out", str(out)]) == 0
    return json.loads((out / "quality.json").read_text())


def test_an_untrained_pocket_generator_scores_as_the_identity(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = PocketConfig(channels=4, layers=1, analyser_channels=2)
    generator = Pocket(small)
    torch.nn.init.zeros_(generator.analyser.head.weight)  # no modulation is left that depends on the thumbnail
    model = save(generator, tmp_path / "a.safetensors", "new | pocket")
    rows = run([model, "--pairs", str(pairs), "--split", "validation"], tmp_path / "q")
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "q")
    assert [row["model"] for row in rows] == ["identity", "new___pocket"]
    plain, pocket = rows
    assert all(row.keys() >= REQUIRED and row["images"] == 5 and row["simulated_images"] == 0 for row in rows)
    assert plain["params"] == plain["mac_per_px"] == 0 and plain["licence"] is None
    assert pocket["params"] > 0 and pocket["mac_per_px"] > 0 and len(pocket["checkpoint_sha256"]) == 64
    for key in ("psnr_mean_of_images_db", "psnr_of_mean_mse_db", "ssim", "ms_ssim", "delta_e_2000", "colour_shift_b"):
        assert pocket[key] == pytest.approx(plain[key], abs=1e-4)


def test_scores_are_those_of_the_clamped_whole_photo(pairs: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    generator = PpcnStudent().eval()
    generator.convolutions[4].bias.data += torch.tensor([0.5, -0.5, 0.0])
    model = save(generator, tmp_path / "s.safetensors", "s")
    (_, row) = run([model, "--pairs", str(pairs), "--split", "train"], tmp_path / "q")
    psnrs, left_range = [], False
    for pair in find_pairs(pairs).train:
        phone, dslr = pair.load()
        with torch.inference_mode():
            planes = torch.from_numpy(phone.astype(np.float32) / 255).permute(2, 0, 1)[None]
            output = generator(planes)[0].permute(1, 2, 0).numpy()
        left_range |= bool((output > 1).any())
        psnrs.append(-10 * np.log10(np.mean((output.clip(0, 1) - dslr / 255.0) ** 2)))
    assert len(psnrs) == row["images"] == 4
    assert row["psnr_mean_of_images_db"] == pytest.approx(np.mean(psnrs), abs=1e-3)


def test_large_photos_run_in_tiles_to_the_same_scores(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    model = save(PpcnStudent(), tmp_path / "s.safetensors", "s")
    whole = run([model, "--pairs", str(pairs), "--split", "validation"], tmp_path / "whole")
    monkeypatch.setattr("training.quality.scoring.WHOLE_PX", 0)
    monkeypatch.setattr("training.enhancer.torch_engine.TILE_PX", 32)
    tiled = run([model, "--pairs", str(pairs), "--split", "validation"], tmp_path / "tiled")
    for key in ("psnr_of_mean_mse_db", "ms_ssim", "delta_e_2000"):
        assert tiled[1][key] == pytest.approx(whole[1][key], abs=1e-3)


def test_all_splits_count_each_pair_once(pairs: Path, tmp_path: Path) -> None:
    assert run(["--pairs", str(pairs), "--split", "all"], tmp_path / "q")[0]["images"] == 9
    assert run(["--pairs", str(pairs), "--split", "fidelity"], tmp_path / "q")[0]["images"] < 5


def test_the_embedded_sample_is_said_to_be_simulated(tmp_path: Path) -> None:
    (row,) = run([], tmp_path / "q")
    assert row["images"] == row["simulated_images"] > 0
    text = (tmp_path / "q" / "quality.md").read_text()
    assert "phone side SIMULATED." in text and f"{row['images']} photo pairs of 6 photos, split `held-out`" in text
    assert f"{row['psnr_mean_of_images_db']:.2f}" in text and "clamped to [0, 1], not rounded" in text


def test_few_pairs_of_ones_own_give_a_table(pairs: Path, tmp_path: Path) -> None:
    for side in ("mine", "canon"):
        (tmp_path / "own" / side).mkdir(parents=True)
        for number in range(3):
            shutil.copy(pairs / f"iphone/training_data/canon/{number}.png", tmp_path / "own" / side)
    assert run(["--pairs", str(tmp_path / "own")], tmp_path / "q")[0]["images"] == 3


def test_models_of_one_name_are_told_apart(pairs: Path, tmp_path: Path) -> None:
    models = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        models.append(save(PpcnStudent(), tmp_path / f"{seed}.safetensors", "same"))
    rows = run([*models, "--pairs", str(pairs), "--split", "validation"], tmp_path / "q")
    assert [row["model"] for row in rows[1:]] == [f"same@{row['checkpoint_sha256'][:8]}" for row in rows[1:]]
    assert rows[1]["model"] != rows[2]["model"]


def test_a_broken_photo_is_named_counted_and_passed_over(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = pairs / "iphone" / "test_data" / "patches" / "iphone" / "3.png"
    broken.write_bytes(broken.read_bytes()[:200])
    assert run(["--pairs", str(pairs), "--split", "validation"], tmp_path / "q")[0]["images"] == 4
    err = capsys.readouterr().err
    assert str(broken) in err and "1 of 5 pairs passed over" in err


def test_one_table_for_each_camera_that_has_pairs(pairs: Path, tmp_path: Path) -> None:
    shutil.copytree(pairs / "iphone", pairs / "sony")
    (pairs / "sony/training_data/iphone").rename(pairs / "sony/training_data/sony")
    (pairs / "sony/test_data/patches/iphone").rename(pairs / "sony/test_data/patches/sony")
    for seed, camera in enumerate(("iphone", "sony")):
        torch.manual_seed(seed)
        save(PpcnStudent(), tmp_path / f"s-{camera}.safetensors", f"s-{camera}")
    arguments = [str(tmp_path / "s-{camera}.safetensors"), "--pairs", str(pairs), "--photo-app"]
    rows = run([*arguments, "--cameras", "iphone", "blackberry", "sony"], tmp_path / "q")
    assert [(row["camera"], row.get("model")) for row in rows] == [
        *(("iphone", name) for name in ("identity", evaluate.PHOTO_APP, "s-iphone")), ("blackberry", None),
        *(("sony", name) for name in ("identity", evaluate.PHOTO_APP, "s-sony")),
    ]  # fmt: skip
    text = (tmp_path / "q" / "quality.md").read_text()
    assert "Skipped: no pairs of this camera: dped has no folder blackberry." in text
    assert text.count("Protocol: 9 photo pairs") == text.count("stretches each channel") == 2
    assert (tmp_path / "q" / "sony" / "sheet.jpg").is_file()
    assert evaluate.main([*arguments, "--cameras", "nokia", "--out", str(tmp_path / "q")]) == 1


@given(st.floats(0.05, 0.4), st.floats(0.1, 0.5), st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_auto_levels_undo_a_loss_of_contrast(black: float, contrast: float, seed: int) -> None:
    photo = np.random.default_rng(seed).random((40, 50, 3)).astype(np.float32)
    flat = black + contrast * photo
    stretched = auto_levels(flat)
    np.testing.assert_allclose(stretched, auto_levels(photo), atol=1e-4)
    assert np.abs(stretched - photo).mean() < 0.02 and stretched.min() == 0 and stretched.max() == 1
    grey = np.full((5, 5, 3), 0.3, np.float32)
    np.testing.assert_array_equal(auto_levels(grey), grey)


def test_bad_input_ends_in_one_sentence(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.safetensors").write_text("no")
    (tmp_path / "file").write_text("")
    for arguments, named in (
        (["absent"], "absent"),
        ([str(tmp_path / "text.safetensors")], "text.safetensors"),
        (["--pairs", str(tmp_path / "nowhere")], "nowhere"),
        (["--pairs", str(tmp_path)], str(tmp_path)),
        (["--pairs", str(pairs), "--phone", "sony"], "sony"),
        (["--pairs", str(pairs), "--out", str(tmp_path / "file" / "q")], str(tmp_path / "file")),
    ):
        assert evaluate.main(["--out", str(tmp_path / "q"), *arguments]) == 1
        out, err = capsys.readouterr()
        assert not out and len(err.splitlines()) == 1 and named in err


KNOWN = {  # split: model: PSNR mean of images, PSNR of mean MSE, MS-SSIM, measured before, apart from this code
    "validation": {"identity": (17.08, 15.48, 0.8228), "dped-iphone": (22.33, 20.77, 0.9032)},
    "train": {
        "identity": (16.94, 14.68, 0.8396),
        "dped-iphone": (21.83, 19.70, 0.9255),
        "ppcn-student": (22.40, 19.60, 0.9293),
    },
}


@pytest.mark.slow
@pytest.mark.parametrize(("split", "images"), [("validation", 40), ("train", 159)])
def test_published_generators_reach_their_known_figures(
    pocket_data: Path, tmp_path: Path, split: str, images: int
) -> None:
    for path in ("dped_models_orig/iphone_orig", "peers/ppcn/student.ckpt", "peers/ppcn/teacher.ckpt"):
        assert import_published.main([str(pocket_data / path), "--out", str(tmp_path)]) == 0
    models = [str(path) for path in sorted(tmp_path.glob("*.safetensors"))]
    rows = run([*models, "--pairs", str(pocket_data / "dped"), "--split", split], tmp_path / "q")
    print((tmp_path / "q" / "quality.md").read_text())
    by_name = {row["model"]: row for row in rows}
    assert by_name["dped-iphone"]["params"] == 401_475 and by_name["ppcn-teacher"]["params"] == 21_843
    assert by_name["dped-iphone"]["mac_per_px"] == 399_744 and by_name["ppcn-student"]["mac_per_px"] == 2_624
    assert all(row["images"] == images and row["simulated_images"] == 0 for row in rows)
    for model, (mean_of_images, of_mean_mse, ms_ssim) in KNOWN[split].items():
        row = by_name[model]
        assert row["psnr_mean_of_images_db"] == pytest.approx(mean_of_images, abs=0.02)
        assert row["psnr_of_mean_mse_db"] == pytest.approx(of_mean_mse, abs=0.02)
        assert row["ms_ssim"] == pytest.approx(ms_ssim, abs=0.0015)


def test_judges_add_peers_and_intervals(pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "judged"
    assert evaluate.main(["--pairs", str(pairs), "--judge", "--out", str(out)]) == 0
    rows = json.loads((out / "quality.json").read_text())
    assert [row["model"] for row in rows] == [
        "identity",
        "0.9 stops brighter",
        "automatic exposure",
        evaluate.PHOTO_APP,
    ]
    for row in rows:
        assert row["judged"]["psnr_db"]["mean"] == pytest.approx(row["psnr_mean_of_images_db"])
        for metric in row["judged"].values():
            low, high = metric["interval"]
            assert low <= metric["mean"] <= high
        assert row["judged"]["fitted_psnr_db"]["mean"] >= row["judged"]["psnr_db"]["mean"] - 1e-6
    page = (out / "quality.md").read_text()
    assert "ST-LPIPS" in page and "by bootstrap over photos" in page
