"""How a run goes: which validation was best, whether anything is still gained, when the rate falls, when to stop.

Plain numbers without torch. The learning rate stays where it is until nothing is gained for `patience` validations or
the last quarter of the steps is reached, then falls to zero (warm-up, stable, decay: Hu et al., "MiniCPM", 2024): a
schedule that needs not know the end beforehand, and loses nothing when it comes early.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

WARM_UP_STEPS = 100
DECAY_SHARE = 0.25  # of all steps, the falling ones among them
EARLY_VALIDATIONS = (25, 50, 100)  # steps: a network that gets worse at once is seen at once
OVERFITTING_DB = 0.5  # below the best validation


@dataclass
class Progress:
    """The state of a run that decides how it goes on; `rows` are those of log.jsonl."""

    steps: int
    validate_every: int
    patience: int
    score: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    before: float | None = None  # the score of the weights that the run started from
    decay_from: int | None = None  # step at which a stall was seen

    @property
    def scores(self) -> list[float]:
        return ([] if self.before is None else [self.before]) + [row[self.score] for row in self.rows]

    @property
    def best(self) -> dict[str, Any] | None:
        """The row of the best validation, the first of equals."""
        return max(self.rows, key=lambda row: row[self.score], default=None)

    @property
    def decay(self) -> tuple[int, int]:
        """(first step, number of steps) of the falling rate."""
        if self.decay_from is None:
            length = max(1, round(self.steps * DECAY_SHARE))
            return self.steps - length, length
        length = max(1, round(self.decay_from * DECAY_SHARE / (1 - DECAY_SHARE)))
        return self.decay_from, min(length, max(1, self.steps - self.decay_from))

    @property
    def last_step(self) -> int:
        return sum(self.decay)

    def rate(self, index: int) -> float:
        """Of step `index`, counted from 0, relative to the full learning rate: in [0, 1]."""
        start, length = self.decay
        remaining = 1.0 if index < start else max(0.0, 1 - (index - start) / length)
        return min(1.0, (index + 1) / WARM_UP_STEPS) * remaining

    def validates(self, step: int) -> bool:
        """Whether to look after `step` steps: often at first, then every so many, and at the end."""
        early = step in EARLY_VALIDATIONS and step < self.validate_every
        return early or step % self.validate_every == 0 or step >= self.last_step

    def add(self, row: dict[str, Any]) -> bool:
        """A validation. Returns whether it is the best so far; begins the decay where nothing was gained for long."""
        self.rows.append(row)
        stalled = self.patience > 0 and stalled_for(self.scores) >= self.patience
        if self.decay_from is None and stalled and row["step"] < self.decay[0]:
            self.decay_from = row["step"]
        return row[self.score] > max([float("-inf"), *self.scores[:-1]])

    def verdict(self, kept: str) -> str:
        """What was kept, and whether the network went on past its best."""
        best, last = self.best, self.rows[-1] if self.rows else None
        if best is None or last is None:
            return "kept the last weights: there is nothing to validate on"
        if self.before is not None and self.before >= best[self.score] and kept == "best":
            since = f"{best[self.score]:.2f}"
            return f"kept the weights that it started from: {self.before:.2f} dB; the best since was {since}"
        chosen = best if kept == "best" else last
        said = f"kept step {chosen['step']}: {chosen[self.score]:.2f} dB"
        if best is last:
            return f"{said}, the best and the last"
        other = f"the last was {last[self.score]:.2f}" if kept == "best" else f"the best was {best[self.score]:.2f}"
        overfitted = best[self.score] - last[self.score] > OVERFITTING_DB
        return f"{said}; {other}" + (" (the network learned its pairs by heart: more pairs help)" if overfitted else "")


def stalled_for(scores: Sequence[float]) -> int:
    """How many validations ago the best of all scores was, 0 for the last one."""
    return len(scores) - 1 - max(range(len(scores)), key=lambda index: (scores[index], -index)) if scores else 0
