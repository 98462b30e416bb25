"""LiteRT's GPU code over SwiftShader: what we emit is right there, what it answers with zeros is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("litert_torch", reason="needs the TFLite toolchain: pip install -e '.[tflite]'")

from conversion import to_tflite
from conversion.artifact import Artifact
from conversion.backends.tflite.pocket import PocketAnalyze
from conversion.runtimes import litert_gpu

from .conftest import MakeCheckpoint

ON_GPU = pytest.mark.skipif(
    litert_gpu.driver_folder() is None, reason="needs SwiftShader and the Vulkan loader of Debian's package chromium"
)
FACTORS = {4: {"channels": 16, "layers": 2, "factor": 4}, 2: {"channels": 16, "layers": 2, "factor": 2}}


def convert(make_checkpoint: MakeCheckpoint, out: Path, factor: int, *flags: str) -> int:
    checkpoint = make_checkpoint("pocket", FACTORS[factor]).save(out / "network.safetensors")
    common = ["--checkpoint", str(checkpoint), "--judges", "1", "--tile", "64", "--precision", "fp32"]
    return to_tflite.main([*common, "--out", str(out), *flags])


def card_of(out: Path) -> str:
    (folder,) = (path.parent for path in out.glob("*/manifest.json"))
    return (Artifact.load(folder).verify().folder / "MODEL_CARD.md").read_text(encoding="utf-8")


@pytest.mark.slow
@ON_GPU
@pytest.mark.parametrize("factor", FACTORS)
def test_both_entry_points_are_right_on_the_gpu(make_checkpoint: MakeCheckpoint, tmp_path: Path, factor: int) -> None:
    assert convert(make_checkpoint, tmp_path, factor) == 0
    finding = card_of(tmp_path).split("## On a phone's GPU\n")[1]
    assert float(finding.split()[0]) > 100 and "two runs alike" in finding


def block_diagonal(self: PocketAnalyze, block: Tensor) -> Tensor:
    """As it was before: a broadcast over the batch axis."""
    for _ in range(2):
        n, eye = int(block.shape[1]), self.diagonal_of_row[0, ::3, ::3]
        f = self.factor
        block = (block.reshape(1, n, 1, n) * eye.reshape(f, 1, f, 1)).reshape(1, f * n, f * n)
    return block


@pytest.mark.slow
@ON_GPU
def test_a_formulation_that_is_zeros_on_the_gpu_is_refused(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(PocketAnalyze, "_on_diagonal", block_diagonal)
    assert convert(make_checkpoint, tmp_path, 4) == 1
    assert "in two runs of its golden pair on LiteRT's GPU" in capsys.readouterr().err
    assert not list(tmp_path.glob("*/manifest.json"))
    assert convert(make_checkpoint, tmp_path, 4, "--allow-below-floor") == 0
    assert "floor 85" in card_of(tmp_path)


def test_old_and_new_blocks_are_equal(make_checkpoint: MakeCheckpoint) -> None:
    analyze = PocketAnalyze(make_checkpoint("pocket", FACTORS[4]).generator)  # type: ignore[arg-type]
    block = torch.rand(1, 3, 3)
    torch.testing.assert_close(analyze._on_diagonal(block), block_diagonal(analyze, block), rtol=0, atol=0)


@pytest.mark.slow
def test_without_a_driver_the_card_says_so(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litert_gpu, "FOLDERS", ())
    assert convert(make_checkpoint, tmp_path, 4) == 0
    assert "Not run on LiteRT's GPU accelerator over SwiftShader" in card_of(tmp_path)
