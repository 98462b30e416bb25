"""An artifact's folder is the old one or the new one, whenever its converter is killed."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conversion.artifact import MANIFEST, ArtifactError
from conversion.convert import replacing_folder
from training.files import LockedError


def make(path: Path, text: str) -> None:
    with replacing_folder(path) as new:
        (new / MANIFEST).write_text(text)


def killed(work: Callable[[], None]) -> None:
    """Do it in a process that is killed when it asks for it."""
    if (child := os.fork()) == 0:
        try:
            work()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("before", ["its first renaming", "its second renaming", "its end"])
def test_killed_anywhere_the_next_run_makes_it_whole_and_nothing_stays(before: str, tmp_path: Path) -> None:
    path = tmp_path / "artifact"
    make(path, "old")
    rename, remove = Path.rename, shutil.rmtree

    def until(self: Path, target: Path) -> Path:
        if (before, self.name) in (("its first renaming", "artifact"), ("its second renaming", "new")):
            die()
        return rename(self, target)

    def until_removed(folder: Path, **options: Any) -> None:
        if (before, folder.name) == ("its end", ".artifact.part"):
            die()
        remove(folder, **options)

    def work() -> None:
        Path.rename, shutil.rmtree = until, until_removed  # type: ignore[method-assign, assignment]
        make(path, "new")

    killed(work)
    assert list(tmp_path.glob(".*")), "something is left"
    if before != "its second renaming":
        assert (path / MANIFEST).read_text() in ("old", "new")
    with pytest.raises(ZeroDivisionError), replacing_folder(path):
        raise ZeroDivisionError
    assert (path / MANIFEST).read_text() == ("new" if before == "its end" else "old"), "nothing is lost"
    assert [entry.name for entry in tmp_path.iterdir()] == ["artifact"]


def test_two_converters_of_one_artifact(tmp_path: Path) -> None:
    with replacing_folder(tmp_path / "a") as new:
        (new / MANIFEST).write_text("first")
        with pytest.raises(LockedError, match="another run is at work"), replacing_folder(tmp_path / "a"):
            pass
        make(tmp_path / "b", "beside it")
    assert {entry.name: (entry / MANIFEST).read_text() for entry in tmp_path.iterdir()} == {
        "a": "first", "b": "beside it",
    }  # fmt: skip


def test_what_is_no_artifact_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.txt").write_text("mine")
    with pytest.raises(ArtifactError, match="is not an artifact"):
        make(tmp_path / "a", "new")
    assert (tmp_path / "a" / "thesis.txt").read_text() == "mine"
