"""The contract's golden vectors are what the code makes today, byte for byte."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.vectors import vectors
from benchmarks.vectors.artifacts import CLASSES
from training.enhancer import enhance_photo
from training.tiling import Tiling, to_uint8


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return vectors.all_vectors()


def test_committed_vectors_are_those_that_the_code_makes(made: dict[str, str]) -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in vectors.VECTORS.glob("*.json")}
    assert committed.keys() == made.keys()
    for name, text in made.items():
        assert committed[name] == text, f"{name} differs: run benchmarks/vectors/vectors.py and look at what changed"


def test_every_file_has_cases_and_every_class_of_refusal_occurs(made: dict[str, str]) -> None:
    cases = {name: json.loads(text)["cases"] for name, text in made.items()}
    assert all(cases.values())
    refused = {case.get("refused") for name in ("manifests.json", "artifacts.json") for case in cases[name]}
    assert refused == {None, *CLASSES.values()}


def test_spec_names_every_file_and_every_class() -> None:
    spec = (vectors.VECTORS.parent / "SPEC.md").read_text(encoding="utf-8")
    for name in (*(path.name for path in vectors.VECTORS.glob("*.json")), *CLASSES.values()):
        assert f"`{name}`" in spec


@pytest.mark.parametrize("size", [40, 64, 128])
def test_the_cross_engine_sees_a_wrong_halo(size: int) -> None:
    """Tiles give the whole photo's output if the halo is enough for its reach, and something else if not."""
    photo = np.random.default_rng(0).integers(0, 256, (97, 101, 3)).astype(np.float32) / np.float32(255)
    engine, condition = vectors.CrossEngine(16), (np.zeros((1, 3, 1, 1), np.float32),)
    whole = to_uint8(enhance_photo(photo, engine, Tiling(16, 4, "clamp"), 256, condition))
    enough = enhance_photo(photo, engine, Tiling(16, 4, "clamp"), size, condition)
    short = enhance_photo(photo, engine, Tiling(12, 4, "clamp"), size, condition)
    np.testing.assert_array_equal(to_uint8(enough), whole)
    assert (to_uint8(short) != whole).any()
