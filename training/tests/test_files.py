"""Files that are whole or absent, folders that one process works in, and what killed processes leave behind."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training import align, train
from training.commandline import run as run_script
from training.data.packed import Writer
from training.data.shards import write_shards
from training.files import LockedError, locked, replacing, workspace, write_text

# A process that does something with a folder, says so, and then waits to be killed.
HOLD = """
import sys, time
from pathlib import Path
from training.files import locked, replacing, workspace
with {block} as made:
    print(made, flush=True)
    time.sleep(60)
"""


def holding(block: str, repository: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD.format(block=block)], stdout=subprocess.PIPE, text=True,
                               cwd=repository)  # fmt: skip
    assert process.stdout
    return process, process.stdout.readline().strip()


def killed(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_locked_folder_is_refused_until_its_process_is_gone(tmp_path: Path, repository: Path) -> None:
    folder = tmp_path / "run"
    process, _ = holding(f"locked(Path({str(folder)!r}))", repository)
    with pytest.raises(LockedError, match=r"run: another run is at work there; .*--out"), locked(folder):
        pass
    with locked(tmp_path / "other"):
        pass
    killed(process)
    with locked(folder):
        assert list(folder.iterdir()) == [], "a lock leaves no file"


def test_a_wait_ends_with_the_other_process(tmp_path: Path, repository: Path) -> None:
    process, _ = holding(f"locked(Path({str(tmp_path)!r}))", repository)
    process.terminate()
    with locked(tmp_path, wait=True):
        assert process.wait(timeout=10) == -signal.SIGTERM


def test_a_folder_that_is_taken_away_is_made_anew(tmp_path: Path) -> None:
    with locked(tmp_path / "a"):
        (tmp_path / "a").rmdir()
        with locked(tmp_path / "a"):
            assert (tmp_path / "a").is_dir()


def test_a_disk_without_locks_is_worked_on_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path), workspace(tmp_path) as folder:
        assert folder.is_dir() and "no locks" in caplog.text
        write_text(tmp_path / "a.txt", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("block", ["replacing(Path({0!r}) / 'a [1].txt')", "workspace(Path({0!r}))"])
def test_what_a_killed_process_leaves_is_removed_and_what_a_live_one_uses_is_not(
    block: str, tmp_path: Path, repository: Path
) -> None:
    dead, left = holding(block.format(str(tmp_path)), repository)
    killed(dead)
    alive, used = holding(block.format(str(tmp_path)), repository)
    assert not Path(left).exists() and Path(used).exists()
    with replacing(tmp_path / "a [1].txt") as temporary, workspace(tmp_path):
        assert Path(used).exists()
        temporary.write_text("whole")
    killed(alive)
    write_text(tmp_path / "a [1].txt", "again")
    with workspace(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["a [1].txt"]
    assert (tmp_path / "a [1].txt").read_text() == "again"


def test_links_are_never_followed_when_leftovers_are_removed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "photo").write_text("mine")
    (tmp_path / "pocket-dslr-work-evil").symlink_to(tmp_path / "precious")
    (tmp_path / ".a.evil.part.txt").symlink_to(tmp_path / "precious" / "photo")
    with workspace(tmp_path):
        write_text(tmp_path / "a.txt", "whole")
    assert (tmp_path / "precious" / "photo").read_text() == "mine"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_every_kind_of_full_disk_gets_a_sentence(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    import argparse

    def body(_: argparse.Namespace) -> Path:
        raise OSError(number, os.strerror(number), "model.bin")

    assert run_script(argparse.ArgumentParser(prog="x.py"), body, []) == 1
    assert capsys.readouterr().err == "x.py: model.bin: no space left; free some or choose another --out\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux' /dev/full, which is always full")
def test_numpy_s_way_to_say_it_gets_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    import argparse

    def body(_: argparse.Namespace) -> Path:
        np.zeros(1 << 20).tofile("/dev/full")
        raise AssertionError("it has been written")

    assert run_script(argparse.ArgumentParser(prog="x.py"), body, []) == 1
    assert capsys.readouterr().err == "x.py: the disk: no space left; free some or choose another --out\n"


def test_scripts_refuse_a_folder_in_which_another_run_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    phones, dslrs = tmp_path / "phones", tmp_path / "dslrs"
    for folder in (phones, dslrs):
        folder.mkdir()
        (folder / "1.jpg").write_bytes(b"")
    out = tmp_path / "out"
    with locked(out), locked(out / "phone"):
        assert train.main(["--steps", "1", "--out", str(out)]) == 1
        assert f"{out}: another run is at work there" in capsys.readouterr().err
        assert align.main(["--phone", str(phones), "--dslr", str(dslrs), "--out", str(out)]) == 1
        assert f"{out / 'phone'}: another run is at work there" in capsys.readouterr().err
        with pytest.raises(LockedError):
            Writer(1, 8, 4, out)
        with pytest.raises(LockedError):
            write_shards([], out, 1000, {})
        assert [path.name for path in out.iterdir()] == ["phone"]


def test_workspaces_that_begin_at_once_do_not_take_each_other_for_leftovers(tmp_path: Path) -> None:
    def work(_: int) -> bool:
        with workspace(tmp_path) as folder:
            (folder / "a").touch()
            return folder.is_dir()

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(1500)))
    assert not list(tmp_path.iterdir())
