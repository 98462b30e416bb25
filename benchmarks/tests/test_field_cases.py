"""Kinds of fault that users of other software reported: every input of every kind ends as it should."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from benchmarks.robustness import field_cases
from benchmarks.robustness.fields import FieldCase

CASES = field_cases.all_cases()
SLOW = {"closed streams"}  # each in a process of its own


def parameter(case: FieldCase) -> ParameterSet:
    return pytest.param(case, id=f"{case.kind}: {case.name}", marks=[pytest.mark.slow] if case.kind in SLOW else [])


@pytest.mark.parametrize("case", [parameter(case) for case in CASES])
def test_field_case(case: FieldCase, tmp_path: Path) -> None:
    assert case.check(tmp_path) is None


def test_every_kind_has_three_relatives() -> None:
    assert min(Counter(case.kind for case in CASES).values()) >= 3
    assert len({(case.kind, case.name) for case in CASES}) == len(CASES)
