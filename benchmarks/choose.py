"""python benchmarks/choose.py REPORT_FOLDER --target host-x86_64 --psnr-db 45 --size-kb 300 [--out runs/choice]

Names the artifact to ship within a budget, from the reports of one target, and draws why: `CHOICE.md` and `pareto.svg`.
Of those that meet the budget it takes the most faithful one; with a budget of fidelity alone, the one that costs least.
An artifact whose fidelity does not pass is never named. When nothing meets the budget, it says by how much each misses
it, nearest first, with exit code 1.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from benchmarks.page.markdown import escape_markdown, markdown_table
from benchmarks.page.plots import COSTS, trade_off
from benchmarks.page.tables import Filters, format_label
from benchmarks.report import Report, load_reports
from benchmarks.report.verdict import judge_fidelity
from training.commandline import UserError, real, run
from training.files import write_text

TEMPLATES = Path(__file__).parent / "page" / "templates"
log = logging.getLogger(__name__)


class ChoiceError(UserError):
    """No artifact can be named; the message says why, and how far the nearest ones are."""


@dataclass(frozen=True)
class Bound:
    """One part of a budget: `value` of a report must be at least or at most `limit`."""

    flag: str
    name: str
    unit: str
    at_least: bool
    limit: float
    value: Callable[[Report], float | None]

    def excess(self, report: Report) -> float | None:
        """By what share of the limit a report misses it, 0 where it is met; None where the report does not say."""
        value = self.value(report)
        if value is None:
            return None
        return max(0.0, (self.limit - value if self.at_least else value - self.limit) / self.limit)

    def miss(self, report: Report) -> str | None:
        """How a report misses the limit, in words."""
        value, excess = self.value(report), self.excess(report)
        if value is None:
            return f"no valid {self.name} in its report"
        if not excess:
            return None
        by = abs(value - self.limit)
        return f"{self.name} {value:,.1f} {self.unit}, {by:,.1f} {'below' if self.at_least else 'above'} the budget"


def latency(report: Report) -> float | None:
    """ms/MP, unless the verdict says that the measurement is worth nothing."""
    return report.timing.enhance_ms_per_megapixel if report.timing and report.verdict.latency != "invalid" else None


BUDGETS = (  # flag, name, unit, at least, value
    ("--psnr-db", "PSNR of the worst photo", "dB", True, lambda r: r.fidelity.psnr_db_worst),
    ("--size-kb", "size", "KB", False, lambda r: r.artifact.bytes / 1e3),
    ("--ms-per-mp", "latency", "ms/MP", False, latency),
    ("--instructions-per-px", "instructions", "per px", False,
     lambda r: r.instructions.instructions_per_px if r.instructions else None),
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="choose.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reports", type=Path, metavar="REPORT_FOLDER", help="folder of reports")
    parser.add_argument("--target", help="name of the target (default: the only one)")
    parser.add_argument("--format", help="only artifacts of this format: executorch, tflite or coreml")
    for flag, name, unit, at_least, _ in BUDGETS:
        parser.add_argument(
            flag,
            type=real(0, 1e12, above=True),
            metavar="X",
            help=f"{name}, {unit}, at {'least' if at_least else 'most'}",
        )
    parser.add_argument("--out", type=Path, default=Path("runs/choice"), metavar="FOLDER",
                        help="where CHOICE.md and pareto.svg go (default: %(default)s)")  # fmt: skip
    return run(parser, body, argv)


def body(args: argparse.Namespace) -> Path:
    bounds = [
        Bound(flag, name, unit, at_least, limit, value)
        for flag, name, unit, at_least, value in BUDGETS
        if (limit := getattr(args, flag[2:].replace("-", "_"))) is not None
    ]
    if not bounds:
        raise ChoiceError(f"give at least one budget: {', '.join(flag for flag, *_ in BUDGETS)}")
    reports = of_one_target(load_reports(args.reports), args.target, args.format)
    chosen, others = choose(reports, bounds)
    write_text(args.out / "pareto.svg", drawing(reports, bounds, chosen))
    made = write_text(args.out / "CHOICE.md", explanation(chosen, others, reports[0], bounds))
    if not chosen:
        nearest = "; ".join(f"{report.artifact.name}: {why}" for report, why in others[:3])
        raise ChoiceError(f"{args.reports}: nothing on {reports[0].target.name} meets the budget; nearest: {nearest}")
    log.info("ship %s: %s", chosen.artifact.name, summary(chosen))
    if chosen.target.kind != "physical" and any(bound.flag == "--ms-per-mp" for bound in bounds):
        log.info("latency of a %s target compares artifacts with each other and is not a phone's", chosen.target.kind)
    return made


def of_one_target(reports: Sequence[Report], target: str | None, format_: str | None) -> list[Report]:
    """Targets are never mixed: figures of two say nothing about each other."""
    names = sorted({report.target.name for report in reports})
    if target is None and len(names) > 1:
        raise ChoiceError(f"the reports are of several targets; name one with --target: {', '.join(names)}")
    wanted = target or names[0]
    found = [r for r in reports if r.target.name == wanted and format_ in (None, r.artifact.format)]
    if not found:
        formats = sorted({report.artifact.format for report in reports if report.target.name == wanted})
        known = f"formats of it: {', '.join(formats)}" if formats else f"targets: {', '.join(names)}"
        raise ChoiceError(f"no report of --target {wanted}{f' --format {format_}' if format_ else ''}; {known}")
    return found


def choose(reports: Sequence[Report], bounds: Sequence[Bound]) -> tuple[Report | None, list[tuple[Report, str]]]:
    """The report of the artifact to ship, or None, and the others with the reason, nearest to the budget first."""
    meets, misses = [], []
    for report in reports:
        reasons = [miss for bound in bounds if (miss := bound.miss(report))]
        if report.verdict.fidelity != "pass":
            why = judge_fidelity(report.artifact, report.fidelity)[1]
            reasons.insert(0, f"fidelity: {', '.join([report.verdict.fidelity, *why])}")
        if reasons:
            misses.append((report, "; ".join(reasons)))
        else:
            meets.append(report)
    misses.sort(key=lambda item: (item[0].verdict.fidelity != "pass", distance(item[0], bounds)))
    cheapest = all(bound.at_least for bound in bounds)
    meets.sort(key=lambda report: ranking(report, cheapest))
    beaten = "costs more" if cheapest else "meets the budget, less faithful or dearer"
    return (meets[0] if meets else None), [*((report, beaten) for report in meets[1:]), *misses]


def distance(report: Report, bounds: Sequence[Bound]) -> float:
    """The largest share by which a budget is missed; what is not known counts as far."""
    return max(1e9 if (excess := bound.excess(report)) is None else excess for bound in bounds)


def ranking(report: Report, cheapest: bool) -> tuple[float, ...]:
    """Smaller is better: by cost (instructions or latency before size), or by fidelity and then by cost."""
    instructions = report.instructions.instructions_per_px if report.instructions else float("inf")
    cost = (instructions, latency(report) or float("inf"), report.artifact.bytes)
    return cost if cheapest else (-round(report.fidelity.psnr_db_worst, 1), *cost)


def summary(report: Report) -> str:
    parts = [f"{report.fidelity.psnr_db_worst:.1f} dB on the worst photo", f"{report.artifact.bytes / 1e3:.0f} KB"]
    ms = latency(report)
    parts += [] if ms is None else [f"{ms:.0f} ms/MP (latency {report.verdict.latency})"]
    counted = report.instructions
    parts += [] if counted is None else [f"{counted.instructions_per_px:,.0f} instructions per px"]
    return ", ".join(parts)


def explanation(
    chosen: Report | None, others: Sequence[tuple[Report, str]], example: Report, bounds: Sequence[Bound]
) -> str:
    budget = ", ".join(f"{b.name} at {'least' if b.at_least else 'most'} {b.limit:g} {b.unit}" for b in bounds)
    rows = [(chosen, "ship this")] if chosen else []
    table = markdown_table(
        [("Artifact", True), ("Format", True), ("Figures", True), ("Why", True)],
        [(r.artifact.name, format_label(r.artifact.format), summary(r), why) for r, why in [*rows, *others]],
    )
    said = f"Ship **{escape_markdown(chosen.artifact.name)}**." if chosen else "**Nothing meets the budget.**"
    target = escape_markdown(f"{example.target.name} ({example.target.kind})")
    return (
        f"# The artifact to ship\n\n{said} Target: {target}. Budget: {budget}.\n\n{table}\n\n![trade-off](pareto.svg)\n"
    )


def drawing(reports: Sequence[Report], bounds: Sequence[Bound], chosen: Report | None) -> str:
    """Fidelity against the dearest cost that the budget speaks of, or against size."""
    asked = {bound.flag[2:].replace("-", "_") for bound in bounds}
    cost = next((cost for cost in reversed(COSTS) if cost.key in asked), COSTS[0])
    filters = Filters(reports)
    plot = trade_off(f"{reports[0].target.name}: {cost.label}", cost, reports, filters, chosen)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("pareto.svg.jinja").render(plot=plot, formats=filters.choices()["formats"])


if __name__ == "__main__":
    raise SystemExit(main())
