"""Names of files: what they may do to a terminal, which of them are photos, and which are said to be left out."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from benchmarks.robustness.fields import FieldCase, Ran, enhance, run_script, small_photo

APPLE_DOUBLE = b"\0\5\26\7\0\2\0\0Mac OS X        "


def _printed(folder: Path, *, name: str, broken: bool = False) -> str | None:
    photo = small_photo(folder / "album" / name)
    if broken:
        photo.write_bytes(b"no photo")
    ran = enhance(folder, "album")
    lines = (ran.out + ran.err).split("\n")
    if bad := [line for line in lines if not line.isprintable()]:
        return f"written to the terminal: {bad[0]!r}"
    if broken:
        return ran.lacks(1, "1 photo could not be enhanced")
    return ran.lacks(0) or (None if len(ran.out.splitlines()) == 1 else f"stdout has more than the path: {ran.out!r}")


def _left_out(folder: Path, *, names: tuple[str, ...], said: str, content: bytes = b"?") -> str | None:
    """By enhance.py, and by align.py on both sides."""
    for name in ("phone/a.jpg", "dslr/a.jpg"):
        small_photo(folder / name)
        for other in names:
            (folder / name).with_name(other).write_bytes(content)
    ran = enhance(folder, "phone")
    paired = run_script("training.align", "--phone", "phone", "--dslr", "dslr", "--out", "set", folder=folder)
    lacks = ran.lacks(0, f"phone: left out {said}", "1 photo enhanced")
    return lacks or paired.lacks(1, f"phone: left out {said}", f"dslr: left out {said}", "1 pair, 0 of them finished")


def _no_photo(folder: Path, *, names: tuple[str, ...], said: str, recurses: bool = False) -> str | None:
    """A folder in which there is nothing to do says what is there instead."""
    for name in names:
        path = folder / "card" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        small_photo(path) if path.suffix == ".jpg" and not path.name.startswith(".") else path.write_bytes(b"?")
    small_photo(folder / "dslr" / "a.jpg")
    aligned = run_script("training.align", "--phone", "card", "--dslr", "dslr", "--out", "set", folder=folder)
    ran: Ran = enhance(folder, "card")
    expected = (0, "photos enhanced") if recurses else (1, said)
    return aligned.lacks(1, said) or ran.lacks(*expected)


def _case(kind: str, name: str, wrong_before: str, check: partial[str | None]) -> FieldCase:
    return FieldCase(kind, name, check, wrong_before)


CONTROL, APPLE, SILENT, FOLDERS = (
    "control characters in a name", "AppleDouble and hidden files", "left out in silence", "photos in subfolders",
)  # fmt: skip
CASES = [
    *(
        _case(CONTROL, name, "raw escapes in the progress and on stdout", partial(_printed, name=text))
        for name, text in {
            "newline and colour": "a\nb\x1b[31m.jpg", "carriage return": "good.jpg\rbad.jpg",
            "text that runs leftwards": "a\u202egpj.jpg", "bytes that are no UTF-8": os.fsdecode(b"caf\xe9.jpg"),
            "title of the window": "\x1b]0;owned\x07.jpg",
        }.items()
    ),
    _case(CONTROL, "in an error", "raw escapes in the progress and on stdout",
          partial(_printed, name="a\nb\x1b[2J.jpg", broken=True)),
    *(
        _case(APPLE, name, "an error for every card that a Mac has touched",
              partial(_left_out, names=names, said=said, content=APPLE_DOUBLE))
        for name, names, said in (
            ("._a.jpg", ("._a.jpg",), "1 hidden file"),
            ("._ of a photo that is gone, .DS_Store", ("._gone.tif", ".DS_Store"), "2 hidden files"),
            ("a hidden photo", (".a.png", "._.a.png", ".Trash.heic"), "3 hidden files"),
        )
    ),
    *(
        _case(SILENT, name, "exit code 0, nothing said", partial(_left_out, names=names, said=said))
        for name, names, said in (
            ("two of a kind that is not known", ("b.xyz", "c.XYZ"),
             "2 files that are no photos that can be read (.xyz 2)"),
            ("one", ("b.mov",), "1 file that is no photo that can be read (.mov 1)"),
            ("several kinds", ("b.xmp", "c.aae", "d", "e.xmp"),
             "4 files that are no photos that can be read (no extension 1, .aae 1, .xmp 2)"),
        )
    ),
    _case(SILENT, "nothing but such files", "no photo", partial(
        _no_photo, names=("a.xyz", "b.xyz"), said="left out 2 files that are no photos that can be read (.xyz 2)")),
    *(
        _case(FOLDERS, name, "no photo in it", partial(_no_photo, names=names, said=said, recurses=True))
        for name, names, said in (
            ("DCIM/100CANON", ("100CANON/1.jpg", "100CANON/2.jpg"), "card/100CANON (2); give one"),
            ("two of them", ("100CANON/1.jpg", "101CANON/2.jpg"), "card/100CANON (1), "),
            ("deep below", ("2026/12/01/1.jpg", "2026/12/01/2.jpg"), "card/2026/12/01 (2); give one"),
        )
    ),
]  # fmt: skip
