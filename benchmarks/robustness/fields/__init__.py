"""Cases of field_cases.py, a family of faults in each module as its `CASES`, and what they share."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from PIL import Image

import training.photos.decoding  # noqa: F401  (HEIC for Pillow)


@dataclass(frozen=True)
class FieldCase:
    """One input of a kind of fault.

    kind: what goes wrong elsewhere, in a few words, the same for all relatives.
    name: what tells this relative from the others.
    check: makes the input in the empty folder that it gets, runs the script, and gives what was wrong, or None.
    wrong_before: how version 0.1.0 ended for the first reported case of this kind; "" where it was right.
    """

    kind: str
    name: str
    check: Callable[[Path], str | None]
    wrong_before: str = ""


@dataclass(frozen=True)
class Ran:
    """How a script ended: its exit code, and what it wrote."""

    code: int
    out: str
    err: str

    def lacks(self, code: int, *sentences: str) -> str | None:
        """What is missing of an exit code and of sentences on stderr, or a traceback; None if all is well."""
        if self.code != code:
            return f"exit code {self.code} instead of {code}: {self.err}"
        if "Traceback" in self.err:
            return f"a traceback: {self.err}"
        missing = [sentence for sentence in sentences if sentence not in self.err]
        return f"not said: {missing[0]!r}, but: {self.err}" if missing else None


def run_script(script: str, *arguments: object, folder: Path) -> Ran:
    """`python SCRIPT.py ARGUMENTS` from a folder, such as "training.align", in this process."""
    out, err = io.StringIO(), io.StringIO()
    main: Callable[[Sequence[str]], int] = importlib.import_module(script).main
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stopped:  # argparse ends this way
            code = int(stopped.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


def enhance(folder: Path, *arguments: object) -> Ran:
    """enhance.py with a tiny generator."""
    return run_script("training.enhance", *arguments, "--checkpoint", tiny_checkpoint(), folder=folder)


@lru_cache
def tiny_checkpoint() -> Path:
    """An untrained Pocket generator, small; its folder stays until the process ends."""
    import atexit
    import shutil

    from training import generators
    from training.checkpoint import Checkpoint

    folder = Path(mkdtemp(prefix="pocket-dslr-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    small = {"channels": 8, "layers": 1, "thumbnail_px": 32, "analyser_channels": 4}
    return Checkpoint(generators.build("pocket", small), "CC0-1.0", name="tiny").save(folder / "tiny.safetensors")


def small_photo(path: Path, colour: str = "teal", **how: Any) -> Path:
    """A photo of 24x16 px in one colour, in the format of its extension; `how` goes to Pillow's save."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 16), colour).save(path, **how)
    return path


def state_of(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Name -> (bytes, time of the last change, mode) of all files in a folder, links as what they point at."""
    return {
        os.fsencode(path.relative_to(folder)).decode("latin-1"): (path.read_bytes(), status.st_mtime_ns, status.st_mode)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (status := path.stat())
    }
