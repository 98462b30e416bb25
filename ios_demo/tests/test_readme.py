"""The Swift of README.md parses, and where there is Swift it is checked against PocketCore."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_swift


@pytest.fixture
def code(repository: Path) -> str:
    page = (repository / "README.md").read_text()
    (found,) = re.findall(r"^```swift\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    return found


def test_it_parses(code: str) -> None:
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_swift.language()))
    assert not parser.parse(code.encode()).root_node.has_error


@pytest.mark.slow
def test_it_is_typed_against_the_package(code: str, swift: Callable, built: Path, tmp_path: Path) -> None:
    (tmp_path / "Snippet.swift").write_text(code)
    modules = next(built.rglob("PocketCore.swiftmodule")).parent
    checked = swift("swiftc", "-typecheck", "-I", str(modules), str(tmp_path / "Snippet.swift"))
    assert checked.returncode == 0, checked.stderr[-4000:]
