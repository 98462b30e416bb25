"""python training/enhance.py PHOTO_OR_FOLDER... [--out FOLDER_OR_FILE]

Enhances photos of any size, in tiles and bounded memory: a release by its TFLite artifact, which needs no PyTorch, any
other checkpoint by the float generator. EXIF is kept, colours become sRGB.
A photo is never replaced. Results that are there already, of the same photo with the same settings, are passed over;
`--overwrite` makes them again. A photo that cannot be read stops no other.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from training.commandline import log, real, run, whole
from training.weights import default_release


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="enhance.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("photos", nargs="+", type=Path, metavar="PHOTO_OR_FOLDER")
    add("--checkpoint", default=default_release(), metavar="NAME_OR_PATH",
        help="a released name, a checkpoint's path or an artifact's folder (default: %(default)s)")  # fmt: skip
    add("--strength", type=real(0, 1), default=1.0,
        help="0 leaves the photo as it is, 1 is the full effect (default: %(default)s)")  # fmt: skip
    add(
        "--condition", choices=("exact", "thumbnail"), default="exact",
        help="for generators that normalize with statistics of the photo, such as DPED: exact ones, which takes one "
        "pass over the photo for each norm, or those of its thumbnail, as on a phone (default: %(default)s)",
    )  # fmt: skip
    add("--accelerator", choices=("cpu", "cuda"), default="cpu", help="to compute on; cuda takes the "
        "float generator (default: %(default)s)")  # fmt: skip
    add("--quality", type=whole(1, 100), metavar="Q",
        help="of JPEG results, 1 to 100 (default: about the photo's own, from 85 to 95)")  # fmt: skip
    add(
        "--overwrite",
        action="store_true",
        help="make results again, and replace what else has their names; never a photo that is given",
    )
    add("--out", type=Path, default=Path("enhanced"), metavar="FOLDER_OR_FILE",
        help="folder for the results, or a file such as result.jpg for one photo (default: %(default)s)")  # fmt: skip
    return parser


def enhance(args: argparse.Namespace) -> Path:
    from training.enhancer import Enhancer
    from training.enhancer.batch import EnhanceSettings, enhance_photos, find_outputs
    from training.enhancer.memory import keep_freed_memory

    if args.accelerator != "cpu":
        from training.enhancer.torch_engine import check_accelerator

        check_accelerator(args.accelerator)
    keep_freed_memory()
    outputs = find_outputs(args.photos, args.out)
    enhancer = Enhancer.load(args.checkpoint, args.accelerator)
    log.info("%s; licence of the weights: %s", args.checkpoint, enhancer.model.licence)
    settings = EnhanceSettings(args.strength, args.condition, args.quality)
    enhance_photos(enhancer, outputs, settings, args.overwrite)
    return outputs[0].target if len(outputs) == 1 else args.out


def main(argv: Sequence[str] | None = None) -> int:
    return run(parse(), enhance, argv)


if __name__ == "__main__":
    raise SystemExit(main())
