"""enhance.py on real files: EXIF and profile kept, folders, strength, and bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training import enhance, generators
from training.checkpoint import Checkpoint
from training.photos import read_photo


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    pocket = generators.build("pocket")
    pocket.up.weight.data.normal_(0, 0.02)
    return Checkpoint(pocket, "CC0-1.0").save(tmp_path_factory.mktemp("weights") / "small.safetensors")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A JPEG that lies on its side, by EXIF, and a PNG with transparency in a sub-folder."""
    random = np.random.default_rng(0)
    folder = tmp_path / "album"
    (folder / "sub").mkdir(parents=True)
    exif = Image.Exif()
    exif[274], exif[271] = 6, "Pocket Camera Works"
    smooth = random.integers(60, 200, (9, 13, 3), np.uint8).repeat(10, 0).repeat(10, 1)
    Image.fromarray(smooth).save(folder / "turned.jpg", exif=exif, quality=95)
    Image.fromarray(random.integers(0, 256, (40, 70, 4), np.uint8), "RGBA").save(folder / "sub" / "cut out.png")
    return folder


def test_a_folder_is_enhanced_and_everything_else_is_kept(
    checkpoint: Path, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert enhance.main([str(album), "--checkpoint", str(checkpoint), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == str(out)
    assert "licence of the weights: CC0-1.0" in said.err
    with Image.open(out / "turned.jpg") as turned:
        assert turned.size == (90, 130), "the orientation is applied"
        assert turned.getexif()[271] == "Pocket Camera Works" and turned.getexif().get(274, 1) == 1
        assert turned.info.get("icc_profile"), "tagged sRGB"
    before, after = read_photo(album / "turned.jpg"), read_photo(out / "turned.jpg")
    assert before.pixels.shape == after.pixels.shape and np.abs(before.pixels - after.pixels).mean() > 0.003
    with Image.open(out / "sub" / "cut out.png") as cut, Image.open(album / "sub" / "cut out.png") as original:
        assert np.array_equal(np.asarray(cut)[..., 3], np.asarray(original)[..., 3])
    assert not list(out.rglob(".*"))


def test_strength_zero_gives_the_photo_back(checkpoint: Path, album: Path, tmp_path: Path) -> None:
    photo = album / "sub" / "cut out.png"
    arguments = [str(photo), "--checkpoint", str(checkpoint), "--strength", "0", "--out", str(tmp_path)]
    assert enhance.main(arguments) == 0
    assert np.array_equal(read_photo(tmp_path / "cut out.png").pixels, read_photo(photo).pixels)


def test_bad_input_gets_one_sentence(
    checkpoint: Path, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(sentence: str, *args: str) -> None:
        assert enhance.main([*args, "--out", str(tmp_path / "out")]) == 1
        assert sentence in capsys.readouterr().err.strip().splitlines()[-1]

    use = ("--checkpoint", str(checkpoint))
    fails("no such photo or folder", str(tmp_path / "absent.jpg"), *use)
    fails("neither a checkpoint file nor a released name", str(album), "--checkpoint", "nothing")
    fails("--strength 2.0: must lie between 0 and 1", str(album), "--strength", "2", *use)
    (tmp_path / "empty").mkdir()
    fails("no photo in this folder", str(tmp_path / "empty"), *use)
    fails("two photos would be written there", str(album / "turned.jpg"), str(album / "turned.jpg"), *use)

    whole = (album / "turned.jpg").read_bytes()
    (album / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    fails("1 of 3 photos could not be enhanced", str(album), *use)
    assert (tmp_path / "out" / "turned.jpg").is_file(), "the others are done"
    assert not (tmp_path / "out" / "broken.jpg").exists()
