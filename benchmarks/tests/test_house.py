"""Sizes that keep the code readable: of files, of functions, of rooms."""

from __future__ import annotations

import ast
import subprocess
from collections import Counter
from pathlib import Path

import pytest

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60
MAX_ROOM_FILES = 12
MAX_LOOSE_FILES = {"training": 12, "conversion": 17, "benchmarks": 12}  # scripts and what all rooms share


@pytest.fixture(scope="module")
def production(repository: Path) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=repository, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("needs a checkout of git: its list of files is what is counted")
    files = [Path(line) for line in listed.stdout.splitlines()]
    return [path for path in files if "tests" not in path.parts and (repository / path).is_file()]


def test_no_file_is_long(repository: Path, production: list[Path]) -> None:
    lines = {path: (repository / path).read_text(encoding="utf-8").count("\n") for path in production}
    assert {path: count for path, count in lines.items() if count > MAX_FILE_LINES} == {}


def test_no_function_is_long(repository: Path, production: list[Path]) -> None:
    lengths = {
        f"{path}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in production
        for node in ast.walk(ast.parse((repository / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: count for name, count in lengths.items() if count > MAX_FUNCTION_LINES} == {}


def test_no_room_is_full(production: list[Path]) -> None:
    rooms = Counter(str(path.parent) for path in production if path.name != "__init__.py")
    full = {room: count for room, count in rooms.items() if count > MAX_LOOSE_FILES.get(room, MAX_ROOM_FILES)}
    assert full == {}
