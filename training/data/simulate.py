"""python training/data/simulate.py FOLDER...

Photographs photos of DSLR quality anew with simulated cameras, and packs patches of both for `train.py --packed`. What
they should become is the original in good tone. Some are taken by no camera: what a good photo should become is
learned, too. With --attribution, only photos whose source and licence are known are used. Make a set in parts that a
killed run loses one of at most by a run for each --seed; train.py takes them all.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from training.commandline import UserError, log, run, whole
from training.data.packed import Writer
from training.data.pictures import crops
from training.photos import Pixels, from_samples, read_folder
from training.tiling import thumbnail, to_uint8

ALONE_EVERY = 3  # of the patches: it is its own thumbnail, as it is for those of DPED, whose photos nobody has
LONG_SIDE_PX = (700, 1600)  # a smaller photo stays as it is


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="simulate.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("photos", type=Path, nargs="+", metavar="FOLDER", help="folders with photos of DSLR quality")
    add("--attribution", type=Path, metavar="CSV", help="photo (folder/file), source, licence: others are left out")
    add("--variants", type=whole(1), default=3, help="simulated phones per photo (default: %(default)s)")
    add(
        "--unchanged-every",
        type=whole(1),
        default=5,
        metavar="N",
        help="one in N is taken by no camera (default: %(default)s)",
    )
    add("--crops", type=whole(1), default=24, help="patches per variant (default: %(default)s)")
    add("--patch", type=whole(8), default=100, help="side of a patch in px (default: %(default)s)")
    add("--thumbnail", type=whole(8), default=64, help="side of a thumbnail in px (default: %(default)s, as pocket's)")
    add("--seed", type=whole(), default=0, help="of what is random (default: %(default)s)")
    add("--out", type=Path, default=Path("runs/simulated"), help="folder (default: %(default)s)")
    return parser


def simulate(args: argparse.Namespace) -> Path:
    from training.camera.good_tone import good_tone  # loads OpenCV: not before the flags are known to be right
    from training.camera.photograph import photograph
    from training.camera.shot import draw

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
    originals = [pixels for pixels in large.values() for _ in range(args.variants)]
    for index, original in enumerate(
        tqdm(originals, desc="simulated photos", unit="photo", mininterval=1, disable=None)
    ):
        dslr = scaled(original, int(random.integers(*LONG_SIDE_PX)), args.patch)
        shot = draw(int(random.integers(2**31)))
        phone = dslr if index % args.unchanged_every == 0 else photograph(dslr, shot)
        answer, small = to_uint8(good_tone(from_samples(dslr))), thumbnail(phone, args.thumbnail, args.thumbnail)
        for number, crop in enumerate(crops(dslr.shape, args.patch, args.crops, random)):
            alone = number % ALONE_EVERY == 0
            seen = thumbnail(phone[crop], args.thumbnail, args.thumbnail) if alone else small
            samples.add(seen, phone[crop], answer[crop])
    facts = {
        "settings": {name: str(value) for name, value in sorted(vars(args).items()) if name not in ("out", "photos")},
        "photos": sorted(large),
        "licences": [f"{len(large)} photos, the phone's side by simulated cameras: {', '.join(sorted(licences))}"],
    }
    return samples.save(facts)


def scaled(photo: Pixels, long_side_px: int, min_side_px: int) -> Pixels:
    """The photo, made smaller so that its long side has `long_side_px`, and its short one at least `min_side_px`."""
    import cv2

    height, width = photo.shape[:2]
    factor = max(long_side_px / max(height, width), min_side_px / min(height, width))
    if factor >= 1:
        return photo
    return np.asarray(cv2.resize(photo, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_AREA))


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
