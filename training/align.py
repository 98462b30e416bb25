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
from pathlib import Path

from training.commandline import real, run, whole

MAX_TOLERANCE_S = 86_400  # a day
MAX_AHEAD_S = 10 * 366 * 86_400


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="align.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--phone", type=Path, required=True, metavar="DIR", help="photos of the phone")
    add("--dslr", type=Path, required=True, metavar="DIR", help="photos of the DSLR")
    add("--out", type=Path, required=True, metavar="FOLDER", help="the training set; a DPED root")
    add("--name", default="phone", help="of the phone's folder in it (default: %(default)s)")
    add("--licence", default="not stated by its maker", metavar="TEXT",
        help="of your photos; networks that learn from them carry it (default: %(default)s)")  # fmt: skip
    add("--pair-by", choices=["name", "time"], default="name",
        help="what makes two photos a pair (default: %(default)s)")  # fmt: skip
    add("--tolerance", type=real(0, MAX_TOLERANCE_S), default=2.0, metavar="S",
        help="between EXIF times, in s (default: %(default)s)")  # fmt: skip
    add("--dslr-ahead", type=real(-MAX_AHEAD_S, MAX_AHEAD_S), default=0.0, metavar="S",
        help="by how much the DSLR's clock is ahead, in s (default: %(default)s)")  # fmt: skip
    add("--patch", type=whole(32, 1024), default=100, metavar="PX", help="side of a patch (default: %(default)s)")
    add("--min-correlation", type=real(0, 1, above=True), default=0.9,
        help="below, a patch is dropped (default: %(default)s)")  # fmt: skip
    add("--test-share", type=real(0, 1), default=0.1, help="of the photos, to test on (default: %(default)s)")
    add("--format", choices=["png", "jpg"], default="png",
        help="png loses nothing; jpg as DPED's own (default: %(default)s)")  # fmt: skip
    add("--jobs", type=whole(1, 1024), default=1, help="pairs at a time (default: %(default)s)")
    add("--dask", metavar="ADDRESS", help="of a Dask scheduler, whose workers do it instead")
    return parser


def align(args: argparse.Namespace) -> Path:
    from training.alignment.aligned_pair import Settings
    from training.alignment.photo_set import PhotoSet, make_set

    return make_set(PhotoSet(
        args.phone, args.dslr, args.out, Settings(args.name, args.patch, args.min_correlation, args.format),
        pair_by=args.pair_by, tolerance_s=args.tolerance, dslr_ahead_s=args.dslr_ahead, test_share=args.test_share,
        licence=args.licence, jobs=args.jobs, dask=args.dask,
    ))  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    return run(parser(), align, argv)


if __name__ == "__main__":
    raise SystemExit(main())
