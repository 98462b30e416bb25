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
COMMANDS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
FOLDERS = ("training", "conversion", "benchmarks")
SCRIPTS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in FOLDERS
    for path in (ROOT / folder).glob("**/*.py")
    if "tests" not in path.parts and "def main(argv" in path.read_text()
)
# The user's cache, pages in place, a trained checkpoint's place among the releases: not chosen by --out.
WITHOUT_OUT = ["benchmarks.targets.emulator.set_up", "benchmarks.page.readme", "benchmarks.vectors.vectors",
               "benchmarks.robustness.fuzz", "training.release"]  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(script).main(["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: ") and ("--out" in text or script in WITHOUT_OUT)


@pytest.mark.slow
def test_installed_command_and_script_are_the_same(repository: Path) -> None:
    installed = Path(sys.executable).with_name("pocket-import-published")
    script = [sys.executable, str(repository / "training" / "import_published.py")]
    for command in ([str(installed)], script):
        done = subprocess.run([*command, "absent"], capture_output=True, text=True, cwd=repository, check=False)
        assert done.returncode == 1 and done.stdout == ""
        assert len(done.stderr.splitlines()) == 1 and "absent" in done.stderr


def test_commands_are_scripts_that_people_use() -> None:
    """Each is a script that lies loose in its folder; what makes figures and releases is run in a checkout."""
    loose = {script.split(".")[1] for script in SCRIPTS if script.count(".") == 1}
    assert {target.partition(":")[2] for target in COMMANDS.values()} <= loose
    assert all(command == f"pocket-{COMMANDS[command].partition(':')[2].replace('_', '-')}" for command in COMMANDS)
    assert 10 <= len(COMMANDS) <= 15


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
