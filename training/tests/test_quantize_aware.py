"""quantize_aware.py as a user runs it, on a small network: more fidelity, an ordinary checkpoint, bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training import generators, quantize_aware
from training.checkpoint import Checkpoint, load_tensors
from training.data.batches import Batch
from training.loop import eight_bits
from training.quantization.fake_quantization import quantize_weight

SHORT = ["--batch", "4", "--patch", "32"]


@pytest.fixture(scope="module")
def pairs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, random = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    for folder in ("iphone", "canon"):
        (root / folder).mkdir()
        for k in range(8):
            photo = random.integers(0, 255, (8, 9, 3), np.uint8).repeat(8, 0).repeat(8, 1)
            Image.fromarray(photo).save(root / folder / f"{k}.png")
    return root


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a network that adds detail, by channels of very different size."""
    torch.manual_seed(0)
    config = {"channels": 8, "layers": 2, "thumbnail_px": 32, "analyser_channels": 2, "hidden": 8}
    generator = generators.build("pocket", config).eval()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3 / max(1, parameter[0].numel()) ** 0.5)
        for convolution in generator.body:
            convolution.weight[0] *= 12
    path = tmp_path_factory.mktemp("source") / "tiny.safetensors"
    return Checkpoint(generator, "Apache-2.0", provenance={"licences": ["CC0"]}).save(path)


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_tensors(out / "checkpoint.safetensors")[0]


def test_fidelity_rises_and_the_checkpoint_is_ordinary(
    checkpoint: Path, pairs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    arguments = ["--checkpoint", str(checkpoint), "--pairs", str(pairs_folder), *SHORT, "--steps", "40"]
    assert quantize_aware.main([*arguments, "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out / "checkpoint.safetensors")
    source, made = Checkpoint.load(checkpoint), Checkpoint.load(out)
    assert made.generator.describe() == source.generator.describe()
    assert made.generator.state_dict().keys() == source.generator.state_dict().keys()
    scores = made.scores
    assert scores["imitated_w8a8"]["psnr_mean_db"] > scores["imitated_w8a8_before"]["psnr_mean_db"] + 1
    assert scores["imitated_w8a8"]["psnr_worst_db"] > scores["imitated_w8a8_before"]["psnr_worst_db"] + 1
    assert scores["float_against_source"]["psnr_worst_db"] > 40
    assert made.provenance["source"]["sha256"] == source.sha256 == made.provenance["settings"]["checkpoint"]
    assert made.provenance["licences"] == ["CC0", "as its owner states"]
    assert not list(out.glob(".*"))


def test_without_steps_only_rounding_of_kernels_changes_the_function(
    checkpoint: Path, pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--checkpoint", str(checkpoint), "--pairs", str(pairs_folder), *SHORT, "--steps", "0"]
    assert quantize_aware.main([*arguments, "--out", str(tmp_path / "run")]) == 0
    made = Checkpoint.load(tmp_path / "run")
    assert 40 < made.scores["float_against_source"]["psnr_worst_db"] < 90
    kernels = [value for name, value in made.generator.named_parameters() if name.endswith("weight")]
    assert len(kernels) > 10  # of analyze as well
    for kernel in kernels:
        torch.testing.assert_close(quantize_weight(kernel, 8), kernel, msg="a kernel that 8 bits do not hold")

    monkeypatch.setattr(eight_bits, "put_on_grid", lambda network: None)
    assert quantize_aware.main([*arguments, "--out", str(tmp_path / "exact")]) == 0
    assert Checkpoint.load(tmp_path / "exact").scores["float_against_source"]["psnr_worst_db"] > 100


def test_a_resumed_run_gives_the_same_weights(
    checkpoint: Path, pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eight_bits, "SAVE_EVERY", 2)
    arguments = ["--checkpoint", str(checkpoint), "--pairs", str(pairs_folder), *SHORT, "--steps", "6"]
    assert quantize_aware.main([*arguments, "--out", str(tmp_path / "whole")]) == 0

    real = eight_bits.learn

    def interrupted(*args: object, step: int, **kwargs: object) -> dict[str, float]:
        if step == 5:
            raise KeyboardInterrupt
        return real(*args, step=step, **kwargs)  # type: ignore[arg-type]

    out = tmp_path / "resumed"
    with monkeypatch.context() as patch:
        patch.setattr(eight_bits, "learn", interrupted)
        assert quantize_aware.main([*arguments, "--out", str(out)]) == 130
    assert load_tensors(out / "resume.safetensors")[1]["step"] == 4
    assert not (out / "checkpoint.safetensors").exists()
    assert quantize_aware.main([*arguments, "--out", str(out)]) == 0
    expected, actual = weights(tmp_path / "whole"), weights(out)
    assert all(torch.equal(actual[name], value) for name, value in expected.items())


def test_a_run_with_other_settings_is_not_overwritten(
    checkpoint: Path, pairs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(eight_bits, "SAVE_EVERY", 1)
    arguments = ["--checkpoint", str(checkpoint), "--pairs", str(pairs_folder), *SHORT, "--out", str(tmp_path / "run")]
    assert quantize_aware.main([*arguments, "--steps", "1"]) == 0
    before = (tmp_path / "run" / "checkpoint.safetensors").read_bytes()
    assert quantize_aware.main([*arguments, "--steps", "2"]) == 1
    assert "other settings" in capsys.readouterr().err
    assert (tmp_path / "run" / "checkpoint.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--patch", "30"], "a multiple of 4 px"),
        (["--lr", "1e15"], "the loss is not a finite number"),
        (["--packed", "absent"], "no complete set of packed samples"),
        (["--checkpoint", "absent.safetensors"], "absent.safetensors"),
        (["--pairs", "absent"], "no such folder"),
    ],
)
def test_bad_input_is_one_sentence(
    flags: list[str], sentence: str, checkpoint: Path, pairs_folder: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    arguments = ["--checkpoint", str(checkpoint), "--pairs", str(pairs_folder), *SHORT, "--steps", "3"]
    assert quantize_aware.main([*arguments, "--out", str(tmp_path / "run"), *flags]) == 1
    assert sentence in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_recoloured_photos_keep_their_thumbnails_company() -> None:
    phone = torch.rand(3, 3, 8, 8)
    made = eight_bits.recoloured(Batch(phone, phone, phone), [0, 1])
    assert torch.equal(made.phone, made.thumbnail) and not torch.equal(made.phone, phone)
    assert made.phone.min() >= 0 and made.phone.max() <= 1
    assert torch.equal(eight_bits.recoloured(Batch(phone, phone, phone), [0, 1]).phone, made.phone)
    half = eight_bits.half_recoloured(Batch(phone, phone, phone), [0, 1])
    assert torch.equal(half.phone[1:], phone[1:]) and torch.equal(half.phone[:1], made.phone[:1])
