"""When the rate falls and when a run ends; what is said of what was kept; settings without torch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import generators
from training.commandline import UserError
from training.loop import recipes, settings
from training.loop.progress import Progress, stalled_for
from training.loop.settings import TrainSettings

scores = st.lists(st.floats(10, 40), max_size=60)


def progress(**changes: object) -> Progress:
    return replace(Progress(steps=1000, validate_every=50, patience=3, score="db"), **changes)  # type: ignore[arg-type]


def run(history: list[float], **changes: object) -> Progress:
    """A run whose validations give these scores, until it ends."""
    state, remaining = progress(**changes), iter(history)
    for step in range(1, state.steps + 1):
        if step > state.last_step:
            break
        if state.validates(step):
            state.add({"step": step, "db": next(remaining, 0.0)})
    return state


@given(scores, st.integers(0, 6))
def test_the_rate_is_whole_until_it_falls_to_zero_once(history: list[float], patience: int) -> None:
    state = run(history, patience=patience)
    rates = [state.rate(index) for index in range(state.last_step)]
    assert all(0 < rate <= 1 for rate in rates) and state.rate(state.last_step) == 0
    start, length = state.decay
    assert all(later <= earlier for earlier, later in zip(rates[start:], rates[start + 1 :], strict=False))
    assert state.last_step <= state.steps and length >= 1
    assert state.rows[-1]["step"] == state.last_step


@given(scores)
def test_without_patience_all_steps_are_made(history: list[float]) -> None:
    assert run(history, patience=0).last_step == 1000


def test_a_stall_ends_the_run_early_and_an_improvement_does_not() -> None:
    assert run([20.0, 19, 18, 17, 16]).last_step < 400
    assert run([20.0 + k / 10 for k in range(40)]).last_step == 1000


@given(scores)
def test_the_best_is_the_first_of_the_highest(history: list[float]) -> None:
    state = run(history)
    best = state.best
    assert best is not None and best["db"] == max(row["db"] for row in state.rows)
    assert all(row["db"] < best["db"] for row in state.rows if row["step"] < best["step"])


def test_it_looks_often_at_first() -> None:
    state = progress(validate_every=200, patience=0)
    assert [step for step in range(1, 450) if state.validates(step)] == [25, 50, 100, 200, 400]


def test_what_was_kept_is_said() -> None:
    state = run([20.0, 25.9, 24.0, 21.0, 20.0])
    assert state.verdict("best").startswith("kept step 50: 25.90 dB; the last was 0.00 (the network learned its pairs")
    assert state.verdict("last").startswith(f"kept step {state.last_step}: 0.00 dB; the best was 25.90")
    assert "there is nothing to validate on" in progress().verdict("best")
    started = progress(before=30.0)
    started.add({"step": 50, "db": 29.0})
    assert started.verdict("best") == "kept the weights that it started from: 30.00 dB; the best since was 29.00"


@given(scores)
def test_stalls_are_counted_from_the_best(history: list[float]) -> None:
    if history:
        first_best = history.index(max(history))
        assert stalled_for(history) == len(history) - 1 - first_best
    else:
        assert stalled_for(history) == 0


def test_names_without_torch_are_those_with_it() -> None:
    assert set(settings.GENERATORS) == set(generators.NAMES)
    assert set(settings.PRESETS) == set(recipes.PRESETS)


def test_settings_refuse_what_contradicts_itself() -> None:
    with pytest.raises(UserError, match="needs --pairs"):
        TrainSettings(finetune="pocket-iphone")
    with pytest.raises(UserError, match="leave one of --init and --config out"):
        TrainSettings(init="a", config=(("channels", 8),))
    assert TrainSettings().folder == Path("runs/pocket") and TrainSettings(generator="dped").losses == "code"
    assert "steps" not in TrainSettings().recorded() and TrainSettings().recorded()["seed"] == "0"


def test_help_needs_no_torch(repository: Path) -> None:
    code = "import sys; from training import train; train.parse().format_help(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=repository, check=False).returncode == 0
