"""The log of train.py (`log.jsonl`) as small curves: validation PSNR and every loss against steps."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.commandline import UserError

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 400, 190, 52, 12, 24  # in the units of the drawing


class CurveError(UserError):
    """The log of a training cannot be drawn; the message names the file."""


@dataclass(frozen=True)
class Curve:
    """One line, ready to draw: a path, ticks (y, label), a dashed baseline and the best point where there are such."""

    title: str
    path: str
    ticks: tuple[tuple[float, str], ...]
    baseline: float | None
    first: str
    last: str
    best: tuple[float, float] | None = None


def load_curves(folder: Path) -> list[Curve]:
    """Curves of a folder that train.py made.

    Raises:
        CurveError: no log in it, or not one of train.py.
    """
    path = folder / "log.jsonl"
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        steps = [_number(row["step"]) for row in rows]
        spans = f"{_number(rows[-1]['minutes']):.1f} minutes"
        psnr = [_number(row["psnr_mean_of_images_db"]) for row in rows]
        before = _number(rows[-1]["identity_psnr_mean_of_images_db"])
        losses = {str(name): [_number(row["loss"][name]) for row in rows] for name in rows[-1]["loss"]}
        return [
            draw(f"Validation PSNR in dB, mean of images, over {spans}; dashed: the phone photo. {kept(steps, psnr)}",
                 steps, psnr, before, mark_best=True),
            *(draw(f"Loss: {name}", steps, values) for name, values in losses.items()),
        ]  # fmt: skip
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise CurveError(f"{path}: not the log of train.py ({error!r:.200}); give the folder that it made") from error


def kept(steps: list[float], psnr_db: list[float]) -> str:
    """Which validation was best, and whether training went on past it."""
    best = max(range(len(steps)), key=lambda index: (psnr_db[index], -index))
    said = f"Best, marked: step {steps[best]:.0f}, {psnr_db[best]:.2f} dB"
    return f"{said}; the last had {psnr_db[-1]:.2f}." if psnr_db[-1] < psnr_db[best] else f"{said}, the last."


def draw(
    title: str, steps: list[float], values: list[float], baseline: float | None = None, *, mark_best: bool = False
) -> Curve:
    """A line over its own range; equal values lie in the middle."""
    low, high = min([*values, baseline or values[0]]), max([*values, baseline or values[0]])
    if high == low:
        low, high = low - 0.5, high + 0.5

    def y(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    span = max(steps[-1] - steps[0], 1)
    places = [
        (round(LEFT + (step - steps[0]) / span * (WIDTH - LEFT), 1), y(value))
        for step, value in zip(steps, values, strict=True)
    ]
    points = [f"{x:.1f} {height}" for x, height in places]
    return Curve(
        title=title,
        path="M" + " L".join(points if len(points) > 1 else 2 * points),
        ticks=tuple((y(value), f"{value:.4g}") for value in (high, (high + low) / 2, low)),
        baseline=None if baseline is None else y(baseline),
        first=f"step {steps[0]:.0f}",
        last=f"step {steps[-1]:.0f}",
        best=places[values.index(max(values))] if mark_best else None,
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r:.50} is not a number")
    return float(value)
