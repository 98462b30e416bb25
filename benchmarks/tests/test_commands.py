"""Every script answers --help in both its forms, and set-up refuses in a sentence what it cannot work with."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
WITHOUT_OUT = ["pocket-set-up-emulator", "pocket-readme"]  # one fills the user's cache, the other pages in place


@pytest.mark.parametrize("command", SCRIPTS)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    module, _, function = SCRIPTS[command].partition(":")
    with pytest.raises(SystemExit) as stopped:
        getattr(importlib.import_module(module), function)(["--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith("usage: ") and ("--out" in said or command in WITHOUT_OUT)


@pytest.mark.slow
def test_installed_command_and_script_are_the_same(repository: Path) -> None:
    installed = Path(sys.executable).with_name("pocket-import-published")
    script = [sys.executable, str(repository / "training" / "import_published.py")]
    for command in ([str(installed)], script):
        done = subprocess.run([*command, "absent"], capture_output=True, text=True, cwd=repository, check=False)
        assert done.returncode == 1 and done.stdout == ""
        assert len(done.stderr.splitlines()) == 1 and "absent" in done.stderr


def test_every_script_is_installed(repository: Path) -> None:
    """Whatever can be run as a script has a command."""
    runnable = {
        ".".join(path.relative_to(repository).with_suffix("").parts)
        for folder in ("training", "conversion", "benchmarks")
        for path in (repository / folder).glob("**/*.py")
        if "def main(argv" in path.read_text()
    }
    assert runnable == {target.partition(":")[0] for target in SCRIPTS.values()}


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "setup", *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_set_up_says_what_it_lacks(repository: Path, tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(repository / name, tmp_path)
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.1\nexit 1\n')
    old.chmod(0o755)
    refused = make(tmp_path, f"PYTHON={old}")
    assert refused.returncode and f"Python 3.11 to 3.13 is needed, and {old} is Python 3.9.1" in refused.stderr
    refused = make(tmp_path, f"PYTHON={sys.executable}", "NEEDED_DISK_GB=100000000")
    assert refused.returncode and "100000000 GB of disk are needed" in refused.stderr
    assert not (tmp_path / ".venv").exists()
