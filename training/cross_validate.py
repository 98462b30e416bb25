"""python training/cross_validate.py --pairs PATH/dped --beside CHECKPOINT... -- [flags of train.py]

Trains once per fold without that fold's pairs, scores what comes out on them, and puts the folds together: every
pair is scored by a network that never saw it, beside networks that are scored on the same pairs. Resumes.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.commandline import UserError, log, run, whole
from training.files import write_text

HERE = Path(__file__).parent
FIGURES = {
    "psnr_mean_of_images_db": ("PSNR dB, mean of images", ".2f"),
    "psnr_of_mean_mse_db": ("PSNR dB, of mean MSE", ".2f"),
    "ms_ssim": ("MS-SSIM", ".4f"),
    "delta_e_2000": ("dE 2000", ".2f"),
}
Row = dict[str, Any]


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cross_validate.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--pairs", type=Path, required=True, help="DPED root, or a folder with <phone>/ and canon/")
    add("--folds", type=whole(2), default=5, help="parts of all pairs (default: %(default)s)")
    add("--beside", nargs="*", default=[], metavar="CHECKPOINT", help="scored on the same pairs")
    add("--name", default="pocket", help="of the trained network in the table (default: %(default)s)")
    add("--out", type=Path, default=Path("runs/cross-validation"), help="folder (default: %(default)s)")
    add("train", nargs="*", metavar="FLAG", help="after --: flags of train.py, such as --init and --packed")
    return parser


def cross_validate(args: argparse.Namespace) -> Path:
    folds = []
    for fold in range(args.folds):
        folder, held_out = args.out / f"fold-{fold}", ["--pairs", str(args.pairs), "--fold", f"{fold}/{args.folds}"]
        _script("train.py", *held_out, *args.train, "--out", str(folder))
        _script("evaluate.py", str(folder), *args.beside, *held_out, "--out", str(folder / "quality"))
        rows = json.loads((folder / "quality" / "quality.json").read_text())
        rows[1]["model"] = args.name  # after identity comes what the fold trained
        folds.append(rows)
    models = [together([rows[k] for rows in folds]) for k in range(len(folds[0]))]
    write_text(args.out / "folds.json", json.dumps({"models": models, "folds": folds}, indent=2) + "\n")
    write_text(args.out / "folds.md", table(models, folds))
    print((args.out / "folds.md").read_text())
    return args.out


def together(rows: Sequence[Row]) -> Row:
    """One model's rows of all folds -> its row over all pairs, each pair with equal weight."""
    images = sum(row["images"] for row in rows)
    mean = {name: sum(row[name] * row["images"] for row in rows) / images for name in FIGURES}
    squared_error = sum(10 ** (-row["psnr_of_mean_mse_db"] / 10) * row["images"] for row in rows) / images
    mean["psnr_of_mean_mse_db"] = -10 * math.log10(squared_error)
    return {name: rows[0][name] for name in ("model", "params", "mac_per_px")} | {"images": images} | mean


def table(models: Sequence[Row], folds: Sequence[Sequence[Row]]) -> str:
    head = ["model", "params", "MAC/px", *(title for title, _ in FIGURES.values()), "mean of images, by fold"]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|--:" * (len(head) - 1) + "|"]
    for k, row in enumerate(models):
        figures = [format(row[name], form) for name, (_, form) in FIGURES.items()]
        by_fold = " ".join(f"{rows[k]['psnr_mean_of_images_db']:.2f}" for rows in folds)
        cells = [row["model"], f"{row['params']:,}", f"{row['mac_per_px']:,.0f}", *figures, by_fold]
        lines.append("| " + " | ".join(cells) + " |")
    protocol = (
        f"Protocol: {models[0]['images']} pairs in {len(folds)} folds of neighbouring pairs. `{models[1]['model']}` is "
        f"{len(folds)} networks,\neach scored on the fold that it was not trained on; the others are one network each, "
        "as published,\nscored on the same pairs. Outputs, scores and their names as in evaluate.py's table."
    )
    return "\n".join(lines) + f"\n\n{protocol}\n"


def _script(name: str, *flags: str) -> None:
    command = [sys.executable, str(HERE / name), *flags]
    log.info("%s %s", name, " ".join(flags))
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
        raise UserError(f"{name} failed, as said above; the folds that are done are kept: run the same command again")


def main(argv: Sequence[str] | None = None) -> int:
    return run(parse(), cross_validate, argv)


if __name__ == "__main__":
    raise SystemExit(main())
