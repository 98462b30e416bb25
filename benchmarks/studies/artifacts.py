"""python benchmarks/studies/artifacts.py ARTIFACT_FOLDER... [--out benchmarks/results]

What conversion made, as its manifests tell it: one row per artifact, by checkpoint, with size, delegation, conversion
time and fidelity beside their bars. Every file is checked first. Writes artifacts.json and artifacts.md, where rows of
other artifacts stay as they are, but for those of an earlier state of a checkpoint. A report: bars missed are said, not
punished.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any, get_args

from benchmarks.figures import read_earlier
from benchmarks.page.markdown import escape_markdown, markdown_table
from conversion.artifact import Artifact, Delegation, Fidelity, Format, Manifest, Precision
from conversion.fidelity import BORDER_STEP_MOST_LEVELS, COLOUR_SHIFT_MOST, Floor, below_floor, floor_of
from training.commandline import each, run
from training.files import write_text

SIZE_BARS_KB: dict[Precision, float] = {"fp32": 600, "fp16": 300, "w8": 150, "dyn8": 150, "w8a8": 150}  # of Pocket
PHOTOS_LEAST = 12
PROTOCOL = """Fidelity is that of conversion: whole photos that calibration did not see, end to end, against the clamped
float reference over the same tiles; PSNR capped at 120 dB; colour shift is of the worst photo, the step across tile
borders the mean over borders and photos. Core ML packages run in an evaluator of their program: it shows what
conversion and quantization did and is not the arithmetic of the Neural Engine. Size is of the model files, 1 KB = 1000
bytes. Conversion is the time that lowering took, beside whatever else the machine did."""
Row = dict[str, Any]


def describe(manifest: Manifest) -> Row:
    """One artifact as it stands in artifacts.json; 1 KB is 1000 bytes."""
    floor, fidelity = floor_of(manifest.format, manifest.precision, manifest.io), manifest.fidelity
    verdict, below_by_db = judge(fidelity, floor)
    size_bar_kb = SIZE_BARS_KB.get(manifest.precision) if manifest.source.generator == "pocket" else None
    row = {
        "name": manifest.name,
        "checkpoint": manifest.source.name,
        "checkpoint_sha256": manifest.source.sha256,
        "generator": manifest.source.generator,
        "licence": manifest.licence,
        "format": manifest.format,
        "target": manifest.target,
        "io": manifest.io,
        "precision": manifest.precision,
        "tile_px": manifest.tiling.tile_px,
        "size_kb": manifest.model_bytes / 1e3,
        "size_bar_kb": size_bar_kb,
        "delegation": {name: taken and asdict(taken) for name, taken in manifest.delegation.items()},
        "conversion_s": manifest.conversion_s,
        "float_layers": list(manifest.quantization.float_layers) if manifest.quantization else [],
        "calibration_photos": manifest.quantization.calibration_photos if manifest.quantization else 0,
        "fidelity": fidelity and asdict(fidelity),
        "floor": floor and asdict(floor),
        "verdict": verdict,
        "below_by_db": below_by_db,
        "missed": fidelity and below_floor(fidelity, floor),
        "tools": manifest.tools,
    }
    kept = bars(manifest, floor, size_bar_kb)
    return row | {"bars": {bar: "not measured" if k is None else "pass" if k else "fail" for bar, k in kept.items()}}


def judge(fidelity: Fidelity | None, floor: Floor | None) -> tuple[str, float | None]:
    """The verdict, and by how many dB the PSNR that lacks most is below its floor.

    By the project's own floors, whatever floor the artifact was converted with.
    """
    if fidelity is None:
        return "not measured here", None
    if floor is None:
        return "no floor", None
    if below_floor(fidelity, floor) is None:
        return "meets", None
    lacking = max(floor.mean_db - mean_db(fidelity), floor.worst_db - worst_db(fidelity))
    return "below", lacking if lacking > 0 else None


def bars(manifest: Manifest, floor: Floor | None, size_bar_kb: float | None) -> dict[str, bool | None]:
    """Every bar that applies: kept or not, None where it could not be measured."""
    kept: dict[str, bool | None] = {}
    if size_bar_kb is not None:
        kept[f"size at most {size_bar_kb:g} KB"] = manifest.model_bytes <= size_bar_kb * 1e3
    for name in ("analyze", "enhance"):
        taken = manifest.delegation.get(name)
        kept[f"{name} in one delegate, every convolution in it"] = None if taken is None else whole(taken)
    if floor is None:
        return kept
    checks: dict[str, Callable[[Fidelity], bool | None]] = {
        f"at least {PHOTOS_LEAST} photos": lambda f: f.photos >= PHOTOS_LEAST,
        f"mean PSNR at least {floor.mean_db:g} dB": lambda f: mean_db(f) >= floor.mean_db,
        f"worst PSNR at least {floor.worst_db:g} dB": lambda f: worst_db(f) >= floor.worst_db,
        f"colour shift at most {COLOUR_SHIFT_MOST:g}": lambda f: f.colour_shift_worst <= COLOUR_SHIFT_MOST,
        f"step across tile borders at most {BORDER_STEP_MOST_LEVELS:g} levels": lambda f: (
            None if f.border_step_mean_levels is None else f.border_step_mean_levels <= BORDER_STEP_MOST_LEVELS
        ),
    }
    fidelity = manifest.fidelity
    return kept | {bar: None if fidelity is None else check(fidelity) for bar, check in checks.items()}


def mean_db(fidelity: Fidelity) -> float:
    """End to end or of enhance alone, whichever is less: both are held to the floor."""
    return min(fidelity.psnr_mean_db, fidelity.enhance_psnr_mean_db)


def worst_db(fidelity: Fidelity) -> float:
    return min(fidelity.psnr_worst_db, fidelity.enhance_psnr_worst_db)


def whole(taken: Delegation) -> bool:
    """One delegate, and what it left out is named and no convolution."""
    named = taken.delegated == taken.total or bool(taken.exceptions)
    return taken.delegates == 1 and named and not any("conv" in name.lower() for name in taken.exceptions)


def order(row: Row) -> tuple[Any, ...]:
    """By checkpoint, then format and precision as the manifest's types list them."""
    formats, precisions = get_args(Format), get_args(Precision)
    return (
        row["generator"] != "pocket", row["checkpoint"], row["checkpoint_sha256"], formats.index(row["format"]),
        row["target"], row["io"], precisions.index(row["precision"]), row["tile_px"], row["name"],
    )  # fmt: skip


def of_fidelity(key: str, form: str) -> Callable[[Row], str | None]:
    def cell(row: Row) -> str | None:
        value = (row["fidelity"] or {}).get(key)
        return None if value is None else f"{value:{form}}"

    return cell


def against_floor(key: str, least: str) -> Callable[[Row], str | None]:
    def cell(row: Row) -> str | None:
        measured, floor = of_fidelity(key, ".1f")(row), row["floor"]
        return measured and f"{measured} ({floor[least]:g})" if floor else measured

    return cell


def size_bar(row: Row) -> str | None:
    bar = row["size_bar_kb"]
    return None if bar is None else f"{bar:g}, {'kept' if row['size_kb'] <= bar else 'MISSED'}"


def delegation(row: Row) -> str:
    return "; ".join(
        f"{name} {taken['delegated']} of {taken['total']} in {taken['delegates']}" if taken else f"{name} not told"
        for name, taken in row["delegation"].items()
    )


def verdict(row: Row) -> str:
    by_db = row["below_by_db"]
    return f"below by {by_db:.2f} dB" if by_db is not None else str(row["verdict"])


COLUMNS: list[tuple[str, bool, Callable[[Row], Any]]] = [  # label, is text, cell
    ("Format", True, lambda row: row["format"]),
    ("Target", True, lambda row: row["target"]),
    ("I/O", True, lambda row: row["io"]),
    ("Precision", True, lambda row: row["precision"]),
    ("Tile, px", False, lambda row: row["tile_px"]),
    ("Size, KB", False, lambda row: f"{row['size_kb']:.1f}"),
    ("Bar, KB", False, size_bar),
    ("Operators delegated, in how many delegates", True, delegation),
    ("Conversion, s", False, lambda row: f"{row['conversion_s']:.1f}"),
    ("Photos", False, of_fidelity("photos", "d")),
    ("PSNR mean, dB (floor)", False, against_floor("psnr_mean_db", "mean_db")),
    ("PSNR worst, dB (floor)", False, against_floor("psnr_worst_db", "worst_db")),
    ("ΔE 2000", False, of_fidelity("delta_e_2000_mean", ".3f")),
    ("Colour shift", False, of_fidelity("colour_shift_worst", ".4f")),
    ("Step across tile borders, levels", False, of_fidelity("border_step_mean_levels", ".3f")),
    ("Float layers", True, lambda row: ", ".join(row["float_layers"]) or None),
    ("Verdict", True, verdict),
]


def markdown(rows: Sequence[Row]) -> str:
    """artifacts.json in Markdown, rows in order."""
    text = []
    for _, group in groupby(rows, lambda row: (row["checkpoint"], row["checkpoint_sha256"], row["licence"])):
        of_one = list(group)
        first = of_one[0]
        text += [
            f"### {escape_markdown(first['checkpoint'])}",
            escape_markdown(
                f"Checkpoint {first['checkpoint_sha256'][:12]}, licence of the weights: {first['licence']}."
            ),
            markdown_table(
                [(label, is_text) for label, is_text, _ in COLUMNS],
                [[cell(row) for _, _, cell in COLUMNS] for row in of_one],
            ),
        ]
        text += ["\n".join(f"- {escape_markdown(note)}" for note in notes(of_one))]
    outcomes = [outcome for row in rows for outcome in row["bars"].values()]
    text += [
        f"Bars: {outcomes.count('pass')} kept, {outcomes.count('fail')} missed, {outcomes.count('not measured')} not "
        "measured; the JSON beside this table has them one by one.",
        PROTOCOL,
    ]
    return "\n\n".join(part for part in text if part) + "\n"


def notes(rows: Iterable[Row]) -> list[str]:
    """What does not fit a cell: misses in words, and operators outside of the delegate."""
    found = []
    for row in rows:
        if row["missed"]:
            found.append(f"{row['name']}: {row['missed']}")
        for name, taken in row["delegation"].items():
            if taken and taken["exceptions"]:
                found.append(f"{row['name']}: outside of the delegate of {name}: {', '.join(taken['exceptions'])}")
    return found


def in_order(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=order)


def other_rows(rows: Sequence[Row], earlier: Sequence[Row]) -> list[Row]:
    """Those of earlier artifacts that are not among `rows`, unless their checkpoint has other weights by now."""
    names, weights = {row["name"] for row in rows}, {row["checkpoint"]: row["checkpoint_sha256"] for row in rows}
    same = [row for row in earlier if weights.get(row["checkpoint"]) in (None, row["checkpoint_sha256"])]
    return [row for row in same if row["name"] not in names]


def report(args: argparse.Namespace) -> Path:
    loaded = [Artifact.load(folder).verify() for folder in each(args.artifacts, "checksums")]
    rows = [describe(artifact.manifest) for artifact in loaded]
    path = args.out / "artifacts.json"
    rows = in_order(rows + other_rows(rows, read_earlier(path, in_order)))
    text = markdown(rows)
    write_text(path, json.dumps(rows, indent=2, allow_nan=False) + "\n")
    write_text(args.out / "artifacts.md", text)
    print(text)
    return path


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="artifacts.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("artifacts", type=Path, nargs="+", metavar="ARTIFACT_FOLDER", help="what a to_*.py made")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), metavar="FOLDER",
                        help="folder of the results (default: %(default)s)")  # fmt: skip
    return run(parser, report, argv)


if __name__ == "__main__":
    raise SystemExit(main())
