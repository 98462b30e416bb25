"""Fixtures for all tests: the real photos, where they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported; tests run side by side

from training.process import threads

threads.let_them_sleep()  # before a test loads torch
ROOT = Path(__file__).parent
REAL_DATA = Path(os.environ.get("POCKET_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def pocket_data() -> Path:
    """The folder of real photos, pairs and published weights, or a skip that says how to provide it."""
    if not (REAL_DATA / "dped").is_dir():
        pytest.skip(f"real data absent: no {REAL_DATA}/dped; set POCKET_DATA to a folder that has it")
    return REAL_DATA


@pytest.fixture(scope="session")
def repository() -> Path:
    return ROOT


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    absent = [r for r in terminalreporter.stats.get("skipped", []) if "real data absent" in str(r.longrepr)]
    if absent:
        terminalreporter.write_line(f"{len(absent)} tests were skipped for want of the real data (POCKET_DATA)")
