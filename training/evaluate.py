"""python training/evaluate.py runs/pocket runs/published/dped-iphone.safetensors --pairs PATH/dped

Quality against the DSLR side: one table for any number of checkpoints, with the phone photo as it is (`identity`) in
the first row and the protocol below, and a sheet of the first photos to look at. Published weights take part after
import_published.py. Without --pairs the embedded sample is used, whose phone side is simulated.
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
from training.commandline import UserError, run
from training.enhancer import Array, Enhancer
from training.files import write_text
from training.metrics import Scores
from training.pairs import PairSplits, PhotoPair, find_pairs, fold_of, parse_fold, usable
from training.sheet import Sheet

SPLITS = ("train", "validation", "calibration", "fidelity")
GROUPS = {"held-out": ("validation", "fidelity"), "all": SPLITS}
WHOLE_PX = 2_000_000  # larger photos run in tiles, under the same condition, to bound memory
log = logging.getLogger(__name__)
Row = dict[str, Any]


@dataclass
class Model:
    """A row to be: what is known of a model, and how it enhances [H, W, 3] in [0, 1]."""

    facts: Row
    enhance: Callable[[Array], Array]


def identity() -> Model:
    facts = {"model": "identity", "params": 0, "mac_per_px": 0.0, "checkpoint_sha256": None, "licence": None}
    return Model(facts, lambda photo: photo)


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


def load_models(names_or_paths: Sequence[str], device: str) -> list[Model]:
    """`identity` and the checkpoints; those of one name get the beginning of their checksum beside it."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise UserError(f"--device {device}: not available here; use cpu") from None
    loaded = [load_model(given, device) for given in names_or_paths]
    count = Counter(model.facts["model"] for model in loaded)
    for model in loaded:
        if count[model.facts["model"]] > 1:
            model.facts["model"] += "@" + model.facts["checkpoint_sha256"][:8]
    return [identity(), *loaded]


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
"""  # fmt: skip


def _simulated(images: int, simulated: int) -> str:
    if simulated in (0, images):
        return "SIMULATED" if simulated else "taken by a phone"
    return f"SIMULATED in {simulated} of them"


def evaluate(args: argparse.Namespace) -> Path:
    files = [path for path in (args.out / "quality.json", args.json) if path]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)  # a path that cannot be written shows before the work
    models = load_models(args.checkpoints, args.device)
    splits = find_pairs(args.pairs, args.phone)
    if args.fold:
        splits = fold_of(splits, *args.fold)
    pairs = usable(choose_pairs(splits, args.split), log.warning)
    sheet = Sheet()
    rows = score(models, pairs, args.split, sheet)
    text = table(rows, splits.description)
    for path in files:
        write_text(path, json.dumps(rows, indent=2, allow_nan=False) + "\n")
    write_text(args.out / "quality.md", text)
    sheet.save(args.out / "sheet.jpg")
    print(text)
    return args.out


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="*", help="paths of checkpoints or released names")
    parser.add_argument("--pairs", type=Path, help="DPED root, or a folder with <phone>/ and canon/ (default: sample)")
    parser.add_argument("--phone", default="iphone", help="which phone's pairs (default: %(default)s)")
    parser.add_argument("--fold", type=parse_fold, metavar="K/N", help="the pairs that train.py --fold K/N held out")
    parser.add_argument("--split", choices=[*SPLITS, *GROUPS], default="validation", help="default: %(default)s")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write the rows to this file, too")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/quality"),
        help="folder for quality.md, quality.json and sheet.jpg (default: %(default)s)",
    )
    return run(parser, evaluate, argv)


if __name__ == "__main__":
    raise SystemExit(main())
