"""python training/data/simulate.py FOLDER...

Takes photos as the DSLR side, simulates the phone's, and packs patches of both for `train.py --packed`. One in five
stays as it is on both sides: a photo that is good already is to be left alone. With --attribution, only photos whose
source and licence are known are used.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from training.commandline import UserError, log, run, whole
from training.data import simulated_phone
from training.data.packed import Writer
from training.data.pictures import crops
from training.photos import read_folder
from training.tiling import thumbnail

UNCHANGED_EVERY = 5


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="simulate.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("photos", type=Path, nargs="+", metavar="FOLDER", help="folders with photos of DSLR quality")
    add("--attribution", type=Path, metavar="CSV", help="photo (folder/file), source, licence: others are left out")
    add("--variants", type=whole(1), default=3, help="simulated phones per photo (default: %(default)s)")
    add("--crops", type=whole(1), default=24, help="patches per variant (default: %(default)s)")
    add("--patch", type=whole(8), default=100, help="side of a patch in px (default: %(default)s)")
    add("--thumbnail", type=whole(8), default=64, help="side of a thumbnail in px (default: %(default)s, as pocket's)")
    add("--seed", type=whole(), default=0, help="of what is random (default: %(default)s)")
    add("--out", type=Path, default=Path("runs/simulated"), help="folder (default: %(default)s)")
    return parser


def simulate(args: argparse.Namespace) -> Path:
    photos = {f"{folder.name}/{name}": p for folder in args.photos for name, p in read_folder(folder).items()}
    licences = {"as their owner states"}
    if args.attribution:
        licence_of = read_attribution(args.attribution)
        unknown = sorted(set(photos) - set(licence_of))
        log.info("%d photos without attribution are left out: %s", len(unknown), ", ".join(unknown) or "none")
        photos = {name: pixels for name, pixels in photos.items() if name in licence_of}
        licences = {licence_of[name] for name in photos}
    large = {name: pixels for name, pixels in photos.items() if min(pixels.shape[:2]) >= args.patch}
    if len(large) < len(photos):
        log.warning("%d photos are smaller than a patch and left out", len(photos) - len(large))
    if not large:
        raise UserError(f"{args.photos[0]}: no photo is left that is as large as a patch; choose a smaller --patch")

    samples = Writer(len(large) * args.variants * args.crops, args.patch, args.thumbnail, args.out)
    random = np.random.default_rng(args.seed)
    made = [pixels for pixels in large.values() for _ in range(args.variants)]
    for index, dslr in enumerate(tqdm(made, desc="simulated photos", unit="photo", mininterval=1, disable=None)):
        unchanged = index % UNCHANGED_EVERY == 0
        phone = dslr if unchanged else simulated_phone.simulate(dslr, int(random.integers(2**31)))
        small = thumbnail(phone, args.thumbnail, args.thumbnail)
        for crop in crops(dslr.shape, args.patch, args.crops, random):
            samples.add(small, phone[crop], dslr[crop])
    facts = {
        "settings": {name: str(value) for name, value in sorted(vars(args).items()) if name not in ("out", "photos")},
        "photos": sorted(large),
        "licences": [f"{len(large)} photos, the phone's side simulated: {', '.join(sorted(licences))}"],
    }
    return samples.save(facts)


def read_attribution(path: Path) -> dict[str, str]:
    """Photo -> licence, from a CSV with the columns photo, source, licence, none of them empty."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if not rows or not all(row["photo"] and row["source"] and row["licence"] for row in rows):
            raise ValueError("a column is empty")
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise UserError(f"{path}: no table of photo, source, licence ({error}); correct it") from error
    return {row["photo"]: row["licence"] for row in rows}


def main(argv: Sequence[str] | None = None) -> int:
    return run(parse(), simulate, argv)


if __name__ == "__main__":
    raise SystemExit(main())
