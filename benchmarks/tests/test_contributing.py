"""CONTRIBUTING.md is true: in a copy of the project, its files and changes are made and its commands run, in order."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from benchmarks.report import load_reports
from benchmarks.tests.pages import parts
from conversion.artifact import MANIFEST

PACKAGES = ("training", "conversion", "benchmarks")
RUN_BY_OTHERS = ("make test", "python -m pytest", "python benchmarks/page/readme.py")  # CI itself; test_readme.py


def copy_of(repository: Path, folder: Path) -> Path:
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("tests", "__pycache__", "node_modules", "results", "reports")
        shutil.copytree(repository / package, folder / package, ignore=ignored)
    shutil.copy(repository / "pyproject.toml", folder)
    return folder


def apply(diff: str, folder: Path) -> None:
    """Hunks without line numbers: what is there before must be there once."""
    for hunk in re.split(r"^--- ", diff, flags=re.MULTILINE)[1:]:
        name, *lines = hunk.splitlines()
        before, after = ("\n".join(line[1:] for line in lines if line[:1] in kept) for kept in (" -", " +"))
        text = (folder / name).read_text()
        assert text.count(before) == 1, f"{name} has no longer, or not once:\n{before}"
        (folder / name).write_text(text.replace(before, after))


@pytest.mark.slow
def test_its_examples_work(repository: Path, tmp_path: Path) -> None:
    copy = copy_of(repository, tmp_path / "copy")
    environment = {**os.environ, "PYTHONPATH": str(copy), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    new = []
    for kind, content in parts((repository / "CONTRIBUTING.md").read_text()):
        if kind == "diff":
            apply(content, copy)
        elif kind == "python":
            name, code = re.fullmatch(r"# (\S+\.py)\n(.*)", content, re.DOTALL).groups()
            (copy / name).write_text(code)
            new.append(name)
        elif kind == "command" and not content.startswith(RUN_BY_OTHERS):
            done = subprocess.run(content, shell=True, cwd=copy, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{content}\n{done.stderr[-3000:]}"

    ruff = [sys.executable, "-m", "ruff"]
    for check in (["check"], ["format", "--check"]):
        done = subprocess.run([*ruff, *check, *new], cwd=copy, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
    reports = load_reports(copy / "runs" / "reports")
    assert {(report.artifact.precision, report.verdict.fidelity) for report in reports} == {
        ("fp32", "pass"),
        ("bf16", "pass"),
    }
    assert {report.artifact.name for report in reports if report.target.name == "here"} == {
        "gain-pt2-fp32",
        "gain-pt2-bf16",
    }
    schema = json.loads((copy / "conversion" / "contract" / "manifest.schema.json").read_text())
    for manifest in (copy / "runs" / "artifacts").glob(f"*/{MANIFEST}"):
        jsonschema.validate(json.loads(manifest.read_text()), schema)
    page = (copy / "runs" / "page" / "index.html").read_text()
    assert "gain-pt2-fp32" in page and "gain-pt2-bf16" in page and "here" in page
