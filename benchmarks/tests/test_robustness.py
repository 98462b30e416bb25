"""The cases of robustness.py: odd files come out right, hostile ones are refused, within limits."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.robustness import robustness
from benchmarks.robustness.fault_process import judged
from benchmarks.robustness.faults import Case
from benchmarks.robustness.faults_models import HARMED, MODELS
from benchmarks.robustness.faults_photos import hostile_ones, photo_cases, whole_ones

CPU_S_MAX = 60.0
MODEL_CASES = 40  # of each maker, evenly drawn; robustness.py tries all


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    count = len(whole_ones()) + len(hostile_ones())
    return {case.name: case for case in itertools.islice(photo_cases(tmp_path_factory.mktemp("photos")), count)}


@pytest.mark.parametrize("name", whole_ones())
def test_odd_photos_come_out_right(name: str, photos: dict[str, Case]) -> None:
    outcome = judged(photos[name])
    assert outcome.kind == "right", outcome


@pytest.mark.parametrize("name", hostile_ones())
def test_hostile_photos_are_refused_within_limits(name: str, photos: dict[str, Case]) -> None:
    case = photos[name]
    outcome = judged(case)
    assert outcome.kind in ("refused", *(("right",) if case.right == "picture" else ())), outcome
    assert outcome.cpu_s < CPU_S_MAX and "\n" not in outcome.said


@pytest.mark.slow
@pytest.mark.parametrize("make", [make for makers in MODELS.values() for make in makers])
def test_models_are_refused_or_whole(make: Callable[[Path], Iterator[Case]], tmp_path: Path) -> None:
    HARMED.unlink(missing_ok=True)
    cases = list(make(tmp_path / "cases"))
    hostile = [case for case in cases if not case.name.startswith(("cut", "flipped"))]
    for case in [*hostile, *cases[:: max(1, len(cases) // MODEL_CASES)]]:
        outcome = judged(case)
        assert outcome.kind in ("refused", "right"), (case.name, outcome)
        assert outcome.kind == "right" or case.right != "truth" or case.name != "as it is", outcome
    assert not HARMED.exists(), "a command in a file was run"


def test_a_reader_that_dies_or_hangs_is_counted_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a program in place of the readers, that dies of one case and sleeps over the next."""
    program = tmp_path / "reader"
    program.write_text(
        "#!/bin/sh\nwhile read case; do case $case in *kaput*) kill -9 $$;; *slumber*) exec sleep 60;; esac\n"
        'echo \'{"kind": "right", "said": "", "cpu_s": 1, "peak_mb": 2}\'; done\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(robustness.sys, "executable", str(program))
    monkeypatch.setattr(robustness, "LIMIT_S", 1.0)
    cases = [Case(name, "photo", tmp_path, "truth") for name in ("a", "kaput", "b", "slumber", "c")]
    monkeypatch.setattr(robustness, "classes", lambda *_: [("odd", lambda: iter(cases))])
    assert robustness.main(["--kills", "0", "--jobs", "1", "--out", str(tmp_path / "out")]) == 1
    table = (tmp_path / "out" / "robustness.md").read_text()
    assert "| odd | 5 | 0 | 3 | 0 | 0 | 1 | 1 | 2 | 1.0 |" in table
    assert "2 cases ended as they should not, the first: odd: kaput: crashed" in capsys.readouterr().err
