"""enhance.py on real files: everything kept, equal to the enhancer in memory, in bounded memory, stopped cleanly."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image

from training import enhance, generators
from training.album.record import RECORD
from training.checkpoint import Checkpoint
from training.data.embedded_sample import SAMPLE
from training.enhancer import Enhancer, TorchEngine, float_model, torch_engine
from training.enhancer.full_size import enhance_file
from training.photos import Photo, read_photo, read_pixels, write_photo


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
    assert {path.name for path in out.rglob(".*")} == {RECORD}


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
    (tmp_path / "empty").mkdir()
    fails("no photo in this folder", str(tmp_path / "empty"), *use)

    whole = (album / "turned.jpg").read_bytes()
    (album / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    fails("1 photo could not be enhanced, as said above; all others are done", str(album), *use)
    assert (tmp_path / "out" / "turned.jpg").is_file(), "the others are done"
    assert not (tmp_path / "out" / "broken.jpg").exists()


# --- file to file is what the enhancer does in memory -----------------------------------------------------------


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_engine, "TILE_PX", 64)


def alive_dped() -> Checkpoint:
    torch.manual_seed(0)
    generator = generators.build("dped", {"channels": 8}).eval()
    for parameter in generator.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.03)
    return Checkpoint(generator, "test")


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("name", ["pocket", "dped"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("size", [(1, 1), (65, 97), (150, 131)])
def test_files_are_enhanced_bit_for_bit_as_arrays(
    checkpoint: Path, tmp_path: Path, name: str, bits: int, size: tuple[int, int]
) -> None:
    model = Enhancer(float_model(alive_dped() if name == "dped" else Checkpoint.load(checkpoint)))
    values = np.random.default_rng(0).random((*size, 4)).astype(np.float32)
    write_photo(tmp_path / "a.png", Photo(values[..., :3], alpha=values[..., 3], bits=bits))
    photo = read_photo(tmp_path / "a.png")
    assert enhance_file(model, tmp_path / "a.png", tmp_path / "b.png", strength=0.75) == ()
    enhanced = model(photo.pixels, strength=0.75)
    write_photo(tmp_path / "c.png", Photo(enhanced, alpha=photo.alpha, bits=bits))
    found, expected = read_photo(tmp_path / "b.png"), read_photo(tmp_path / "c.png")
    assert found.bits == bits and found.alpha is not None and expected.alpha is not None
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    np.testing.assert_array_equal(found.alpha, expected.alpha)
    if bits == 8:
        np.testing.assert_array_equal(read_pixels(tmp_path / "b.png"), model(read_pixels(tmp_path / "a.png"), 0.75))


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_enhanced_upright(checkpoint: Path, tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[274], exif[271] = orientation, "Pocket Camera Works"
    pixels = np.random.default_rng(0).integers(0, 256, (90, 150, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    model = Enhancer.load(checkpoint)
    enhance_file(model, tmp_path / "a.png", tmp_path / "b.tif")
    np.testing.assert_array_equal(read_pixels(tmp_path / "b.tif"), model(read_pixels(tmp_path / "a.png")))
    with Image.open(tmp_path / "b.tif") as image:
        assert image.size == ((150, 90) if orientation <= 4 else (90, 150))
        assert image.getexif()[271] == "Pocket Camera Works" and image.getexif().get(274, 1) == 1


def test_heic_becomes_jpeg(checkpoint: Path, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Image.open(album / "turned.jpg") as image:
        pillow_heif.from_pillow(image).save(tmp_path / "a.heic", quality=90)
    arguments = [str(tmp_path / "a.heic"), "--checkpoint", str(checkpoint), "--out", str(tmp_path / "out")]
    assert enhance.main(arguments) == 0
    made = Path(capsys.readouterr().out.splitlines()[-1])
    assert made.name == "a.jpg" and read_pixels(made).shape == read_pixels(tmp_path / "a.heic").shape


@pytest.mark.usefixtures("small_tiles")
def test_dped_takes_exact_statistics_or_those_of_the_thumbnail(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = Enhancer(float_model(alive_dped()))
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (100, 140, 3), np.uint8)).save(tmp_path / "a.png")
    progress: dict[str, list[tuple[int, int]]] = {"exact": [], "thumbnail": []}
    results = {}
    with caplog.at_level(logging.INFO):
        for condition in ("exact", "thumbnail"):

            def done(pixels: int, total: int, into: list[Any] = progress[condition]) -> None:
                into.append((pixels, total))

            enhance_file(model, tmp_path / "a.png", tmp_path / f"{condition}.png", 1, condition, done)
            results[condition] = read_pixels(tmp_path / f"{condition}.png")
    for condition, passes in (("exact", 9), ("thumbnail", 1)):  # eight norms, and the photo itself
        assert {total for _, total in progress[condition]} == {passes * 100 * 140}
        assert sum(pixels for pixels, _ in progress[condition]) == passes * 100 * 140
    assert "8 passes" in caplog.text and "TMAC" in caplog.text and caplog.text.count("passes") == 1
    assert (results["exact"] != results["thumbnail"]).any()


def test_the_next_photo_is_decoded_while_tiles_of_this_one_are_enhanced(
    checkpoint: Path, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_analyzed, analyzed = threading.Event(), []
    analyze, enhance_tile = TorchEngine.analyze, TorchEngine.enhance

    def counted(engine: TorchEngine, thumbnail: Any) -> Any:
        analyzed.append(thumbnail)
        if len(analyzed) == 2:
            two_analyzed.set()
        return analyze(engine, thumbnail)

    def patient(engine: TorchEngine, *given: Any) -> Any:
        assert two_analyzed.wait(30), "the second photo waits for the first one's tiles"
        return enhance_tile(engine, *given)

    monkeypatch.setattr(TorchEngine, "analyze", counted)
    monkeypatch.setattr(TorchEngine, "enhance", patient)
    assert enhance.main([str(album), "--checkpoint", str(checkpoint), "--out", str(tmp_path / "out")]) == 0


# --- stopped, and large -----------------------------------------------------------------------------------------


def mosaic(path: Path, width: int, height: int, orientation: int = 1) -> Path:
    """A large photo of the photos of the embedded sample."""
    stones = []
    for photo in SAMPLE:
        with Image.open(photo.path()) as image:
            stones.append(image.convert("RGB").resize((504, 504)))
    picture = Image.new("RGB", (width, height))
    for number, place in enumerate((x, y) for y in range(0, height, 504) for x in range(0, width, 504)):
        picture.paste(stones[number % len(stones)], place)
    exif = Image.Exif()
    exif[274] = orientation
    picture.save(path, exif=exif, quality=92)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", [".enhancing-*/photo", ".enhancing-*/result", ".*.part.png"])
def test_stopped_in_the_middle_it_leaves_nothing(
    checkpoint: Path, tmp_path: Path, repository: Path, sent: signal.Signals, moment: str
) -> None:
    """While it decodes, enhances, and encodes."""
    photo, out = mosaic(tmp_path / "a.png", 4032, 3024), tmp_path / "out"
    command = [sys.executable, str(repository / "training" / "enhance.py"), str(photo), "--checkpoint", str(checkpoint)]
    # A shell starts background jobs deaf to Ctrl-C, and children inherit that; this one is to hear it.
    with subprocess.Popen(
        [*command, "--out", str(out)], stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        until = time.monotonic() + 120
        while not any(out.glob(moment)) and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(sent)
        sent_at = time.monotonic()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.strip().splitlines()[-1].endswith("stopped; what was finished is kept")
    assert list(out.rglob("*")) == []  # not even a record
    assert time.monotonic() - sent_at < 20


# Without pages of files: how much of torch's 1 GB of libraries is mapped is for the system to decide, and was 240 MB in
# one environment and 445 MB in another one with the same libraries.
PEAK = """
import sys, threading, time
from training import enhance
def watch():
    while True:
        with open("/proc/self/status") as status:
            own = [int(line.split()[1]) for line in status if line.startswith(("RssAnon", "RssShmem"))]
        peaks_kib.append(sum(own))
        time.sleep(0.01)
peaks_kib = []
threading.Thread(target=watch, daemon=True).start()
assert enhance.main(sys.argv[1:]) == 0
print(max(peaks_kib) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc says the peak")
def test_memory_does_not_grow_with_the_photo(checkpoint: Path, tmp_path: Path) -> None:
    peaks_mb = {}
    for megapixels, width, height in ((12, 4032, 3024), (48, 8064, 6048)):
        photo = mosaic(tmp_path / f"{megapixels}.jpg", width, height, orientation=6)
        arguments = [str(photo), "--checkpoint", str(checkpoint), "--out", str(tmp_path / "out")]
        ran = subprocess.run([sys.executable, "-c", PEAK, *arguments], capture_output=True, text=True, check=True)
        peaks_mb[megapixels] = int(ran.stdout.splitlines()[-1])
        with Image.open(tmp_path / "out" / photo.name) as made:
            assert made.size == (height, width)
    assert 100 < peaks_mb[12] <= 500 and peaks_mb[48] <= 1.3 * peaks_mb[12], peaks_mb
