"""python training/data/teach.py --phone-photos DIR --teachers CHECKPOINT...

Asks published generators about many photos that have no DSLR side and packs the answers for `train.py --packed`:
patches that stand alone, as DPED's pairs do, and patches of whole photos.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from training.commandline import UserError, log, run, whole
from training.data.packed import Writer
from training.data.pictures import Pictures, crops
from training.photos import read_folder
from training.tiling import thumbnail

PATCHES_AT_ONCE = 16  # fills a GPU better than one does; a CPU's cache holds no more


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="teach.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--phone-photos", type=Path, required=True, help="folder with whole photos of the phone")
    add("--hold-out", nargs="*", default=[], metavar="NAME", help="files of --phone-photos that are not to be used")
    add("--photos", type=Path, nargs="*", default=[], help="folders with other photos, which get the phone's tone")
    add("--teachers", nargs="+", required=True, metavar="CHECKPOINT", help="the mean of their outputs is the answer")
    add("--patches", type=whole(), default=28000, help="patches that stand alone (default: %(default)s)")
    add("--whole", type=whole(), default=400, help="whole photos (default: %(default)s)")
    add("--crops", type=whole(1), default=24, help="patches of each whole photo (default: %(default)s)")
    add("--patch", type=whole(8), default=100, help="side of a patch in px (default: %(default)s, as in DPED)")
    add("--thumbnail", type=whole(8), default=64, help="side of a thumbnail in px (default: %(default)s, as pocket's)")
    add("--seed", type=whole(), default=0, help="of what is random (default: %(default)s)")
    add("--accelerator", choices=("cpu", "cuda"), default="cpu", help="to compute on (default: %(default)s)")
    add("--out", type=Path, default=Path("runs/taught"), help="folder (default: %(default)s)")
    return parser


def teach(args: argparse.Namespace) -> Path:
    import torch  # takes seconds: not before the flags are known to be right

    from training.checkpoint import Checkpoint
    from training.generators.teachers import Answers

    if args.accelerator == "cuda" and not torch.cuda.is_available():
        raise UserError("--accelerator cuda: no GPU that CUDA can use is here; give cpu")
    phone = {name: pixels for name, pixels in read_folder(args.phone_photos).items() if name not in args.hold_out}
    others = {f"{folder.name}/{name}": p for folder in args.photos for name, p in read_folder(folder).items()}
    too_small = [name for name, pixels in {**phone, **others}.items() if min(pixels.shape[:2]) < args.patch]
    if too_small or not phone:
        raise UserError(
            f"{args.phone_photos}: {', '.join(too_small) or 'no photo is left'}"
            f"{' smaller than a patch' if too_small else ''}; choose other photos or a smaller --patch"
        )
    teachers = [Checkpoint.load(name) for name in args.teachers]
    log.info("%d phone photos, %d others, %d teachers", len(phone), len(others), len(teachers))

    pictures = Pictures(list(phone.values()), list(others.values()), args.patch)
    answer = Answers([teacher.generator for teacher in teachers], args.accelerator)
    samples = Writer(args.patches + args.whole * args.crops, args.patch, args.thumbnail, args.out)
    random = np.random.default_rng(args.seed)
    with tqdm(total=args.patches, desc="patches", unit="patch", mininterval=1, disable=None) as bar:
        for start in range(0, args.patches, PATCHES_AT_ONCE):
            patches = [pictures.patch(random) for _ in range(min(PATCHES_AT_ONCE, args.patches - start))]
            for patch, answered in zip(patches, answer(patches, random), strict=True):
                samples.add(thumbnail(patch, args.thumbnail, args.thumbnail), patch, answered)
            bar.update(len(patches))
    for _ in tqdm(range(args.whole), desc="whole photos", unit="photo", mininterval=1, disable=None):
        photo = pictures.whole(random)
        small, (answered,) = thumbnail(photo, args.thumbnail, args.thumbnail), answer([photo], random)
        for crop in crops(photo.shape, args.patch, args.crops, random):
            samples.add(small, photo[crop], answered[crop])
    facts = {
        "settings": {name: str(value) for name, value in sorted(vars(args).items()) if name != "out"},
        "teachers": {teacher.name: teacher.sha256 for teacher in teachers},
        "photos": sorted(phone) + sorted(others),
        "licences": sorted({f"{teacher.name}: {teacher.licence}" for teacher in teachers}),
    }
    return samples.save(facts)


def main(argv: Sequence[str] | None = None) -> int:
    return run(parse(), teach, argv)


if __name__ == "__main__":
    raise SystemExit(main())
