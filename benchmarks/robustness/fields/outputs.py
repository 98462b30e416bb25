"""Where results go: no original is replaced, nothing is done twice or left out, no photo stops the others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.robustness.fields import FieldCase, enhance, small_photo, state_of, tiny_checkpoint

ROOT = Path(__file__).parents[3]
Check = Callable[[Path], str | None]


# --- an original is never replaced ----------------------------------------------------------------------------------


def _original_stays(folder: Path, *, out: str, mode: int = 0o644, make: Callable[[Path], object] | None = None,
                    more: tuple[str, ...] = ()) -> str | None:  # fmt: skip
    small_photo(folder / "album" / "a.jpg").chmod(mode)
    if make:
        make(folder)
    before = state_of(folder)
    ran = enhance(folder, "album", "--out", out, *more)
    changed = "the original or its folder has changed" if state_of(folder) != before else None
    return changed or ran.lacks(1, "which is never replaced; give another --out")


def _hard_link(folder: Path) -> None:
    (folder / "out").mkdir()
    os.link(folder / "album" / "a.jpg", folder / "out" / "a.jpg")


def _symbolic_link(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "a.jpg").symlink_to(folder / "album" / "a.jpg")


def _stranger_stays(folder: Path) -> str | None:
    """A photo of the same name in the folder of results that is not among the inputs."""
    small_photo(folder / "new" / "a.jpg")
    small_photo(folder / "album" / "a.jpg", "red")
    before = state_of(folder)
    ran = enhance(folder, "new", "--out", "album")
    return "another photo was replaced" if state_of(folder) != before else ran.lacks(1, "--overwrite replaces it")


# --- two photos that would become one file --------------------------------------------------------------------------


def _both_are_done(folder: Path, *, names: tuple[str, ...], results: tuple[str, ...]) -> str | None:
    for name in names:
        small_photo(folder / "album" / name)
    ran = enhance(folder, "album")
    there = sorted(path.name for path in (folder / "enhanced").glob("[!.]*"))
    if there != sorted(results):
        return f"{there}: {ran.err}"
    return ran.lacks(0, f"{len(names)} photos enhanced", "since another photo has that name")


# --- results are neither made twice nor taken for photos ------------------------------------------------------------


def _second_run(folder: Path, *, first: tuple[str, ...], second: tuple[str, ...], sentence: str) -> str | None:
    small_photo(folder / "a.jpg")
    small_photo(folder / "sub" / "b.png")
    if fault := enhance(folder, ".", *first).lacks(0, "2 photos enhanced"):
        return fault
    ran = enhance(folder, ".", *second)
    nested = [path for path in folder.rglob("*.jpg") if len(path.relative_to(folder).parts) > 2]
    return f"results of results: {nested}" if nested else ran.lacks(0, sentence)


# --- a broken photo stops no other ----------------------------------------------------------------------------------


def _others_are_done(folder: Path, *, broken: bytes, suffix: str) -> str | None:
    small_photo(folder / "album" / "a.jpg")
    (folder / "album" / f"b{suffix}").write_bytes(broken)
    small_photo(folder / "album" / "c.jpg")
    ran = enhance(folder, "album")
    if not (folder / "enhanced" / "c.jpg").is_file():
        return f"the photo after it is not done: {ran.err}"
    return ran.lacks(1, f"album/b{suffix}: ", "1 photo could not be enhanced, as said above; all others are done")


def _jpeg_cut(folder: Path) -> bytes:
    whole = small_photo(folder / "whole.jpg").read_bytes()
    return whole[: len(whole) // 2]


# --- names that are long, permissions, streams ----------------------------------------------------------------------


def _long_name(folder: Path, *, stem: str) -> str | None:
    (folder / "album").mkdir()
    small_photo(folder / "album" / f"{stem}.jpg")
    ran = enhance(folder, "album")
    return ran.lacks(0) or (None if (folder / "enhanced" / f"{stem}.jpg").is_file() else "no result")


def _permissions(folder: Path, *, umask: int, replaced: int | None = None) -> str | None:
    small_photo(folder / "a.jpg")
    result = folder / "enhanced" / "a.jpg"
    before = os.umask(umask)
    try:
        ran = enhance(folder, "a.jpg")
        if replaced is not None:
            result.chmod(replaced)
            ran = enhance(folder, "a.jpg", "--overwrite")
    finally:
        os.umask(before)
    expected = 0o666 & ~umask if replaced is None else replaced
    mode = result.stat().st_mode & 0o777
    return ran.lacks(0) or (None if mode == expected else f"mode {mode:o} instead of {expected:o}")


def _stream_closed(folder: Path, *, redirection: str) -> str | None:
    """In a shell, as it needs real streams."""
    for name in ("a", "b"):
        small_photo(folder / "album" / f"{name}.jpg")
    script = f'"$0" "$1" album --checkpoint "$2" {redirection}'
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {script}", sys.executable, ROOT / "training" / "enhance.py",
         tiny_checkpoint()],
        cwd=folder, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    there = sorted(path.name for path in (folder / "enhanced").glob("[!.]*"))
    if there != ["a.jpg", "b.jpg"]:
        return f"{there} were made: {done.stderr}"
    return f"exit code {done.returncode}: {done.stderr}" if done.returncode else None


# --- arrays handed to the Enhancer ----------------------------------------------------------------------------------


def _array(folder: Path, *, kind: str) -> str | None:
    import numpy as np
    import torch

    from training.enhancer import Enhancer

    enhancer = Enhancer.load(tiny_checkpoint())
    pixels = np.full((16, 24, 3), 128, np.uint8)
    if kind == "PIL image":
        image = Image.fromarray(pixels)
        return None if (enhancer(image) == enhancer(pixels)).all() else "another result than that of its pixels"
    photos: dict[str, Any] = {
        "float from 0 to 255": pixels.astype(np.float32), "NaN": np.full((16, 24, 3), np.nan, np.float32),
        "torch tensor": torch.from_numpy(pixels), "uint16": pixels.astype(np.uint16),
        "PIL image of 16 bits": Image.new("I;16", (24, 16)),
    }  # fmt: skip
    try:
        enhancer(photos[kind])
    except ValueError as error:
        return None if "\n" not in str(error) else f"more than one sentence: {error}"
    return "taken"


def _cases(kind: str, wrong_before: str, checks: dict[str, Check]) -> list[FieldCase]:
    return [FieldCase(kind, name, check, wrong_before) for name, check in checks.items()]


CASES = [
    *_cases("original replaced", "the original is replaced, in silence", {
        "--out is the folder of the photos": partial(_original_stays, out="album"),
        "the same, photo read-only": partial(_original_stays, out="album", mode=0o444),
        "the same, --overwrite": partial(_original_stays, out="album", more=("--overwrite",)),
        "the same by another name": partial(_original_stays, out="album/../album"),
        "--out is the photo": partial(_original_stays, out="album/a.jpg"),
        "result is a hard link to it": partial(_original_stays, out="out", make=_hard_link, more=("--overwrite",)),
        "result is a symbolic link to it": partial(_original_stays, out="out", make=_symbolic_link,
                                                   more=("--overwrite",)),
        "folder of results is a link": partial(_original_stays, out="out",
                                               make=lambda f: (f / "out").symlink_to(f / "album")),
        "a photo that is no input has the name": _stranger_stays,
    }),
    *_cases("two photos, one name", "nothing of the folder is done", {
        "img.heic and img.jpg": partial(_both_are_done, names=("img.heic", "img.jpg"),
                                        results=("img.heic.jpg", "img.jpg")),
        "IMG.JPG and IMG.jpg": partial(_both_are_done, names=("IMG.JPG", "IMG.jpg"),
                                       results=("IMG.JPG", "IMG.jpg.jpg")),
        "three of a kind": partial(_both_are_done, names=("a.heic", "a.webp", "a.jpg"),
                                   results=("a.jpg", "a.heic.jpg", "a.webp.jpg")),
        "the longer name exists": partial(_both_are_done, names=("a.heic", "a.jpg", "a.heic.jpg"),
                                          results=("a.jpg", "a.heic.jpg", "a.heic.2.jpg")),
    }),
    *_cases("own results enhanced again", "enhanced/enhanced/a.jpg", {
        "twice into the default folder": partial(_second_run, first=(), second=(), sentence="2 were done already"),
        "into two folders": partial(_second_run, first=("--out", "x"), second=("--out", "y"),
                                    sentence="2 results of an earlier run"),
        "again with --overwrite": partial(_second_run, first=(), second=("--overwrite",), sentence="2 photos enhanced"),
    }),
    *_cases("a file stops the batch", "the photos after it are not done", {
        "empty": partial(_others_are_done, broken=b"", suffix=".jpg"),
        "text": partial(_others_are_done, broken=b"no photo at all", suffix=".png"),
        "cut off": lambda folder: _others_are_done(folder, broken=_jpeg_cut(folder), suffix=".jpg"),
        "BigTIFF of nothing": partial(_others_are_done, broken=b"II+\0\x08\0\0\0" + b"\x10" + bytes(40), suffix=".tif"),
    }),
    *_cases("long names", "valid names are refused", {
        "255 bytes": partial(_long_name, stem="x" * 251),
        "241 bytes": partial(_long_name, stem="y" * 237),
        "255 bytes, 4 a letter": partial(_long_name, stem="\N{CAT FACE}" * 62 + "abc"),
        "a long extension within": partial(_long_name, stem="a." + "b" * 249),
    }),
    *_cases("permissions of results", "readable by all", {
        "umask 077": partial(_permissions, umask=0o077),
        "umask 027": partial(_permissions, umask=0o027),
        "umask 022": partial(_permissions, umask=0o022),
        "a private result made again": partial(_permissions, umask=0o022, replaced=0o600),
    }),
    *_cases("closed streams", "dies, nothing is made", {
        "stderr closed": partial(_stream_closed, redirection="2>&-"),
        "stdout and stderr closed": partial(_stream_closed, redirection=">&- 2>&-"),
        "reader goes away": partial(_stream_closed, redirection="2>&1 | true"),
        "stdout is full": partial(_stream_closed, redirection=">/dev/full"),
    }),
    *_cases("arrays that are no photo", "white picture, NaN picture, AttributeError", {
        kind: partial(_array, kind=kind)
        for kind in ("float from 0 to 255", "NaN", "torch tensor", "PIL image", "uint16", "PIL image of 16 bits")
    }),
]  # fmt: skip
