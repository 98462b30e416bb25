"""The Kotlin of README.md, as an app developer would paste it, is compiled against core and engine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from android_demo.packing import kotlin


@pytest.mark.slow
def test_it_compiles(tools: None, repository: Path, tmp_path: Path) -> None:
    page = (repository / "README.md").read_text()
    (code,) = re.findall(r"^```kotlin\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "Snippet.kt").write_text(code)
    kotlin.compile_to(tmp_path / "snippet.jar", [tmp_path / "Snippet.kt"], kotlin.engine())
