"""Reports as tables, one per device: a table never mixes targets, and no table mixes kinds of target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.report import Kind, Report

FORMATS = {"executorch": "ExecuTorch", "tflite": "TFLite", "coreml": "Core ML"}
FORMS = {"executorch": ("circle", 0), "tflite": ("square", 1), "coreml": ("diamond", 2)}
OTHER_FORM = ("triangle", 3)
KINDS: dict[Kind, tuple[str, str]] = {
    "physical": ("Physical devices", "Latency with the model loaded; load time apart."),
    "emulated": (
        "Emulated phones",
        "An emulator's time says nothing about a phone, so none is shown: instructions are counted instead.",
    ),
    "host": (
        "Host",
        "Host figures are not a phone's: latency is unranked and only compares artifacts on this machine.",
    ),
}


@dataclass(frozen=True)
class Row:
    """One report. `of`: which device and format a filter must ask for to see it."""

    name: str
    of: str
    cells: tuple[str, ...]
    fidelity: str
    latency: str
    invalid: bool


@dataclass(frozen=True)
class Device:
    """One target: what it is, how it was measured, its table, and what is wrong with its reports."""

    kind: Kind
    name: str
    of: str
    facts: tuple[str, ...]
    columns: tuple[tuple[str, bool], ...]
    rows: tuple[Row, ...]
    reasons: tuple[tuple[str, str], ...]  # with the tokens of their report
    provenance: tuple[tuple[str, str], ...]
    reports: tuple[Report, ...]


@dataclass(frozen=True)
class Group:
    """The devices of one kind."""

    title: str
    note: str
    of: str
    devices: tuple[Device, ...]


@dataclass(frozen=True)
class Column:
    label: str
    cell: Callable[[Report], str]
    is_text: bool = False
    kinds: tuple[Kind, ...] = ("physical", "emulated", "host")


class Filters:
    """Names of devices and formats, and the tokens "d0.f1" by which the page finds what belongs to them."""

    def __init__(self, reports: Sequence[Report]):
        self.devices = list(dict.fromkeys((r.target.kind, r.target.name) for r in reports))
        self.formats = list(dict.fromkeys(r.artifact.format for r in reports))

    def of(self, *reports: Report) -> str:
        """The tokens of all `reports`, each once."""
        tokens = (
            f"d{self.devices.index((r.target.kind, r.target.name))}.f{self.formats.index(r.artifact.format)}"
            for r in reports
        )
        return " ".join(dict.fromkeys(tokens))

    def choices(self) -> dict[str, list[tuple[Any, ...]]]:
        """For the two menus: (token, label), of formats with their mark and colour."""
        return {
            "devices": [(f"d{at}", name) for at, (_, name) in enumerate(self.devices)],
            "formats": [(f"f{at}", format_label(name), *form_of(name)) for at, name in enumerate(self.formats)],
        }


def format_label(name: str) -> str:
    return FORMATS.get(name, name)


def form_of(format_: str) -> tuple[str, int]:
    """The mark and the number of the colour of a format, in every drawing."""
    return FORMS.get(format_, OTHER_FORM)


def group_by_kind(reports: Sequence[Report], filters: Filters) -> list[Group]:
    """Kinds in the order of KINDS, devices by name, reports of a device as they come."""
    groups = []
    for kind, (title, note) in KINDS.items():
        of_kind = [report for report in reports if report.target.kind == kind]
        names = sorted({report.target.name for report in of_kind})
        devices = tuple(describe(name, [r for r in of_kind if r.target.name == name], filters) for name in names)
        if devices:
            groups.append(Group(title, note, filters.of(*of_kind), devices))
    return groups


def describe(name: str, reports: Sequence[Report], filters: Filters) -> Device:
    kind = reports[0].target.kind
    columns = [column for column in COLUMNS if kind in column.kinds]
    return Device(
        kind=kind,
        name=name,
        of=filters.of(*reports),
        facts=tuple(dict.fromkeys(line for report in reports for line in conditions(report))),
        columns=tuple((column.label, column.is_text) for column in columns),
        rows=tuple(
            Row(
                name=report.artifact.name,
                of=filters.of(report),
                cells=tuple(column.cell(report) for column in columns),
                fidelity=report.verdict.fidelity,
                latency=latency_verdict(report),
                invalid=report.verdict.latency == "invalid",
            )
            for report in reports
        ),
        reasons=tuple(
            (filters.of(r), f"{r.artifact.name}: {'; '.join(r.verdict.reasons)}") for r in reports if r.verdict.reasons
        ),
        provenance=tuple((report.artifact.name, provenance(report)) for report in reports),
        reports=tuple(reports),
    )


def conditions(report: Report) -> list[str]:
    """Under what the figures of a report hold: the device, and how it was measured."""
    target, protocol = report.target, report.protocol
    facts = "".join(f"; {name} {value}" for name, value in target.facts.items())
    threads = f"{protocol.threads} thread{'s' * (protocol.threads > 1)}"
    if protocol.runs:
        runs = f"{protocol.warm_up_runs} + {protocol.runs} runs, {threads}"
    elif report.instructions:
        runs = f"instructions of {report.instructions.repetitions} runs, {threads}"
    else:
        runs = "not timed"
    if report.fidelity.scope == "golden tile":
        runs += "; fidelity of the golden tile alone, not of whole photos"
    return [f"{target.cpu}; {target.os}{facts}", f"{runs}; {report.date[:10]}"]


def latency_verdict(report: Report) -> str:
    """The verdict on latency, and nothing where an emulator rightly has none."""
    verdict = report.verdict.latency
    if report.target.kind == "emulated" and report.timing is None:
        return "counted" if report.instructions else "fidelity only"
    return verdict if ":" in verdict else f"latency {verdict}"


def provenance(report: Report) -> str:
    """What made a report, for those who want to make it again."""
    state, parts = report.conditions, []
    if state:
        heat = [t for t in (state.thermal_before, state.thermal_after) if t]
        parts += [f"thermal state {' to '.join(dict.fromkeys(heat))}"] if heat else []
        if state.temperature_before_c is not None and state.temperature_after_c is not None:
            parts.append(f"battery at {state.temperature_before_c:.1f} to {state.temperature_after_c:.1f} °C")
        if state.battery_after_percent is not None:
            parts.append(f"{state.battery_after_percent:.0f} % charge")
        parts += ["charging"] if state.charging else []
    tools = ", ".join(f"{name} {version}" for name, version in report.tool_versions.items())
    compared = "" if not report.fidelity.photos else f"{len(report.fidelity.photos)} photos"
    return "; ".join(
        [
            f"checkpoint {report.artifact.source_checkpoint_sha256[:12]}",
            f"tile {report.artifact.tile_px} px, halo {report.artifact.halo_px} px",
            f"compute unit asked {report.target.compute_unit_asked}, actual {report.target.compute_unit_actual}",
            compared,
            *parts,
            tools,
            report.date,
        ]
    )


def _with_floor(value: float, floor: float) -> str:
    return f"{value:.1f} (≥ {floor:g})" if floor else f"{value:.1f}"


def _latency(report: Report) -> str:
    if report.timing is None:
        return "—"
    return f"{report.timing.enhance_ms_per_megapixel:.0f} ± {100 * report.timing.enhance_tile.relative_spread:.0f} %"


def _memory(report: Report) -> str:
    peak = "—" if report.peak_memory_mb is None else f"{report.peak_memory_mb:.0f}"
    return peak if report.baseline_memory_mb is None else f"{peak} ({report.baseline_memory_mb:.0f})"


def _unit(report: Report) -> str:
    asked, actual = report.target.compute_unit_asked, report.target.compute_unit_actual
    return actual if asked == actual else f"{actual} (asked: {asked})"


TIMED: tuple[Kind, ...] = ("physical", "host")
COLUMNS = (
    Column("Format", lambda r: format_label(r.artifact.format), True),
    Column("Precision", lambda r: r.artifact.precision, True),
    Column("Size, KB", lambda r: f"{r.artifact.bytes / 1e3:.0f}"),
    Column("PSNR mean, dB (floor)", lambda r: _with_floor(r.fidelity.psnr_db_mean, r.fidelity.psnr_db_mean_floor)),
    Column("PSNR worst, dB (floor)", lambda r: _with_floor(r.fidelity.psnr_db_worst, r.fidelity.psnr_db_worst_floor)),
    Column("ΔE 2000", lambda r: f"{r.fidelity.delta_e_2000_mean:.3f}"),
    Column(
        "Instructions per px",
        lambda r: "—" if r.instructions is None else f"{r.instructions.instructions_per_px:,.1f}",
        kinds=("emulated",),
    ),
    Column(
        "Analyze, million instructions",
        lambda r: "—" if r.instructions is None else f"{r.instructions.analyze.total / 1e6:,.2f}",
        kinds=("emulated",),
    ),
    Column("Latency, ms/MP", _latency, kinds=TIMED),
    Column("Load, ms", lambda r: "—" if r.timing is None else f"{r.timing.load_time_ms:.1f}", kinds=TIMED),
    Column("Peak, MB", _memory, kinds=TIMED),
    Column(
        "Delegated",
        lambda r: "—" if r.artifact.total_nodes is None else f"{r.artifact.delegated_nodes} / {r.artifact.total_nodes}",
    ),
    Column("Ran on", _unit, True),
)
