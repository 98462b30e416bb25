"""python training/evaluate.py runs/pocket runs/published/dped-iphone.safetensors --pairs PATH/dped

Quality against the DSLR side: one table for any number of checkpoints, with the phone photo as it is (`identity`) in
the first row and the protocol below, and a sheet of the first photos to look at. Published weights take part after
import_published.py. Without --pairs the embedded sample is used, whose phone side is simulated.

The paper's experiment: `--photo-app --cameras iphone blackberry sony` adds auto levels, which is what photo apps do,
and makes one table per camera of a DPED root; {camera} in a checkpoint's path becomes its name.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from training.checkpoint import Checkpoint
from training.commandline import UserError, printable, run
from training.data.folds import parse_fold
from training.data.pairs import PairSplits, PhotoPair, find_pairs, fold_of, usable
from training.enhancer import Array, Enhancer
from training.files import write_text
from training.quality.auto_levels import CLIPPED, auto_levels
from training.quality.metrics import Scores
from training.quality.sheet import Sheet

SPLITS = ("train", "validation", "calibration", "fidelity")
PHOTO_APP = "photo app (auto levels)"
GROUPS = {"held-out": ("fidelity",), "all": SPLITS}  # validation has chosen the weights
WHOLE_PX = 2_000_000  # larger photos run in tiles, under the same condition, to bound memory
log = logging.getLogger(__name__)
Row = dict[str, Any]


@dataclass
class Model:
    """A row to be: what is known of a model, and how it enhances [H, W, 3] in [0, 1]."""

    facts: Row
    enhance: Callable[[Array], Array]


def without_weights(name: str, enhance: Callable[[Array], Array]) -> Model:
    facts = {"model": name, "params": 0, "mac_per_px": 0.0, "checkpoint_sha256": None, "licence": None}
    return Model(facts, enhance)


def load_model(name_or_path: str, device: str) -> Model:
    checkpoint = Checkpoint.load(name_or_path)
    facts = {
        "model": re.sub(r"[^\w.+-]", "_", checkpoint.name),  # names come from files and must not break the table
        "params": checkpoint.generator.parameter_count(),
        "mac_per_px": round(checkpoint.generator.mac_per_px(), 1),
        "checkpoint_sha256": checkpoint.sha256,
        "licence": checkpoint.licence,
    }
    enhancer = Enhancer(checkpoint, device)

    def enhance(photo: Array) -> Array:
        small = photo.shape[0] * photo.shape[1] <= WHOLE_PX
        return enhancer.engine.whole(photo) if small else enhancer(photo)

    return Model(facts, enhance)


def load_models(names_or_paths: Sequence[str], device: str, photo_app: bool) -> list[Model]:
    """`identity`, auto levels if a photo app is asked for, and the checkpoints.

    Those of one name get the beginning of their checksum beside it.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise UserError(f"--accelerator {device}: not available here; use cpu") from None
    loaded = [load_model(given, device) for given in names_or_paths]
    count = Counter(model.facts["model"] for model in loaded)
    for model in loaded:
        if count[model.facts["model"]] > 1:
            model.facts["model"] += "@" + model.facts["checkpoint_sha256"][:8]
    plain = [without_weights("identity", lambda photo: photo)]
    return plain + [without_weights(PHOTO_APP, auto_levels)] * photo_app + loaded


def choose_pairs(splits: PairSplits, split: str) -> list[PhotoPair]:
    """The pairs of one split or group of splits, each once: with DPED's split, calibration is a part of train."""
    wanted = GROUPS.get(split, (split,))
    return list(dict.fromkeys(pair for name in wanted for pair in getattr(splits, name)))


def score(models: Sequence[Model], pairs: Sequence[PhotoPair], split: str, sheet: Sheet) -> list[Row]:
    """One row per model: its facts, the means of its scores over the pairs, and on how many pairs."""
    scores = [Scores() for _ in models]
    with tqdm(total=len(pairs) * len(models), desc="evaluate", unit="photo") as progress:
        for pair in pairs:
            phone, dslr = (np.divide(side, 255, dtype=np.float32) for side in pair.load())
            versions = {}
            for model, into in zip(models, scores, strict=True):
                versions[model.facts["model"]] = enhanced = model.enhance(phone)
                into.add(enhanced, dslr)
                progress.update()
            sheet.add({**versions, "DSLR photo": dslr})
    used = {"images": len(pairs), "simulated_images": sum(pair.simulated for pair in pairs), "split": split}
    return [model.facts | mine.means() | used for model, mine in zip(models, scores, strict=True)]


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
    images, simulated, split = rows[0]["images"], rows[0]["simulated_images"], rows[0]["split"]
    return "\n".join(lines) + f"""

Protocol: {images} photo pairs, split `{split}`, phone side {_simulated(images, simulated)}. Source: {description}.
Each output against the DSLR photo: whole photo, float, RGB, sRGB-encoded, clamped to [0, 1], not rounded to 8 bit.
All scores are taken per image and averaged, each image with equal weight; "of mean MSE" is the PSNR of the averaged
squared error. SSIM: Gaussian window of 11 px, sigma 1.5. MS-SSIM: five scales, as the authors of DPED score it.
dE 2000: mean CIEDE2000. Colour shift: mean of output minus DSLR photo, in units of the range. MAC/px: of the tile
network, halo not counted. Photos above {WHOLE_PX / 1e6:g} MP run in tiles under the whole photo's condition.
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
    args.out.mkdir(parents=True, exist_ok=True)  # a path that cannot be written shows before the work
    if args.cameras:
        rows, text = by_camera(args)
    else:
        rows, text = one_camera(args, args.phone, args.out)
    write_text(args.out / "quality.json", json.dumps(rows, indent=2, allow_nan=False) + "\n")
    write_text(args.out / "quality.md", text)
    print(text)
    return args.out


def one_camera(args: argparse.Namespace, phone: str, out: Path) -> tuple[list[Row], str]:
    """Rows and table of one phone's pairs; the sheet goes to `out`."""
    checkpoints = [given.replace("{camera}", phone) for given in args.checkpoints]
    models = load_models(checkpoints, args.accelerator, args.photo_app)
    splits = find_pairs(args.pairs, phone)
    if args.fold:
        splits = fold_of(splits, *args.fold)
    pairs = usable(choose_pairs(splits, args.split), log.warning)
    sheet = Sheet()
    rows = score(models, pairs, args.split, sheet)
    sheet.save(out / "sheet.jpg")
    return rows, table(rows, splits.description)


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
    parser.add_argument("--phone", default="iphone", help="which phone's pairs (default: %(default)s)")
    parser.add_argument("--cameras", nargs="+", metavar="NAME", help="one table for each of these phones")
    parser.add_argument("--photo-app", action="store_true", help="a row for what photo apps do: auto levels")
    parser.add_argument("--fold", type=parse_fold, metavar="K/N", help="the pairs that train.py --fold K/N held out")
    parser.add_argument("--split", choices=[*SPLITS, *GROUPS], default="validation", help="default: %(default)s")
    parser.add_argument("--accelerator", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/quality"),
        help="folder for quality.md, quality.json and sheet.jpg (default: %(default)s)",
    )
    return run(parser, evaluate, argv)


if __name__ == "__main__":
    raise SystemExit(main())
