"""The Kotlin tests, golden vectors among them, and what must make them fail."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from android_demo.packing import jvm_tests, kotlin, run_tests
from android_demo.packing.fetch import fetched
from android_demo.packing.mutations import MUTATIONS, caught

pytestmark = pytest.mark.slow


def test_the_kotlin_tests_pass_with_all_golden_vectors(tools: None, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_tests.main([]) == 0
    said = capfd.readouterr().err
    cases = sum(len(json.loads(file.read_text())["cases"]) for file in jvm_tests.VECTORS.glob("*.json"))
    core, engine = (int(line.split()[1]) for line in said.splitlines() if line.startswith(("core:", "engine:")))
    assert core + engine > cases  # each case is a test, and there are others


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("rounding.json", '"uint8": 1}', '"uint8": 2}'), ("orientation.json", '"orientation": 6', '"orientation": 8')],
)
def test_a_changed_vector_fails(
    tools: None, tmp_path: Path, capfd: pytest.CaptureFixture[str], file: str, old: str, new: str
) -> None:
    vectors = tmp_path / "vectors"
    shutil.copytree(jvm_tests.VECTORS, vectors)
    text = (vectors / file).read_text()
    assert old in text
    (vectors / file).write_text(text.replace(old, new))
    assert run_tests.main(["--module", "core", "--vectors", str(vectors)]) == 1
    assert file.removesuffix(".json") in capfd.readouterr().err


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_broken_core_is_caught(tools: None, tmp_path: Path, name: str) -> None:
    assert caught(name, tmp_path)


def test_the_unbroken_core_is_not_caught(tools: None) -> None:
    """So that a mutation is not caught for another reason, such as a wrong classpath."""
    junit = fetched("test")
    tests = kotlin.compiled("core", [*kotlin.core(), *junit], tests=True)
    assert jvm_tests.passes([tests, *kotlin.core(), *junit], tests)
