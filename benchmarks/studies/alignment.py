"""python benchmarks/studies/alignment.py PHOTOS... [--real FOLDER...]

How exact align.py is, where the truth is known. Each photo is the DSLR's side; the phone's is SIMULATED through a
random homography, with exposure, noise, blur and JPEG. Also: pairs of photos of different scenes, all of which must be
refused, and real pairs, with what remains between their sides. Writes alignment.json and alignment.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from benchmarks.machine import tools
from training.album.inputs import list_photos
from training.alignment import known_view
from training.alignment.aligned_pair import Record, Settings, align_pixels
from training.alignment.homography import AlignmentError
from training.commandline import UserError, run, whole
from training.files import write_text
from training.photos import read_pixels

CORNER_BAR_PX, CORNER_SHARE_BAR, SHIFT_BAR_PX = 0.5, 0.95, 0.25
SETTINGS = Settings("phone")


def truth_case(path: Path, seed: int) -> Record:
    """One simulated phone photo against its DSLR photo: corner error and the errors of its patches, or the refusal."""
    cv2.setNumThreads(1)
    dslr = read_pixels(path)
    view = known_view.draw((dslr.shape[0], dslr.shape[1]), seed)
    phone = known_view.render(dslr, view, seed)
    case: Record = {"photo": path.name, "seed": seed, "phone_px": [phone.shape[1], phone.shape[0]]}
    try:
        found = align_pixels(phone, dslr, SETTINGS, {})
    except AlignmentError as error:
        return case | {"refused": str(error)}
    middle = (SETTINGS.patch_px - 1) / 2
    centres = np.array([(patch.left + middle, patch.top + middle) for patch in found.cut.patches])
    shifts = np.array([(patch.shift_x, patch.shift_y) for patch in found.cut.patches])
    homography = found.alignment.homography
    corner = known_view.corner_errors(view, homography)
    return case | {
        "corner_mean_px": float(corner.mean()),
        "corner_worst_px": float(corner.max()),
        "patch_errors_px": [round(float(e), 4) for e in known_view.shift_errors(view, homography, centres, shifts)],
        "patches": len(centres),
        "windows": found.cut.windows,
    }


def unrelated_case(phone: Path, dslr: Path) -> Record:
    """Two scenes, of which align.py must make nothing."""
    cv2.setNumThreads(1)
    case: Record = {"phone": phone.name, "dslr": dslr.name}
    try:
        found = align_pixels(read_pixels(phone), read_pixels(dslr), SETTINGS, {})
    except AlignmentError as error:
        return case | {"refused": str(error)}
    return case | {"patches": len(found.cut.patches)}


def judge_truth(cases: Sequence[Record]) -> Record:
    """The figures of all cases; one that was refused counts as one that is off."""
    found = [case for case in cases if "refused" not in case]
    figures: Record = {"cases": len(cases), "range": known_view.RANGE, "refused": len(cases) - len(found)}
    errors = np.array([error for case in found for error in case["patch_errors_px"]] or [np.inf])
    for kind in ("mean", "worst"):
        corner = np.array([case[f"corner_{kind}_px"] for case in found] + [np.inf] * figures["refused"])
        figures[f"corner_{kind}_below_bar"] = float((corner < CORNER_BAR_PX).mean())
        known = corner[np.isfinite(corner)]
        figures[f"corner_{kind}_median_px"] = float(np.median(known)) if len(known) else None
    return figures | {
        "patches": int(np.isfinite(errors).sum()),
        "patch_shift_median_px": float(np.median(errors)) if found else None,
        "patch_shift_p95_px": float(np.percentile(errors, 95)) if found else None,
        "patch_shift_below_bar": float((errors < SHIFT_BAR_PX).mean()),
    }


def real_case(folder: Path) -> Record:
    """The two photos of a folder, in the order of their names: how they were aligned, or why not."""
    first, second = list_photos(folder).photos[:2]
    case: Record = {"folder": folder.name, "phone": first.name, "dslr": second.name}
    try:
        found = align_pixels(read_pixels(first), read_pixels(second), SETTINGS, {})
    except AlignmentError as error:
        return case | {"refused": str(error)}
    shifts = np.array([(patch.shift_x, patch.shift_y) for patch in found.cut.patches])
    return case | {
        "matches": found.alignment.matches,
        "inliers": found.alignment.inliers,
        "residual_px": found.alignment.residual_px,
        "scale": found.alignment.scale,
        "windows": found.cut.windows,
        "patches": len(shifts),
        "dropped": found.cut.dropped,
        "patch_moved_median_px": float(np.median(np.linalg.norm(shifts, axis=1))),
        "correlation_median": float(np.median([patch.correlation for patch in found.cut.patches])),
    }


def table(facts: dict[str, Any]) -> str:
    """alignment.json in Markdown."""
    known, unrelated = facts["truth"], facts["unrelated"]
    lines = [
        "| where the truth is known | |", "|---|--:|",
        f"| cases, SIMULATED | {known['cases']} |",
        f"| refused, counted as off | {known['refused']} |",
        f"| mean error of the four corners below {CORNER_BAR_PX} px | {known['corner_mean_below_bar']:.1%} |",
        f"| worst of the four corners below {CORNER_BAR_PX} px | {known['corner_worst_below_bar']:.1%} |",
        f"| patches kept | {known['patches']} |",
        f"| patches less than {SHIFT_BAR_PX} px off | {known['patch_shift_below_bar']:.1%} |",
    ]  # fmt: skip
    if known["patch_shift_median_px"] is not None:
        lines += [
            f"| worst corner, median of cases, px | {known['corner_worst_median_px']:.3f} |",
            f"| patch off by, median and 95th percentile, px | {known['patch_shift_median_px']:.3f}, "
            f"{known['patch_shift_p95_px']:.3f} |",
        ]
    lines.append(f"| pairs of different scenes refused | {unrelated['refused']} of {unrelated['pairs']} |")
    text = "\n".join(lines) + f"\n\nErrors in phone px. Range: {known['range']}.\n"
    if facts["real"]:
        text += "\n| real pair | inliers of matches | residual, px | patches of windows | moved, px | correlation |\n"
        text += "|---|--:|--:|--:|--:|--:|\n" + "".join(_real_row(case) for case in facts["real"])
        text += (
            "\nResidual: median over windows after the fit. Moved: median way of a patch from where the homography has "
            "it. Correlation: median of the patches kept.\n"
        )
    bars = "; ".join(f"{bar}: **{outcome}**" for bar, outcome in facts["bars"].items())
    return text + f"\nBars: {bars}.\n"


def _real_row(case: Record) -> str:
    if "refused" in case:
        return f"| {case['folder']}: {case['phone']}, {case['dslr']} | refused: {case['refused']} | | | | |\n"
    return (
        f"| {case['folder']}: {case['phone']}, {case['dslr']} | {case['inliers']} of {case['matches']} "
        f"| {case['residual_px']:.3f} | {case['patches']} of {case['windows']} "
        f"| {case['patch_moved_median_px']:.2f} | {case['correlation_median']:.3f} |\n"
    )


def measure(args: argparse.Namespace) -> Path:
    photos = [path for folder in args.photos for path in list_photos(folder).photos]
    work = Parallel(n_jobs=args.jobs, return_as="generator")
    todo = [(photos[seed % len(photos)], seed) for seed in range(args.cases)]
    cases = list(tqdm(work(delayed(truth_case)(*one) for one in todo), "known", len(todo), unit="case"))
    random = np.random.default_rng(0)
    couples = [random.choice(len(photos), 2, replace=False) for _ in range(args.unrelated if len(photos) > 1 else 0)]
    strangers = list(
        tqdm(work(delayed(unrelated_case)(photos[a], photos[b]) for a, b in couples), "unrelated", len(couples))
    )
    real = [real_case(folder) for folder in tqdm(args.real, desc="real", unit="pair")]
    known = judge_truth(cases)
    refused = sum("refused" in case for case in strangers)
    bars = {
        f"worst corner below {CORNER_BAR_PX} px in {CORNER_SHARE_BAR:.0%}": known["corner_worst_below_bar"]
        >= CORNER_SHARE_BAR,
        f"95 % of patches less than {SHIFT_BAR_PX} px off": known["patch_shift_below_bar"] >= CORNER_SHARE_BAR,
        "different scenes refused always": refused == len(strangers),
    }
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "tools": tools(["opencv-python-headless", "numpy", "pillow", "joblib"]),
        "truth": known,
        "unrelated": {"pairs": len(strangers), "refused": refused},
        "real": real,
        "bars": {bar: "pass" if kept else "fail" for bar, kept in bars.items()},
        "cases": cases,
        "accepted_strangers": [case for case in strangers if "refused" not in case],
    }
    write_text(args.out / "alignment.json", json.dumps(facts, indent=1, allow_nan=False) + "\n")
    write_text(args.out / "alignment.md", table(facts))
    print(table(facts))
    return args.out / "alignment.json"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="alignment.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("photos", type=Path, nargs="+", metavar="FOLDER", help="photos, of about 1 MP; one scene each")
    add("--real", type=Path, nargs="+", default=[], metavar="FOLDER", help="folders with two photos of one scene each")
    add("--cases", type=whole(1, 100_000), default=200, help="with a known truth (default: %(default)s)")
    add("--unrelated", type=whole(0, 100_000), default=100, help="pairs of different scenes (default: %(default)s)")
    add("--jobs", type=whole(1, 1024), default=1, help="cases at a time (default: %(default)s)")
    add("--out", type=Path, default=Path("benchmarks/results"), help="folder of the results (default: %(default)s)")
    return run(parser, measure, argv)


if __name__ == "__main__":
    raise SystemExit(main())
