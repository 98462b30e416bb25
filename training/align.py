"""python training/align.py --phone PHONE_PHOTOS --dslr DSLR_PHOTOS --out MY_DATA

Makes a training set of your own photo pairs: each scene once by the phone and once by the DSLR, from the same place.
SIFT keypoints and a MAGSAC homography lay the DSLR photo on the phone photo; windows all over the view make it exact;
patches are cut from what both show, each moved to a fraction of a pixel and kept only if it correlates.

Out comes <out>/<phone>/ in DPED's layout, split by photo, with manifest.json, refused.txt (which photos were not used
and why) and sheet.jpg; pairs/*/blink.webp shows each pair in turn. Then: train.py --pairs <out> --phone <phone>.

A cluster: `--dask tcp://HOST:8786`, its workers with `dask worker --nthreads 1 --nworkers auto tcp://HOST:8786` on
machines that see the three folders under the same paths.

Ctrl-C is fine: the same command goes on where it stopped, and takes up photos that were added or changed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from joblib import delayed
from tqdm import tqdm

from training.alignment.aligned_pair import SUFFIXES, Record, Settings, align_pair, record_of
from training.alignment.pairing import Shots, Unpaired, by_name, by_time
from training.alignment.patch_set import MANIFEST, PAIRS, publish
from training.alignment.workers import workers
from training.commandline import UserError, log, printable, run
from training.data.pairs import DSLR_FOLDER
from training.files import locked


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="align.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("--phone", type=Path, required=True, metavar="DIR", help="photos of the phone")
    add("--dslr", type=Path, required=True, metavar="DIR", help="photos of the DSLR")
    add("--out", type=Path, required=True, metavar="FOLDER", help="the training set; a DPED root")
    add("--name", default="phone", help="of the phone's folder in it (default: %(default)s)")
    add("--pair-by", choices=["name", "time"], default="name", help="what makes two photos a pair (default: name)")
    add("--tolerance", type=float, default=2.0, metavar="S", help="between EXIF times, in s (default: %(default)s)")
    add("--dslr-ahead", type=float, default=0.0, metavar="S", help="by how much the DSLR's clock is ahead, in s")
    add("--patch", type=int, default=100, metavar="PX", help="side of a patch (default: %(default)s)")
    add("--min-correlation", type=float, default=0.9, help="below, a patch is dropped (default: %(default)s)")
    add("--test-share", type=float, default=0.1, help="of the photos, to test on (default: %(default)s)")
    add("--format", choices=list(SUFFIXES), default="png", help="png loses nothing; jpg as DPED's own (default: png)")
    add("--jobs", type=int, default=1, help="pairs at a time (default: %(default)s)")
    add("--dask", metavar="ADDRESS", help="of a Dask scheduler, whose workers do it instead")
    return made


def find(args: argparse.Namespace) -> tuple[list[Shots], Unpaired]:
    phones, dslrs = args.phone.absolute(), args.dslr.absolute()  # workers of a cluster start elsewhere
    if args.pair_by == "name":
        return by_name(phones, dslrs)
    return by_time(phones, dslrs, timedelta(seconds=args.tolerance), timedelta(seconds=args.dslr_ahead))


def check(args: argparse.Namespace) -> None:
    if args.patch < 32:
        raise UserError(f"--patch {args.patch}: too small to be compared; give 32 px or more")
    if args.jobs < 1:
        raise UserError(f"--jobs {args.jobs}: give 1 or more")
    if not 0 < args.min_correlation <= 1 or not 0 <= args.test_share <= 1 or not args.tolerance >= 0:
        raise UserError("--min-correlation and --test-share must be between 0 and 1, --tolerance not negative")
    if args.name == DSLR_FOLDER or not args.name.replace("-", "").replace("_", "").isalnum():
        raise UserError(f"--name {args.name}: give letters and digits, and not {DSLR_FOLDER}")


def align(args: argparse.Namespace) -> Path:
    check(args)
    pairs, unpaired = find(args)
    root = args.out / args.name
    with locked(root):
        return align_all(args, pairs, unpaired, root)


def align_all(args: argparse.Namespace, pairs: list[Shots], unpaired: Unpaired, root: Path) -> Path:
    settings = Settings(args.name, args.patch, args.min_correlation, args.format)
    folder = root / PAIRS
    folder.mkdir(exist_ok=True)

    records: dict[str, Record] = {}
    for shots in pairs:
        if finished := record_of(shots, settings, folder):
            records[shots.key] = finished
    todo = [shots for shots in pairs if shots.key not in records]
    log.info("%d pairs, %d of them finished already; %d photos without a partner",
             len(pairs), len(records), len(unpaired))  # fmt: skip
    with workers(args.jobs, args.dask, [args.phone.absolute(), args.dslr.absolute(), folder.absolute()]) as work:
        aligned = work(delayed(align_pair)(shots, settings, folder.absolute()) for shots in todo)
        for record in tqdm(aligned, desc="align", unit="pair", total=len(todo), smoothing=0.05):
            records[record["key"]] = record
            if "refused" in record:
                log.warning("refused: %s + %s: %s", record["phone"], record["dslr"], record["refused"])

    unusable = [(printable(path.name), reason) for path, reason in unpaired]
    in_order = [records[shots.key] for shots in pairs]
    counts = publish(pairs, in_order, unusable, settings, args.test_share, root)["counts"]
    log.info("%(pairs)d pairs aligned, %(refused)d photos or pairs refused, %(train_patches)d patches to train on, "
             "%(test_patches)d to test on", counts)  # fmt: skip
    if not counts["pairs"]:
        raise UserError(f"{root / 'refused.txt'}: no pair could be aligned; the reasons are there")
    if counts["pairs"] == 1:
        log.warning("one pair only: nothing to test on, and what is held out of its patches shows the same scene")
    return root / MANIFEST


def main(argv: Sequence[str] | None = None) -> int:
    return run(parser(), align, argv)


if __name__ == "__main__":
    raise SystemExit(main())
