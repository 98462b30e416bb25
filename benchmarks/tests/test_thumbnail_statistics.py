"""thumbnail_statistics.py: figures that a second computation confirms, the table, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.studies import thumbnail_statistics
from training.checkpoint import Checkpoint
from training.generators.dped import Dped, DpedConfig
from training.generators.pocket import Pocket, PocketConfig
from training.quality import metrics
from training.tiling import thumbnail


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """An upright photo of 60x90 px and one of 120x40 px, PNG."""
    rng = np.random.default_rng(2)
    (tmp_path / "photos").mkdir()
    for name, (height, width) in {"a": (90, 60), "b": (40, 120)}.items():
        coarse = np.kron(rng.random((height // 10, width // 10, 3)), np.ones((10, 10, 1)))
        pixels = (coarse * 200 + rng.random((height, width, 3)) * 50).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{name}.png")
    return tmp_path / "photos"


def test_figures_and_table(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(1)
    generator = Dped(DpedConfig(channels=8, blocks=1))
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    Checkpoint(generator, "CC0-1.0", name="small").save(tmp_path / "small.safetensors")
    out = tmp_path / "out"
    arguments = [str(photos), "--checkpoint", str(tmp_path / "small.safetensors"), "--heights", "20", "40", "80"]
    assert thumbnail_statistics.main([*arguments, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == str(out / "thumbnail_statistics.json")
    text = (out / "thumbnail_statistics.md").read_text()
    assert said.startswith(text)
    upright, wide = json.loads((out / "thumbnail_statistics.json").read_text())["photos"]
    assert (upright["photo"], upright["height_px"], upright["width_px"]) == ("a.png", 90, 60)
    assert wide["psnr_db"]["40"] is None and wide["psnr_db"]["80"] is None  # as high as the photo, or higher
    assert all(10 < upright["psnr_db"][height] < 119 for height in ("20", "40", "80"))

    pixels = np.asarray(Image.open(photos / "a.png"))

    def planes(picture: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(picture.transpose(2, 0, 1)[None].astype(np.float32) / 255)

    with torch.no_grad():
        exact = generator(planes(pixels), planes(pixels)).clamp(0, 1)
        small = planes(thumbnail(pixels, 40, 27))  # 60 of 90 as 26.7 of 40
        approximate = generator.enhance(planes(pixels), *generator.analyze(small)).clamp(0, 1)
    expected = metrics.psnr(*(side[0].permute(1, 2, 0).numpy() for side in (approximate, exact)))
    assert upright["psnr_db"]["40"] == pytest.approx(expected, abs=0.01)
    assert f"| {upright['psnr_db']['40']:.1f} |" in text and "| — |" in text


def test_a_generator_without_statistics_is_refused(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "pocket.safetensors"
    Checkpoint(Pocket(PocketConfig(channels=4, layers=1, analyser_channels=2)), "CC0-1.0").save(checkpoint)
    given = [str(photos), "--checkpoint", str(checkpoint), "--out", str(tmp_path / "out")]
    assert thumbnail_statistics.main(given) == 1
    assert "DPED or PPCN" in capsys.readouterr().err
