"""Runs that are ended at random moments, as soak.py ends them, fewer times."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.robustness import soak as script
from benchmarks.robustness.kill_tasks import TASKS
from benchmarks.robustness.kills import Soaked, soak


def test_tasks_that_are_not_run_stay_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def harmless(task: str, kills: int, *_: object) -> Soaked:
        return Soaked(
            task, kills, 0, kills, () if task != "align" else ("a file stayed",), 1.0, 1.0, 1.0, (0.5,) * kills
        )

    def kills_by_task() -> dict[str, int]:
        return {row["task"]: row["kills"] for row in json.loads((tmp_path / "soak.json").read_text())}

    monkeypatch.setattr(script, "soak", harmless)
    assert script.main(["--kills", "2", "--tasks", "enhance", "train", "--out", str(tmp_path)]) == 0
    assert script.main(["--kills", "3", "--tasks", "align", "train", "--out", str(tmp_path)]) == 1
    assert kills_by_task() == {"train": 3, "align": 3, "enhance": 2}
    assert "1 of 6 kills did harm, the first: align, a file stayed" in capsys.readouterr().err
    (tmp_path / "soak.json").write_text("[1]")
    assert script.main(["--tasks", "train", "--out", str(tmp_path)]) == 1
    assert "soak.json: not what this command writes" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_whatever_ends_a_run_the_next_one_ends_well(task: str) -> None:
    """Two by SIGKILL, the second over an older result, and one by a full disk."""
    soaked = soak(task, kills=3, seed=1)
    assert soaked.lost == () and soaked.right == 3
    assert all(0 < moment < soaked.whole_s for moment in soaked.killed_at_s) and len(soaked.killed_at_s) == 2
