"""Reports of a device as drawings: every timed run, sustained runs, the stages of whole photos."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.page.plots import LEFT, WIDTH, Axis
from benchmarks.page.tables import Device, Filters, form_of, format_label
from benchmarks.report.latency import percentile

ROW_HEIGHT, LABEL_WIDTH, STRIPS_WIDTH, FIGURES_WIDTH = 22.0, 178.0, 920.0, 120.0
RUNS_DRAWN = 200


@dataclass(frozen=True)
class Strip:
    """The runs of one artifact on the shared axis of its device: a tick each, median and p90."""

    label: str
    of: str
    y: float
    samples: tuple[float, ...]
    p50: float
    p90: float
    text: str


@dataclass(frozen=True)
class Strips:
    ticks: tuple[tuple[float, str], ...]
    rows: tuple[Strip, ...]
    width: float
    height: float
    left: float = LABEL_WIDTH


def latency_strips(device: Device, filters: Filters) -> Strips | None:
    """Every timed run of every artifact of a device; None where nothing was timed."""
    timed = [(report, report.timing) for report in device.reports if report.timing]
    if not timed:
        return None
    timed.sort(key=lambda item: item[1].enhance_ms_per_megapixel)
    per_ms = [timing.enhance_ms_per_megapixel / timing.enhance_tile.p50_ms for _, timing in timed]
    everything = [f * s for f, (_, timing) in zip(per_ms, timed, strict=True) for s in timing.enhance_tile.samples_ms]
    x = Axis.over(everything, LABEL_WIDTH, STRIPS_WIDTH - FIGURES_WIDTH)
    rows = [
        Strip(
            label=f"{format_label(report.artifact.format)} {report.artifact.precision}",
            of=filters.of(report),
            y=14 + at * ROW_HEIGHT,
            samples=tuple(x(factor * sample) for sample in timing.enhance_tile.samples_ms[:RUNS_DRAWN]),
            p50=x(factor * timing.enhance_tile.p50_ms),
            p90=x(factor * timing.enhance_tile.p90_ms),
            text=f"{factor * timing.enhance_tile.p50_ms:,.0f} / {factor * timing.enhance_tile.p90_ms:,.0f}",
        )
        for at, (factor, (report, timing)) in enumerate(zip(per_ms, timed, strict=True))
    ]
    return Strips(x.ticks(), tuple(rows), STRIPS_WIDTH, len(rows) * ROW_HEIGHT + 30)


@dataclass(frozen=True)
class Line:
    """How one artifact held its speed."""

    path: str
    colour: int
    of: str
    text: str


@dataclass(frozen=True)
class Sustained:
    """Time of a tile relative to the first window, over the minutes of a run without a pause."""

    y_ticks: tuple[tuple[float, str], ...]
    lines: tuple[Line, ...]
    last: str
    width: float = WIDTH
    bottom: float = 150.0
    left: float = LEFT


def sustained_lines(device: Device, filters: Filters) -> Sustained | None:
    runs = [(report, report.sustained) for report in device.reports if report.sustained]
    if not runs:
        return None
    y = Axis.over([1.0, *(ms / run.p50_ms[0] for _, run in runs for ms in run.p50_ms)], 150, 12)
    longest_s = max(run.window_s * len(run.p50_ms) for _, run in runs)
    lines = []
    for report, run in runs:
        step = (WIDTH - LEFT) * run.window_s / longest_s
        points = [f"{LEFT + (at + 0.5) * step:.1f} {y(ms / run.p50_ms[0])}" for at, ms in enumerate(run.p50_ms)]
        heat = f", thermal state {run.thermal[-1]} at the end" if run.thermal else ""
        lines.append(
            Line(
                path="M" + " L".join(points if len(points) > 1 else 2 * points),
                colour=form_of(report.artifact.format)[1],
                of=filters.of(report),
                text=f"{report.artifact.name}: {percentile(run.p50_ms, 50):.1f} ms per tile; at the end "
                f"{run.slowdown:.2f} times as long as at first{heat}",
            )
        )
    last = f"{longest_s / 60:.0f} min" if longest_s >= 60 else f"{longest_s:.0f} s"
    return Sustained(y.ticks(), tuple(lines), last)


@dataclass(frozen=True)
class Stage:
    name: str
    x: float
    width: float
    text: str


@dataclass(frozen=True)
class PhotoBar:
    """One whole photo, from file to file, as a bar cut into its stages."""

    label: str
    photo: str
    mosaic: bool
    of: str
    stages: tuple[Stage, ...]
    total: str
    memory: str
    shares: str


def photo_bars(device: Device, filters: Filters) -> list[PhotoBar]:
    bars = []
    for report in device.reports:
        for photo in report.whole_photos:
            at, stages = 0.0, []
            for name, ms in photo.stages.items():
                width = 100 * ms / photo.total_ms
                stages.append(Stage(name, round(at, 2), round(width, 2), f"{name} {width:.0f} %"))
                at += width
            bars.append(
                PhotoBar(
                    label=f"{format_label(report.artifact.format)} {report.artifact.precision}",
                    photo=f"{photo.width_px * photo.height_px / 1e6:.0f} MP",
                    mosaic=photo.mosaic,
                    of=filters.of(report),
                    stages=tuple(stages),
                    total=f"{photo.total_ms / 1e3:.2f} s",
                    memory="—" if photo.peak_memory_mb is None else f"{photo.peak_memory_mb:,.0f} MB",
                    shares=", ".join(stage.text for stage in stages),
                )
            )
    return bars


@dataclass(frozen=True)
class ClassRow:
    label: str
    of: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Classes:
    """What kinds of instructions a tile takes, as shares of all; an instruction can be of several kinds or of none."""

    names: tuple[str, ...]
    rows: tuple[ClassRow, ...]


def instruction_classes(device: Device, filters: Filters) -> Classes | None:
    """None where nothing was counted by class."""
    counted = [(report, report.instructions.enhance_tile) for report in device.reports if report.instructions]
    names = tuple(sorted({name for _, count in counted for name in count.by_class}))
    if not names:
        return None
    rows = tuple(
        ClassRow(
            label=report.artifact.name,
            of=filters.of(report),
            cells=tuple(
                f"{100 * count.by_class[name] / count.total:.1f} %" if name in count.by_class else "—" for name in names
            ),
        )
        for report, count in counted
    )
    return Classes(tuple(name.replace("_", " ") for name in names), rows)
