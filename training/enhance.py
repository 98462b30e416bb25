"""python training/enhance.py PHOTO_OR_FOLDER...

Enhances photos of any size with the float generator, in tiles; EXIF and colour profile are kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from training.commandline import UserError, log, run
from training.enhancer import Enhancer
from training.photos import ENCODERS, PHOTO_SUFFIXES, PhotoError, read_photo, write_photo


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="enhance.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("photos", nargs="+", type=Path, metavar="PHOTO_OR_FOLDER")
    add("--checkpoint", default="runs/pocket", help="path or released name (default: what train.py made)")
    add("--strength", type=float, default=1.0, help="0 leaves the photo as it is, 1 is the full effect (default: 1)")
    add("--accelerator", choices=("cpu", "cuda"), default="cpu", help="(default: %(default)s)")
    add("--out", type=Path, default=Path("enhanced"), help="folder for the results (default: %(default)s)")
    return parser


def enhance(args: argparse.Namespace) -> Path:
    if not 0 <= args.strength <= 1:
        raise UserError(f"--strength {args.strength}: must lie between 0 and 1")
    sources = list(_sources(args.photos))
    enhancer = Enhancer.load(args.checkpoint, args.accelerator)
    log.info("%s; licence of the weights: %s", args.checkpoint, enhancer.checkpoint.licence)
    made = [_writable(args.out / relative) for _, relative in sources]
    for target in made:
        if made.count(target) > 1:
            raise UserError(f"{target}: two photos would be written there; enhance their folders one at a time")

    failed = 0
    for (source, _), target in zip(sources, made, strict=True):
        try:
            photo = read_photo(source)
            height, width = photo.pixels.shape[:2]
            with tqdm(total=height * width, unit="px", unit_scale=True, desc=source.name, mininterval=1) as bar:
                output = enhancer(photo.pixels, args.strength, bar.update)
            for note in photo.notes:
                log.info("%s: %s", source, note)
            write_photo(target, replace(photo, pixels=output))
        except PhotoError as error:
            log.error("%s", error)
            failed += 1
    if failed:
        raise UserError(f"{failed} of {len(sources)} photos could not be enhanced, as said above; the others are done")
    return made[0] if len(made) == 1 else args.out


def _writable(target: Path) -> Path:
    """Formats that are read but not written become JPEG."""
    return target if target.suffix.lower() in ENCODERS else target.with_suffix(".jpg")


def _sources(given: Sequence[Path]) -> list[tuple[Path, Path]]:
    """(photo, its path below --out)."""
    found: list[tuple[Path, Path]] = []
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES and p.is_file())
            if not inside:
                raise UserError(f"{path}: no photo in this folder ({', '.join(sorted(PHOTO_SUFFIXES))})")
            found += [(p, p.relative_to(path)) for p in inside]
        elif path.is_file():
            found.append((path, Path(path.name)))
        else:
            raise UserError(f"{path}: no such photo or folder")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    return run(parse(), enhance, argv)


if __name__ == "__main__":
    raise SystemExit(main())
