"""Runs that are ended at random moments, as soak.py ends them, fewer times."""

from __future__ import annotations

import pytest

from benchmarks.kill_tasks import TASKS
from benchmarks.kills import soak


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_whatever_ends_a_run_the_next_one_ends_well(task: str) -> None:
    """Two by SIGKILL, the second over an older result, and one by a full disk."""
    soaked = soak(task, kills=3, seed=1)
    assert soaked.lost == () and soaked.right == 3
    assert all(0 < moment < soaked.whole_s for moment in soaked.killed_at_s) and len(soaked.killed_at_s) == 2
