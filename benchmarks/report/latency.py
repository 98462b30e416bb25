"""Samples in seconds -> the figures of a report (standard library only).

Percentiles are nearest-rank, so every percentile is a time that was really measured, and any language finds it
by integers alone: of n ascending samples the p-th percentile is number `max(1, (p * n + 99) // 100)`, counted
from 1. An even number of samples has its lower middle one as p50.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

SAMPLES_MOST = 1000


@dataclass(frozen=True)
class Latency:
    """Times of one entry point, in milliseconds.

    relative_spread: (p90 - p10) / p50; 0 says that the runs agree, above about 0.3 they tell little.
    samples_ms: every run, in the order of measuring; the other figures follow from it and must agree with it.
    """

    count: int
    min_ms: float
    p50_ms: float
    p90_ms: float
    max_ms: float
    mean_ms: float
    relative_spread: float
    samples_ms: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.samples_ms) == self.count <= SAMPLES_MOST or not min(self.samples_ms) > 0:
            raise ValueError(f"latency needs 1 to {SAMPLES_MOST} positive samples_ms, count of them")
        for name, value in _figures(self.samples_ms).items():
            tolerance = 1e-2 if name == "relative_spread" else 1e-5  # samples are stored with six decimals
            if not math.isclose(getattr(self, name), value, rel_tol=tolerance, abs_tol=tolerance):
                raise ValueError(f"{name} is not that of samples_ms ({value:.6f})")


def percentile(samples: Sequence[float], percent: int) -> float:
    """The nearest-rank percentile: the smallest sample that at least `percent` % of all do not exceed.

    Raises:
        ValueError: no samples, or percent outside 0..100.
    """
    if not samples or not 0 <= percent <= 100:
        raise ValueError(f"percentile {percent} of {len(samples)} samples is not defined")
    rank = max(1, (percent * len(samples) + 99) // 100)
    return sorted(samples)[rank - 1]


def summarize(samples_s: Sequence[float]) -> Latency:
    """Durations in seconds -> figures in milliseconds.

    Raises:
        ValueError: no samples, more than 1000, or one that is not positive and finite (a clock too coarse, or stepped
            back).
    """
    if not samples_s or not all(math.isfinite(s) and s > 0 for s in samples_s):
        raise ValueError("latency needs at least one sample, all positive and finite")
    samples_ms = tuple(1e3 * sample for sample in samples_s)
    return Latency(count=len(samples_ms), samples_ms=samples_ms, **_figures(samples_ms))


def _figures(samples_ms: Sequence[float]) -> dict[str, float]:
    p10, p50, p90 = (percentile(samples_ms, p) for p in (10, 50, 90))
    return {
        "min_ms": min(samples_ms),
        "p50_ms": p50,
        "p90_ms": p90,
        "max_ms": max(samples_ms),
        "mean_ms": math.fsum(samples_ms) / len(samples_ms),
        "relative_spread": (p90 - p10) / p50,
    }
