"""python benchmarks/render.py REPORT_FOLDER --out PAGE_FOLDER [--quality quality.json] [--training FOLDER]

Reports -> RESULTS.md and one self-contained index.html: a table per kind of target, the quality table, and per
photo, worst first, what each artifact really produced. No server, no external resource, nothing inline but what
the page's Content-Security-Policy names by its hash. Reports are not trusted: all text is escaped.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from benchmarks.curves import load_curves
from benchmarks.markdown import escape_markdown
from benchmarks.pictures import FORMATS, show_photos
from benchmarks.report import Kind, Report
from training.commandline import UserError, run
from training.files import write_text

TEMPLATES = Path(__file__).parent / "templates"
KINDS: dict[Kind, tuple[str, str]] = {
    "physical": ("Physical devices", "Latency with the model loaded; load time apart."),
    "emulated": ("Emulated phones", "An emulator's time says nothing about a phone: latency is unranked."),
    "host": (
        "Host",
        "Host figures are not a phone's: latency is unranked and only compares artifacts on this machine.",
    ),
}
COLUMNS = [  # (label, is text)
    ("Format", True), ("Precision", True), ("Size, MB", False), ("PSNR, dB, mean / worst", False), ("ΔE 2000", False),
    ("Delegated", False), ("Latency, ms/MP", False), ("Load, ms", False), ("Peak, MB", False),
]  # fmt: skip
QUALITY_COLUMNS = {  # key in the rows of evaluate.py: label, decimals, is larger better (None: neither)
    "params": ("Parameters", 0, None),
    "mac_per_px": ("MAC/px", 0, None),
    "psnr_mean_of_images_db": ("PSNR, dB, mean of images", 2, True),
    "psnr_of_mean_mse_db": ("PSNR, dB, of mean MSE", 2, True),
    "ssim": ("SSIM", 4, True),
    "ms_ssim": ("MS-SSIM", 4, True),
    "delta_e_2000": ("ΔE 2000", 2, False),
}
GLOSSARY = [
    ("Reference", "the float generator over the same tiles and thumbnail, clamped; what an artifact must reproduce"),
    ("PSNR", "artifact against reference over whole photos, end to end; equal pictures have 120 dB, the cap"),
    ("ΔE 2000", "mean CIEDE2000 colour difference to the reference; about 1 is just noticeable"),
    ("Delegated", "operators of enhance that the format's accelerator backend took, of all"),
    ("Latency", "median time of one tile over the output pixels it keeps, so the halo counts as cost; "
                "± is the relative spread (p90 - p10) / p50"),
    ("Peak", "resident memory of a process that runs this artifact alone; in brackets, before it loaded the model, the "
             "runtime imported (ExecuTorch's Python package brings torch)"),
    ("Simulated phone", "no phone took this photo: a documented simulation made it from the DSLR photo"),
]  # fmt: skip


class PageError(UserError):
    """The page cannot be made; the message names the file and the remedy."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="render.py", description="Reports -> RESULTS.md and one self-contained HTML page."
    )
    parser.add_argument("reports", type=Path, metavar="REPORT_FOLDER", help="folder of reports and their pictures")
    parser.add_argument("--quality", type=Path, metavar="FILE", help="rows that evaluate.py --json wrote")
    parser.add_argument("--training", type=Path, metavar="FOLDER", help="folder of train.py, for its curves")
    parser.add_argument("--out", type=Path, required=True, metavar="PAGE_FOLDER", help="where the page goes")
    return run(parser, body, argv)


def body(args: argparse.Namespace) -> Path:
    reports = load_reports(args.reports)
    photos, omissions = show_photos(reports, args.reports)
    facts = {
        "groups": list(group_by_kind(reports)),
        "columns": COLUMNS,
        "quality": load_quality(args.quality) if args.quality else None,
        "curves": load_curves(args.training) if args.training else [],
        "figures": key_figures(reports),
        "photos": photos,
        "omissions": omissions,
        "glossary": GLOSSARY,
    }
    write_text(args.out / "RESULTS.md", markdown(facts))
    return write_text(args.out / "index.html", html(facts))


def load_reports(folder: Path) -> list[Report]:
    """All reports of a folder, worst fidelity first.

    Raises:
        PageError: no folder, or no report in it.
        ReportError: one of them is broken.
    """
    reports = [Report.load(path) for path in sorted(folder.glob("*__*.json"))]
    if not reports:
        raise PageError(f"{folder}: no report in it (<artifact>__<target>.json); make some with on_host.py")
    return sorted(reports, key=lambda report: report.fidelity.psnr_db_worst)


def group_by_kind(reports: list[Report]) -> Iterable[dict[str, Any]]:
    for kind, (title, note) in KINDS.items():
        of_kind = [report for report in reports if report.target.kind == kind]
        if of_kind:
            yield {
                "title": title,
                "note": note,
                "facts": list(dict.fromkeys(conditions(report) for report in of_kind)),
                "rows": [table_row(report) for report in of_kind],
                "reasons": [f"{r.artifact.name}: {reason}" for r in of_kind for reason in r.verdict.reasons],
            }


def conditions(report: Report) -> str:
    """Under what the figures of a report hold, in one line."""
    target, protocol = report.target, report.protocol
    unit = target.compute_unit_actual
    asked = "" if unit == target.compute_unit_asked else f" (asked: {target.compute_unit_asked})"
    runs = (
        f"{protocol.warm_up_runs} + {protocol.runs} runs, {protocol.threads} threads" if protocol.runs else "not timed"
    )
    return f"{target.name}: {target.cpu}, {target.os}; {unit}{asked}; {runs}; {report.date[:10]}"


def table_row(report: Report) -> dict[str, Any]:
    artifact, fidelity, timing = report.artifact, report.fidelity, report.timing
    memory = "—" if report.peak_memory_mb is None else f"{report.peak_memory_mb:.0f}"
    if report.baseline_memory_mb is not None:
        memory += f" ({report.baseline_memory_mb:.0f})"
    delegated = "—" if artifact.total_nodes is None else f"{artifact.delegated_nodes} / {artifact.total_nodes}"
    spread = "" if timing is None else f" ± {100 * timing.enhance_tile.relative_spread:.0f} %"
    return {
        "name": artifact.name,
        "fidelity": report.verdict.fidelity,
        "latency": report.verdict.latency if ":" in report.verdict.latency else f"latency {report.verdict.latency}",
        "cells": [
            FORMATS.get(artifact.format, artifact.format),
            artifact.precision,
            f"{artifact.bytes / 1e6:.3f}",
            f"{fidelity.psnr_db_mean:.1f} / {fidelity.psnr_db_worst:.1f}",
            f"{fidelity.delta_e_2000_mean:.3f}",
            delegated,
            "—" if timing is None else f"{timing.enhance_ms_per_megapixel:.0f}{spread}",
            "—" if timing is None else f"{timing.load_time_ms:.1f}",
            memory,
        ],
    }


def key_figures(reports: list[Report]) -> list[dict[str, str]]:
    smallest = min(report.artifact.bytes for report in reports)
    photos = {photo.photo for report in reports for photo in report.fidelity.photos}
    passed = sum(report.verdict.fidelity == "pass" for report in reports)
    return [
        {"label": "Reports that pass their floor", "value": f"{passed} of {len(reports)}", "unit": ""},
        {"label": "Worst photo against float", "value": f"{reports[0].fidelity.psnr_db_worst:.1f}", "unit": "dB"},
        {"label": "Smallest artifact", "value": f"{smallest / 1e3:.0f}", "unit": "KB"},
        {"label": "Whole photos compared", "value": str(len(photos)), "unit": ""},
    ]


def load_quality(path: Path) -> dict[str, Any]:
    """The rows that evaluate.py --json wrote, as a table.

    Raises:
        PageError: not such a file.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        names = [str(row["model"]) for row in rows]
        first = rows[0]
        images, simulated, split = (first.get(key) for key in ("images", "simulated_images", "split"))
        values = {key: [_number(row[key]) for row in rows] for key in QUALITY_COLUMNS}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise PageError(f"{path}: not the rows of evaluate.py --json ({error!r:.200}); write them again") from error
    table: list[dict[str, Any]] = [{"name": name, "cells": []} for name in names]
    for key, (_, decimals, larger_is_better) in QUALITY_COLUMNS.items():
        known = [value for value in values[key] if value is not None]
        best = None if larger_is_better is None or not known else (max if larger_is_better else min)(known)
        for row, value in zip(table, values[key], strict=True):
            text = "—" if value is None else f"{value:,.{decimals}f}"
            row["cells"].append({"text": text, "best": value is not None and value == best})
    phone = "simulated" if simulated == images else f"simulated in {simulated} of them" if simulated else "real"
    pairs = "" if images is None else f"{images} photo pairs of the {split} split, phone side {phone}. "
    return {
        "columns": [label for label, _, _ in QUALITY_COLUMNS.values()],
        "rows": table,
        "protocol": f"{pairs}Whole photos against the DSLR "
        "photo: float, RGB, sRGB-encoded, clamped to [0, 1], not rounded. The two PSNR protocols lie decibels apart: "
        "the mean of the photos' PSNR, and the PSNR of their mean squared error. identity is the phone photo as it is.",
    }


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r:.50} is not a number")
    return float(value)


def html(facts: dict[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    inline = {name: (TEMPLATES / f"page.{suffix}").read_text() for name, suffix in [("style", "css"), ("script", "js")]}
    hashes = {f"{name}_hash": f"sha256-{digest(text)}" for name, text in inline.items()}
    trusted = {name: Markup(text) for name, text in inline.items()}
    return environment.get_template("index.html.jinja").render(**facts, **trusted, **hashes)


def markdown(facts: dict[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        finalize=escape_markdown,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("RESULTS.md.jinja").render(**facts)


def digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


if __name__ == "__main__":
    raise SystemExit(main())
