"""python training/evaluate.py runs/pocket runs/published/dped-iphone.safetensors --pairs PATH/dped

Quality against the DSLR side: one table for any number of checkpoints, with the phone photo as it is (`identity`) in
the first row and the protocol below, and a sheet of the first photos to look at. Published weights take part after
import_published.py. Without --pairs the embedded sample is used, whose phone side is simulated.

The paper's experiment: `--photo-app --cameras iphone blackberry sony` adds auto levels, which is what photo apps do,
and makes one table per camera of a DPED root; {camera} in a checkpoint's path becomes its name.

`--judge` asks whether a network is worth its arithmetic: it adds exposure without a network as rows, and scores by what
people see. It needs the package stlpips-pytorch.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.commandline import UserError, printable, run
from training.data.pairs import PairSplits, find_pairs, fold_of, usable
from training.data.photo_pair import PhotoPair
from training.files import write_text
from training.loop.settings import parse_fold
from training.quality.auto_levels import CLIPPED, PHOTO_APP
from training.quality.sheet import Sheet

SPLITS = ("train", "validation", "calibration", "fidelity")
GROUPS = ("held-out", "all")
log = logging.getLogger(__name__)
Row = dict[str, Any]


def choose_pairs(splits: PairSplits, split: str) -> list[PhotoPair]:
    """The pairs of one split or group of splits, each once."""
    group = {"held-out": splits.held_out, "all": splits.all}
    return group[split] if split in group else list(getattr(splits, split))


def default_split(args: argparse.Namespace) -> str:
    """All pairs of a folder; of a fold what it held out; of the sample what nothing was learned from."""
    if args.fold:
        return "validation"
    return "all" if args.pairs else "held-out"


def table(rows: Sequence[Row], description: str) -> str:
    """The rows in Markdown, with the protocol below, without which figures cannot be compared."""
    lines = [
        "| model | params | MAC/px | PSNR dB, mean of images | PSNR dB, of mean MSE | SSIM | MS-SSIM | dE 2000 "
        "| colour shift R, G, B |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        shift = ", ".join(f"{row[f'colour_shift_{c}']:+.4f}" for c in "rgb")
        lines.append(
            f"| {row['model']} | {row['params']:,} | {row['mac_per_px']:,.0f} | {row['psnr_mean_of_images_db']:.2f} "
            f"| {row['psnr_of_mean_mse_db']:.2f} | {row['ssim']:.4f} | {row['ms_ssim']:.4f} "
            f"| {row['delta_e_2000']:.2f} | {shift} |"
        )
    images, photos, simulated, split = (rows[0][key] for key in ("images", "photos", "simulated_images", "split"))
    count = f"{images} photo pairs" + (f" of {photos} photos" if photos < images else "")
    return "\n".join(lines) + f"""

Protocol: {count}, split `{split}`, phone side {_simulated(images, simulated)}. Source: {description}.
Each output against the DSLR photo: whole photo, float, RGB, sRGB-encoded, clamped to [0, 1], not rounded to 8 bit.
All scores are taken per image and averaged, each image with equal weight; "of mean MSE" is the PSNR of the averaged
squared error. SSIM: Gaussian window of 11 px, sigma 1.5. MS-SSIM: five scales, as the authors of DPED score it.
dE 2000: mean CIEDE2000. Colour shift: mean of output minus DSLR photo, in units of the range. MAC/px: of the tile
network, halo not counted. Photos above 2 MP run in tiles under the whole photo's condition.
`identity` is the phone photo as it is.
{_photo_app(rows)}"""  # fmt: skip


def _photo_app(rows: Sequence[Row]) -> str:
    stretched = f"`{PHOTO_APP}` stretches each channel until {CLIPPED:g} % of its pixels are clipped at either end.\n"
    return stretched if any(row["model"] == PHOTO_APP for row in rows) else ""


def _simulated(images: int, simulated: int) -> str:
    if simulated in (0, images):
        return "SIMULATED" if simulated else "taken by a phone"
    return f"SIMULATED in {simulated} of them"


def evaluate(args: argparse.Namespace) -> Path:
    if args.cameras:
        rows, text = by_camera(args)
    else:
        rows, text = one_camera(args, args.phone, args.out)
    write_text(args.out / "quality.json", json.dumps(rows, indent=2, allow_nan=False) + "\n")
    write_text(args.out / "quality.md", text)
    print(text)
    return args.out


def one_camera(args: argparse.Namespace, phone: str | None, out: Path) -> tuple[list[Row], str]:
    """Rows and table of one phone's pairs; the sheet goes to `out`."""
    from training.quality.judging import judged_table  # these load torch, which takes seconds
    from training.quality.scoring import load_models, score

    checkpoints = [name.replace("{camera}", phone or "") for name in args.checkpoints]
    models = load_models(checkpoints, args.accelerator, args.photo_app, args.judge)
    split = args.split or default_split(args)
    splits = find_pairs(args.pairs, phone, splitting=split != "all")
    if args.fold:
        splits = fold_of(splits, *args.fold)
    pairs = usable(choose_pairs(splits, split), log.warning)
    out.mkdir(parents=True, exist_ok=True)  # a path that cannot be written shows before the work
    sheet = Sheet()
    rows = score(models, pairs, split, sheet, judge=args.judge)
    sheet.save(out / "sheet.jpg")
    return rows, table(rows, splits.description) + judged_table(rows)


def by_camera(args: argparse.Namespace) -> tuple[list[Row], str]:
    """All rows, each with its camera, and one section per camera; one without pairs is skipped, and it says why.

    Raises:
        UserError: no camera has pairs.
    """
    if not args.pairs:
        raise UserError("--cameras needs --pairs: a DPED root, with one folder for each camera")
    all_rows: list[Row] = []
    sections = []
    for camera in args.cameras:
        if (args.pairs / camera).is_dir():
            rows, text = one_camera(args, camera, args.out / camera)
            all_rows += [{"camera": camera, **row} for row in rows]
        else:
            reason = f"no pairs of this camera: {printable(args.pairs.name)} has no folder {camera}"
            log.warning("%s skipped: %s", camera, reason)
            all_rows.append({"camera": camera, "skipped": reason})
            text = f"Skipped: {reason}.\n"
        sections.append(f"## {camera}\n\n{text}")
    if all("skipped" in row for row in all_rows):
        raise UserError(f"{printable(args.pairs)}: none of the folders {', '.join(args.cameras)} is there")
    return all_rows, "\n".join(sections)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="*", help="paths of checkpoints or released names")
    parser.add_argument("--pairs", type=Path, help="DPED root, or a folder with <phone>/ and canon/ (default: sample)")
    parser.add_argument("--phone", help="which phone's pairs (default: the only one, else iphone)")
    parser.add_argument("--cameras", nargs="+", metavar="NAME", help="one table for each of these phones")
    parser.add_argument("--photo-app", action="store_true", help="a row for what photo apps do: auto levels")
    parser.add_argument("--judge", action="store_true", help="a second table: perceptual distance, detail apart from "
                        "tone, 95 %% intervals, and rows for exposure alone")  # fmt: skip
    parser.add_argument("--fold", type=parse_fold, metavar="K/N", help="the pairs that train.py --fold K/N held out")
    parser.add_argument(
        "--split", choices=[*SPLITS, *GROUPS], help="default: all pairs of --pairs, the held-out ones of the sample"
    )
    parser.add_argument(
        "--accelerator", choices=("cpu", "cuda"), default="cpu", help="to compute on (default: %(default)s)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/quality"),
        help="folder for quality.md, quality.json and sheet.jpg (default: %(default)s)",
    )
    return run(parser, evaluate, argv)


if __name__ == "__main__":
    raise SystemExit(main())
