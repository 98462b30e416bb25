"""Folders of photos: no input is ever changed, nothing is left out in silence, nothing is done twice."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from training import enhance, generators
from training.album.inputs import list_photos
from training.album.outputs import plan_outputs
from training.album.record import RECORD, results_in
from training.checkpoint import Checkpoint
from training.commandline import UserError
from training.enhancer import batch
from training.photos import read_pixels

WRITABLE = [".jpg", ".jpeg", ".png", ".tif", ".tiff"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    small = {"channels": 8, "layers": 1, "thumbnail_px": 32, "analyser_channels": 4}
    folder = tmp_path_factory.mktemp("weights")
    return Checkpoint(generators.build("pocket", small), "CC0-1.0").save(folder / "tiny.safetensors")


Run = Callable[..., int]


@pytest.fixture
def run(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """enhance.py, from `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: enhance.main([*map(str, arguments), "--checkpoint", str(checkpoint)])


def photo(path: Path, colour: str = "teal", **how: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 16), colour).save(path, **how)
    return path


# --- where results go -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "targets"),
    [
        (["a.jpg", "b.PNG"], ["a.jpg", "b.PNG"]),
        (["a.heic", "a.jpg"], ["a.heic.jpg", "a.jpg"]),
        (["a.webp", "a.heic"], ["a.jpg", "a.heic.jpg"]),
        (["A.JPG", "a.jpg", "a.png"], ["A.JPG", "a.jpg.jpg", "a.png"]),
        (["x/a.heic", "y/a.heic"], ["x/a.jpg", "y/a.jpg"]),
        (["Caf\u00e9.jpg", "Cafe\u0301.jpg"], ["Caf\u00e9.jpg", "Cafe\u0301.jpg.jpg"]),
        (["a.heic.jpg", "a.heic", "a.jpg"], ["a.heic.jpg", "a.heic.2.jpg", "a.jpg"]),
    ],
)
def test_no_two_photos_become_one_file(names: list[str], targets: list[str]) -> None:
    outputs = plan_outputs([(Path("in") / name, Path(name)) for name in names], Path("out"), WRITABLE, ".jpg")
    assert [str(output.target) for output in outputs] == [f"out/{target}" for target in targets]
    assert [output.source.name for output in outputs] == [Path(name).name for name in names]
    renamed = [Path(name).stem != Path(target).stem for name, target in zip(names, targets, strict=True)]
    assert [output.renamed for output in outputs] == renamed


Link = Callable[[Path, Path], object]


@pytest.mark.parametrize("mode", [0o644, 0o444])
@pytest.mark.parametrize("more", [[], ["--overwrite"]])
@pytest.mark.parametrize(
    ("link", "arguments"),
    [
        (None, ["a.jpg", "--out", "."]),
        (None, [".", "--out", "."]),
        (None, ["a.jpg", "--out", "a.jpg"]),
        (os.symlink, ["a.jpg", "--out", "out"]),
        (os.link, ["a.jpg", "--out", "out"]),
        (os.symlink, ["a.jpg", "--out", "out/a.jpg"]),
        ("folder", ["a.jpg", "--out", "here"]),
    ],
)
def test_an_original_is_never_replaced(
    run: Run, tmp_path: Path, link: Link | str | None, arguments: list[str], more: list[str], mode: int,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    original = photo(tmp_path / "a.jpg")
    original.chmod(mode)
    if link == "folder":
        (tmp_path / "here").symlink_to(tmp_path)
    elif callable(link):
        (tmp_path / "out").mkdir()
        link(original, tmp_path / "out" / "a.jpg")
    before = original.read_bytes(), original.stat()
    assert run(*arguments, *more) == 1
    assert "a.jpg, which is never replaced; give another --out" in capsys.readouterr().err
    assert original.read_bytes() == before[0] and original.stat() == before[1]
    assert not (tmp_path / RECORD).exists()


def test_what_is_done_is_passed_over_and_other_files_stay(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        photo(tmp_path / "in" / f"{name}.jpg")
    assert run("in") == 0 and "2 photos enhanced" in capsys.readouterr().err
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "enhanced").iterdir()}
    assert run("in") == 0
    assert "2 were done already; --overwrite makes them again" in capsys.readouterr().err
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "enhanced").iterdir()}

    photo(tmp_path / "in" / "c.jpg")
    assert run("in") == 0
    assert "1 photo enhanced, 2 were done already" in capsys.readouterr().err
    assert run("in", "--strength", ".5") == 1, "others than these"
    said = capsys.readouterr().err
    assert said.count("--overwrite replaces it") == 3 and "3 photos could not be enhanced" in said
    assert run("in", "--strength", ".5", "--overwrite") == 0 and "3 photos enhanced" in capsys.readouterr().err
    assert run("in", "--strength", ".5") == 0 and "3 were done already" in capsys.readouterr().err

    photo(tmp_path / "in" / "a.jpg", "red")
    stranger = photo(tmp_path / "enhanced" / "d.jpg", "blue").read_bytes()
    photo(tmp_path / "in" / "d.jpg")
    assert run("in", "--strength", ".5") == 1
    assert "2 photos could not be enhanced" in capsys.readouterr().err, "one has changed, one was never made here"
    assert (tmp_path / "enhanced" / "d.jpg").read_bytes() == stranger


def test_results_are_no_photos(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo(tmp_path / "a.jpg")
    for out in ("enhanced", "enhanced", "others", "others/more"):
        assert run(".", "--out", out) == 0
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.jpg")) == [
        "a.jpg", "enhanced/a.jpg", "others/a.jpg", "others/more/a.jpg"]  # fmt: skip
    assert ".: left out 1 result of an earlier run" in capsys.readouterr().err
    photo(tmp_path / "enhanced" / "a.jpg", "red")
    assert run(".", "--overwrite") == 0 and "left out 2 results of an earlier run, 1 photo in the folder of --out" in (
        capsys.readouterr().err)  # fmt: skip
    photo(tmp_path / "enhanced" / "a.jpg", "red")
    assert run(".", "--out", "again") == 0
    assert (tmp_path / "again/enhanced/a.jpg").is_file(), "put there by hand, it is a photo"


def test_a_record_that_is_broken_or_a_link_is_harmless(run: Run, tmp_path: Path) -> None:
    original = photo(tmp_path / "a.jpg")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / RECORD).write_text('{"name": 3}\n[]\n{"na\n' + json.dumps({"name": "x"}) + "\nnull\n")
    assert results_in(tmp_path / "out") == {} and run("a.jpg", "--out", "out") == 0
    assert list(results_in(tmp_path / "out")) == ["a.jpg"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / RECORD).symlink_to(original)
    before = original.read_bytes()
    run("a.jpg", "--out", "other")
    assert original.read_bytes() == before


def test_one_photo_goes_to_a_file(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo(tmp_path / "a.jpg"), photo(tmp_path / "b.jpg")
    assert run("a.jpg", "--out", "results/best.png") == 0
    assert capsys.readouterr().out == "results/best.png\n" and read_pixels(tmp_path / "results/best.png").any()
    assert run("a.jpg", "b.jpg", "--out", "best.png") == 1
    assert "a file is for one photo, not 2; name a folder" in capsys.readouterr().err
    assert run("a.jpg", "--out", "best.webp") == 1
    assert "read but not written; choose .jpg" in capsys.readouterr().err


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o027])
def test_the_umask_says_who_may_read(run: Run, tmp_path: Path, umask: int) -> None:
    photo(tmp_path / "a.jpg")
    before = os.umask(umask)
    try:
        assert run("a.jpg") == 0
    finally:
        os.umask(before)
    made = tmp_path / "enhanced/a.jpg"
    assert stat.S_IMODE(made.stat().st_mode) == 0o666 & ~umask
    made.chmod(0o640)
    assert run("a.jpg", "--overwrite") == 0 and stat.S_IMODE(made.stat().st_mode) == 0o640


@pytest.mark.parametrize("stem", ["x" * 251, "\N{CAT FACE}" * 62 + "abc", "a." + "b" * 249])
def test_names_may_be_as_long_as_the_system_allows(run: Run, tmp_path: Path, stem: str) -> None:
    (tmp_path / "in").mkdir()
    photo(tmp_path / "in" / f"{stem}.jpg")
    assert run("in") == 0 and (tmp_path / "enhanced" / f"{stem}.jpg").is_file()


@pytest.mark.parametrize("name", ["a\nb\x1b[31m.jpg", "a\rb.jpg", "a\u202egpj.b.jpg", os.fsdecode(b"a\xe9.jpg")])
def test_names_cannot_write_to_the_terminal(
    run: Run, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(tmp_path / "in" / name)
    (tmp_path / "in" / f"broken{name}").write_bytes(b"")
    assert run("in") == 1
    photo(tmp_path / "in" / f"broken{name}")
    assert run("in" if "broken" not in name else name) == 0
    assert run(f"in/{name}", "--out", "single") == 0
    shown = capsys.readouterr()
    assert all(line.isprintable() for line in (shown.out + shown.err).splitlines())
    assert shown.out.splitlines()[-1].startswith("single/a")


# --- what counts as a photo -----------------------------------------------------------------------------------------


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    for name in ("._a.jpg", ".DS_Store", "b.xyz", "c.XYZ", "README", "d.mov"):
        (tmp_path / name).write_bytes(b"\0\5\26\7")
    (tmp_path / ".thumbnails").mkdir()
    (tmp_path / "e.jpg").mkdir()
    listing = list_photos(tmp_path, recurse=True)
    assert [path.name for path in listing.photos] == ["a.jpg"]
    assert listing.left_out() == (
        f"{tmp_path}: left out 3 hidden files, 4 files that are no photos that can be read "
        "(no extension 1, .mov 1, .xyz 2)"
    )


def test_a_folder_of_folders_gets_a_hint(tmp_path: Path) -> None:
    for name in ("100CANON/1.jpg", "100CANON/2.jpg", "101CANON/3.jpg"):
        photo(tmp_path / "DCIM" / name)
    with pytest.raises(UserError, match=r"in its subfolders: .*100CANON \(2\), .*101CANON \(1\); give one"):
        list_photos(tmp_path / "DCIM")
    assert len(list_photos(tmp_path / "DCIM", recurse=True).photos) == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no photo in this folder .*it is empty"):
        list_photos(tmp_path / "empty")


# --- a batch --------------------------------------------------------------------------------------------------------


def test_no_photo_stops_the_others(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", "c"):
        photo(tmp_path / "in" / f"{name}.jpg")
    (tmp_path / "in" / "d.jpg").write_bytes(b"no photo")
    real = batch.enhance_file

    def enhance_file(enhancer: object, source: Path, *rest: object) -> tuple[str, ...]:
        if source.name == "b.jpg":
            raise ZeroDivisionError("by a decoder")
        return real(enhancer, source, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(batch, "enhance_file", enhance_file)
    assert run("in") == 1
    said = capsys.readouterr().err
    assert "in/b.jpg: failed unexpectedly (ZeroDivisionError); the details are in enhanced/enhance.log" in said
    assert "2 photos enhanced" in said and "2 photos could not be enhanced, as said above; all others are done" in said
    assert (
        "Traceback" not in said and "ZeroDivisionError: by a decoder" in (tmp_path / "enhanced/enhance.log").read_text()
    )
    assert (tmp_path / "enhanced/c.jpg").is_file()
    assert run("in/d.jpg") == 1
    assert capsys.readouterr().err.endswith("1 photo could not be enhanced, as said above\n")


@pytest.mark.parametrize(("quality", "expected"), [(60, 85), (88, 88), (92, 92), (98, 95)])
def test_a_jpeg_is_written_at_about_its_own_quality(run: Run, tmp_path: Path, quality: int, expected: int) -> None:
    from training.enhancer.jpeg_quality import quality_for

    source = photo(tmp_path / "a.jpg", quality=quality)
    assert quality_for(source) == expected
    assert run("a.jpg") == 0 and run("a.jpg", "--quality", "40", "--out", "small.jpg") == 0
    for path, table_at in ((tmp_path / "enhanced/a.jpg", expected), (tmp_path / "small.jpg", 40)):
        photo(tmp_path / "like.jpg", quality=table_at)
        with Image.open(path) as made, Image.open(tmp_path / "like.jpg") as like:
            assert made.quantization[0] == like.quantization[0]
