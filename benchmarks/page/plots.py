"""Reports as trade-offs with their Pareto front: plain numbers in the units of a drawing, which the templates place."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.page.tables import Device, Filters, form_of
from benchmarks.report import Report

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 460.0, 300.0, 44.0, 16.0, 14.0, 44.0
LABEL_PX = (6.2, 12.0)  # width of a character, height of a line


@dataclass(frozen=True)
class Cost:
    """Something that an artifact costs on a target, to be had for less."""

    key: str
    label: str
    value: Callable[[Report], float | None]

    def is_sound(self, report: Report) -> bool:
        """Whether the figure was measured well enough to choose by."""
        return self.key != "ms_per_mp" or report.verdict.latency != "invalid"


COSTS = (
    Cost("size_kb", "Size, KB", lambda r: r.artifact.bytes / 1e3),
    Cost("ms_per_mp", "Latency, ms/MP", lambda r: r.timing.enhance_ms_per_megapixel if r.timing else None),
    Cost(
        "instructions_per_px",
        "Instructions per output pixel",
        lambda r: r.instructions.instructions_per_px if r.instructions else None,
    ),
)


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    mark: str
    colour: int
    passes: bool
    of: str
    tooltip: str
    label: str
    label_x: float
    label_y: float
    anchor: str


@dataclass(frozen=True)
class Plot:
    """A trade-off: cost to the right, fidelity upwards, so the best lies top left."""

    title: str
    of: str
    x_label: str
    y_label: str
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    front: str
    points: tuple[Point, ...]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    bottom: float = HEIGHT - BOTTOM


@dataclass(frozen=True)
class Axis:
    """Values to the units of a drawing, linear or, where they span more than a factor of 6, logarithmic."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> Axis:
        low, high = min(values), max(values)
        logarithmic = low > 0 and high / low > 6
        if logarithmic:
            return cls(low / 1.25, high * 1.25, start, end, True)
        margin = 0.12 * (high - low) or 0.05 * abs(high) or 1.0
        return cls(max(0.0, low - margin) if low >= 0 else low - margin, high + margin, start, end, False)

    def __call__(self, value: float) -> float:
        low, high = (math.log(self.low), math.log(self.high)) if self.logarithmic else (self.low, self.high)
        share = ((math.log(value) if self.logarithmic else value) - low) / (high - low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Three to eight round values with their places."""
        if self.logarithmic:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            few = self.high / self.low > 200
            values = [step * 10.0**decade for decade in decades for step in ((1,) if few else (1, 2, 5))]
        else:
            step = _round_step((self.high - self.low) / 5)
            values = [step * at for at in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        return tuple((self(value), f"{value:,.6g}") for value in values if self.low <= value <= self.high)


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= rough)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which (cost, worth) no other beats: none costs at most as much and is worth at least as much and differs.

    Returns:
        Indices by rising cost; of equal points the first.
    """
    front: list[int] = []
    for at in sorted(range(len(points)), key=lambda at: (points[at][0], -points[at][1], at)):
        if not front or points[at][1] > points[front[-1]][1]:
            front.append(at)
    return front


def trade_off(
    title: str, cost: Cost, reports: Sequence[Report], filters: Filters, shipped: Report | None = None
) -> Plot | None:
    """Fidelity of the worst photo against a cost, over the reports of one target that know it; None below two.

    Args:
        shipped: the report of the artifact that was chosen; its name says so.
    """
    known = [(value, report) for report in reports if (value := cost.value(report)) is not None and value > 0]
    if len(known) < 2:
        return None
    pairs = [(value, report.fidelity.psnr_db_worst) for value, report in known]
    x = Axis.over([value for value, _ in pairs], LEFT, WIDTH - RIGHT)
    y = Axis.over([worth for _, worth in pairs], HEIGHT - BOTTOM, TOP)
    sound = [report.verdict.fidelity == "pass" and cost.is_sound(report) for _, report in known]
    passing = [at for at in range(len(known)) if sound[at]]
    front = [passing[at] for at in pareto_front([pairs[at] for at in passing])]
    named = [at for at in range(len(known)) if known[at][1] is shipped]
    named += [at for at in front if at not in named]
    texts = [("ship " if r is shipped else "") + r.artifact.precision for _, r in (known[at] for at in named)]
    placed = _labels(
        [(x(pairs[at][0]), y(pairs[at][1]), text) for at, text in zip(named, texts, strict=True)],
        [(x(value), y(worth)) for value, worth in pairs],
    )
    points = []
    for at, (value, report) in enumerate(known):
        label, label_x, label_y, anchor = placed[named.index(at)] if at in named else ("", 0.0, 0.0, "start")
        mark, colour = form_of(report.artifact.format)
        points.append(
            Point(
                x=x(value),
                y=y(pairs[at][1]),
                mark=mark,
                colour=colour,
                passes=sound[at],
                of=filters.of(report),
                tooltip=f"{report.artifact.name}: {cost.label} {value:,.1f}, worst photo {pairs[at][1]:.1f} dB, "
                f"{report.verdict.fidelity}",
                label=label,
                label_x=label_x,
                label_y=label_y,
                anchor=anchor,
            )
        )
    corners = [(x(pairs[at][0]), y(pairs[at][1])) for at in front]
    path = "".join(f"M{cx} {cy}" if not n else f"H{cx}V{cy}" for n, (cx, cy) in enumerate(corners))
    return Plot(
        title=title,
        of=filters.of(*(report for _, report in known)),
        x_label=cost.label,
        y_label="PSNR of the worst photo, dB",
        x_ticks=x.ticks(),
        y_ticks=y.ticks(),
        front=f"{path}H{WIDTH - RIGHT}" if path else "",
        points=tuple(points),
    )


def _labels(
    named: Sequence[tuple[float, float, str]], marks: Sequence[tuple[float, float]]
) -> list[tuple[str, float, float, str]]:
    """Text beside points, at the first of four places where it covers no mark and no other text; else none."""
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in marks]
    placed = []
    for x, y, text in named:
        width, height = LABEL_PX[0] * len(text), LABEL_PX[1]
        for dx, dy, anchor in ((9, -6, "start"), (-9, -6, "end"), (9, 14, "start"), (-9, 14, "end")):
            left = x + dx - (width if anchor == "end" else 0)
            box = (left, y + dy - height + 2, left + width, y + dy + 2)
            outside = left < LEFT or left + width > WIDTH or box[3] > HEIGHT - BOTTOM
            if not outside and not any(
                box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken
            ):
                taken.append(box)
                placed.append((text, x + dx, y + dy, anchor))
                break
        else:
            placed.append(("", x, y, "start"))
    return placed


def trade_offs(device: Device, filters: Filters) -> list[Plot]:
    """The plots of one device: its fidelity against each cost that it knows."""
    plots = (trade_off(f"{device.name}: {cost.label}", cost, device.reports, filters) for cost in COSTS)
    return [plot for plot in plots if plot]
