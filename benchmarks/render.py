"""python benchmarks/render.py REPORT_FOLDER --out PAGE_FOLDER [--quality quality.json] [--training FOLDER]

Reports -> RESULTS.md and one self-contained index.html: per device a table, trade-offs with their Pareto front, every
timed run, the stages of a whole photo; and per photo, worst first, what each artifact really produced beside an error
map. No server, no external resource, nothing inline but what the page's Content-Security-Policy names by its hash.
Reports are not trusted: all text is escaped.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from benchmarks.page.curves import load_curves
from benchmarks.page.drawings import instruction_classes, latency_strips, photo_bars, sustained_lines
from benchmarks.page.markdown import escape_markdown
from benchmarks.page.pictures import show_photos
from benchmarks.page.plots import trade_offs
from benchmarks.page.quality_table import load_quality
from benchmarks.page.tables import Device, Filters, group_by_kind
from benchmarks.report import Report, load_reports
from training.commandline import run
from training.files import write_text

TEMPLATES = Path(__file__).parent / "page" / "templates"
GLOSSARY = [
    ("Reference", "the float generator over the same tiles and thumbnail, clamped; what an artifact must reproduce"),
    ("PSNR", "artifact against reference over whole photos, end to end; equal pictures have 120 dB, the cap"),
    ("Floor", "the PSNR below which a precision fails; pal4 has none"),
    ("ΔE 2000", "mean CIEDE2000 colour difference to the reference; about 1 is just noticeable"),
    ("Delegated", "operators of enhance that the format's accelerator backend took, of all"),
    ("Latency", "median time of one tile over the output pixels it keeps, so the halo counts as cost; "
                "± is the relative spread (p90 - p10) / p50"),
    ("Instructions per px", "guest instructions of one tile over the output pixels it keeps, conversion of input and "
                            "output included, one thread"),
    ("Peak", "resident memory of a process that runs this artifact alone; in brackets, before it loaded the model, the "
             "runtime imported (ExecuTorch's Python package brings torch); of a whole photo on a host, Python, torch "
             "and the photo are in it"),
    ("Pareto front", "of the artifacts that pass their floor and were measured well, those that no other beats in both "
                     "directions"),
    ("Latency invalid", "too few runs, runs that disagree, a device that slowed down or was throttled"),
    ("Simulated phone", "no phone took this photo: a documented simulation made it from the DSLR photo"),
    ("Mosaic", "pieces of the embedded sample side by side, where no camera's photo of that size is given"),
]  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="render.py", description="Reports -> RESULTS.md and one self-contained HTML page."
    )
    parser.add_argument("reports", type=Path, metavar="REPORT_FOLDER", help="folder of reports and their pictures")
    parser.add_argument("--quality", type=Path, metavar="FILE", help="quality.json of evaluate.py")
    parser.add_argument("--training", type=Path, metavar="FOLDER", help="folder of train.py, for its curves")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the page goes")
    return run(parser, body, argv)


def body(args: argparse.Namespace) -> Path:
    reports = sorted(load_reports(args.reports), key=lambda report: report.fidelity.psnr_db_worst)
    filters = Filters(reports)
    photos, omissions = show_photos(reports, args.reports, filters)
    facts = {
        "groups": [
            (group, [(device, draw(device, filters)) for device in group.devices])
            for group in group_by_kind(reports, filters)
        ],
        "filters": filters.choices(),
        "reports": len(reports),
        "quality": load_quality(args.quality) if args.quality else None,
        "curves": load_curves(args.training) if args.training else [],
        "figures": key_figures(reports),
        "photos": photos,
        "omissions": omissions,
        "glossary": GLOSSARY,
    }
    write_text(args.out / "RESULTS.md", markdown(facts))
    return write_text(args.out / "index.html", html(facts))


def draw(device: Device, filters: Filters) -> dict[str, Any]:
    return {
        "plots": trade_offs(device, filters),
        "strips": latency_strips(device, filters),
        "sustained": sustained_lines(device, filters),
        "bars": photo_bars(device, filters),
        "classes": instruction_classes(device, filters),
    }


def key_figures(reports: list[Report]) -> list[dict[str, str]]:
    smallest = min(report.artifact.bytes for report in reports)
    photos = {photo.photo for report in reports for photo in report.fidelity.photos}
    passed = sum(report.verdict.fidelity == "pass" for report in reports)
    devices = {(report.target.kind, report.target.name) for report in reports}
    return [
        {"label": "Reports that pass their floor", "value": f"{passed} of {len(reports)}", "unit": ""},
        {"label": "Targets", "value": str(len(devices)), "unit": ""},
        {"label": "Worst photo against float", "value": f"{reports[0].fidelity.psnr_db_worst:.1f}", "unit": "dB"},
        {"label": "Smallest artifact", "value": f"{smallest / 1e3:.0f}", "unit": "KB"},
        {"label": "Photos compared", "value": str(len(photos)), "unit": ""},
    ]


def html(facts: dict[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
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
