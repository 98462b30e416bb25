from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.report.latency import percentile, summarize

durations = st.lists(st.floats(1e-9, 1e5), min_size=1, max_size=200)


def test_nearest_rank_by_hand() -> None:
    assert [percentile([4.0, 1.0, 3.0, 2.0], p) for p in (0, 25, 26, 50, 51, 90, 100)] == [1, 1, 2, 2, 3, 4, 4]
    assert [percentile(range(1, 11), p) for p in (10, 50, 90)] == [1, 5, 9]
    assert [percentile(range(1, 21), p) for p in (10, 50, 90)] == [2, 10, 18]


@given(durations, st.integers(0, 100))
def test_a_percentile_is_the_smallest_sample_that_enough_do_not_exceed(samples: list[float], percent: int) -> None:
    value = percentile(samples, percent)
    assert value in samples
    assert 100 * sum(s <= value for s in samples) >= percent * len(samples)
    assert all(100 * sum(s <= other for s in samples) < percent * len(samples) for other in samples if other < value)


@given(durations, st.randoms())
def test_figures_are_ordered_and_forget_the_order_of_runs(samples: list[float], random) -> None:
    figures = summarize(samples)
    assert figures.count == len(samples)
    assert figures.min_ms <= figures.p50_ms <= figures.p90_ms <= figures.max_ms
    assert figures.min_ms * (1 - 1e-12) <= figures.mean_ms <= figures.max_ms * (1 + 1e-12)
    assert figures.relative_spread >= 0
    shuffled = samples.copy()
    random.shuffle(shuffled)
    again = summarize(shuffled)
    assert sorted(again.samples_ms) == sorted(figures.samples_ms)
    assert replace(again, samples_ms=figures.samples_ms) == figures


@pytest.mark.parametrize("name", ["count", "min_ms", "p50_ms", "p90_ms", "max_ms", "mean_ms", "relative_spread"])
def test_figures_must_follow_from_the_samples(name: str) -> None:
    figures = summarize([0.001, 0.002, 0.004])
    with pytest.raises(ValueError, match="samples_ms"):
        replace(figures, **{name: getattr(figures, name) + 1})


@given(durations, st.floats(1e-3, 1e3))
def test_scaling_all_runs_scales_times_and_leaves_the_spread(samples: list[float], factor: float) -> None:
    figures, scaled = summarize(samples), summarize([factor * s for s in samples])
    assert math.isclose(scaled.p50_ms, factor * figures.p50_ms, rel_tol=1e-9)
    assert math.isclose(scaled.mean_ms, factor * figures.mean_ms, rel_tol=1e-9)
    assert math.isclose(scaled.relative_spread, figures.relative_spread, rel_tol=1e-9, abs_tol=1e-9)


def test_equal_runs_have_no_spread() -> None:
    figures = summarize([0.25] * 7)
    assert (figures.p50_ms, figures.mean_ms, figures.relative_spread) == (250, 250, 0)


@pytest.mark.parametrize("samples", [[], [0.0], [-1.0, 2.0], [math.nan], [math.inf]])
def test_impossible_samples_are_refused(samples: list[float]) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        summarize(samples)


@pytest.mark.parametrize("samples, percent", [([], 50), ([1.0], -1), ([1.0], 101)])
def test_undefined_percentiles_are_refused(samples: list[float], percent: int) -> None:
    with pytest.raises(ValueError, match="not defined"):
        percentile(samples, percent)
