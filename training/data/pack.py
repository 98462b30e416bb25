"""python training/data/pack.py --pairs MY_DATA --out runs/packed

Packs the training pairs once, so that `train.py --packed runs/packed --packed-share 1` opens no photo: into arrays on
disk that are mapped into memory, or, with --shard-mb, into WebDataset's tar files for sets that outgrow one disk.
Pairs larger than a patch are cut into patches that do not overlap, each with the thumbnail of its photo.
Pairs that are held out are not packed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from training.commandline import UserError, log, real, run, whole
from training.data.packed import Writer
from training.data.pairs import find_pairs, usable
from training.data.photo_pair import PhotoPair
from training.data.shards import write_shards
from training.tiling import thumbnail

Pixels = npt.NDArray[np.uint8]


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pack.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--pairs", type=Path, help="DPED root, or a folder with <phone>/ and canon/ (default: the embedded sample)")
    add("--phone", help="which phone of a DPED root (default: the only one, else iphone)")
    add("--patch", type=whole(8), default=100, help="side of a patch in px (default: %(default)s, as in DPED)")
    add("--thumbnail", type=whole(8), default=64, help="side of a thumbnail in px (default: %(default)s, as pocket's)")
    add("--shard-mb", type=real(0, above=True), help="write shards of about this size instead of arrays")
    add("--out", type=Path, default=Path("runs/packed"), help="folder (default: %(default)s)")
    return parser


def pack(args: argparse.Namespace) -> Path:
    splits = find_pairs(args.pairs, args.phone)
    pairs = usable(splits.train, log.warning)
    counts = [
        len(corners(pair.load()[0], args.patch)) for pair in tqdm(pairs, desc="measure", unit="pair", disable=None)
    ]
    if not all(counts):
        log.warning("%d pairs are smaller than a patch and left out", counts.count(0))
    if not sum(counts):
        raise UserError(f"{splits.description}: no pair is as large as a patch; choose a smaller --patch")
    facts = {
        "pairs": splits.description,
        "patch_px": args.patch,
        "thumbnail_px": args.thumbnail,
        "licences": sorted({pair.licence for pair in pairs}),
    }
    samples = tqdm(read(pairs, args.patch, args.thumbnail), desc="pack", unit="patch", total=sum(counts), disable=None)
    if args.shard_mb:
        return write_shards(samples, args.out, round(args.shard_mb * 1e6), facts)
    writer = Writer(sum(counts), args.patch, args.thumbnail, args.out)
    for phone, dslr, small in samples:
        writer.add(small, phone, dslr)
    return writer.save(facts)


def corners(photo: Pixels, patch_px: int) -> list[tuple[int, int]]:
    """Top and left of every patch of a photo."""
    height, width = photo.shape[:2]
    return [(y, x) for y in range(0, height - patch_px + 1, patch_px) for x in range(0, width - patch_px + 1, patch_px)]


def read(pairs: Sequence[PhotoPair], patch_px: int, thumbnail_px: int) -> Iterator[tuple[Pixels, Pixels, Pixels]]:
    """(phone, dslr, thumbnail) of every patch, pair by pair."""
    for pair in pairs:
        phone, dslr = pair.load()
        small = thumbnail(phone, thumbnail_px, thumbnail_px)
        for top, left in corners(phone, patch_px):
            crop = np.s_[top : top + patch_px, left : left + patch_px]
            yield phone[crop], dslr[crop], small


def main(argv: Sequence[str] | None = None) -> int:
    return run(parse(), pack, argv)


if __name__ == "__main__":
    raise SystemExit(main())
