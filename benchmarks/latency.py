"""Samples in seconds -> the figures of a report (standard library only).

Percentiles are nearest-rank, so every percentile is a time that was really measured, and any language finds it
by integers alone: of n ascending samples the p-th percentile is number `max(1, (p * n + 99) // 100)`, counted
from 1. An even number of samples has its lower middle one as p50.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """Times of one entry point, in milliseconds.

    relative_spread: (p90 - p10) / p50; 0 says that the runs agree, above about 0.3 they tell little.
    """

    count: int
    min_ms: float
    p50_ms: float
    p90_ms: float
    max_ms: float
    mean_ms: float
    relative_spread: float

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 < self.min_ms <= self.p50_ms <= self.p90_ms <= self.max_ms:
            raise ValueError("latency needs count >= 1 and 0 < min_ms <= p50_ms <= p90_ms <= max_ms")
        if self.mean_ms <= 0 or self.relative_spread < 0:
            raise ValueError("mean_ms must be positive and relative_spread not negative")


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
        ValueError: no samples, or one that is not a positive finite number (a clock too coarse, or stepped back).
    """
    if not samples_s or not all(math.isfinite(s) and s > 0 for s in samples_s):
        raise ValueError("latency needs at least one sample, all positive and finite")
    p10, p50, p90 = (percentile(samples_s, p) for p in (10, 50, 90))
    return Latency(
        count=len(samples_s),
        min_ms=1e3 * min(samples_s),
        p50_ms=1e3 * p50,
        p90_ms=1e3 * p90,
        max_ms=1e3 * max(samples_s),
        mean_ms=1e3 * math.fsum(samples_s) / len(samples_s),
        relative_spread=(p90 - p10) / p50,
    )
