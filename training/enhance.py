"""python training/enhance.py PHOTO_OR_FOLDER...

Enhances photos of any size with the float generator, in tiles and bounded memory. EXIF is kept, colours become sRGB.
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from training.checkpoint import default_release
from training.commandline import UserError, log, run
from training.enhancer import Enhancer
from training.enhancer.full_size import enhance_file
from training.photos import ENCODERS, PHOTO_SUFFIXES, PhotoError


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="enhance.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("photos", nargs="+", type=Path, metavar="PHOTO_OR_FOLDER")
    add("--checkpoint", default=default_release(), help="path or released name (default: %(default)s)")
    add("--strength", type=float, default=1.0, help="0 leaves the photo as it is, 1 is the full effect (default: 1)")
    add(
        "--condition", choices=("exact", "thumbnail"), default="exact",
        help="for generators that normalize with statistics of the photo, such as DPED: exact ones, which takes one "
        "pass over the photo for each norm, or those of its thumbnail, as on a phone (default: %(default)s)",
    )  # fmt: skip
    add("--accelerator", choices=("cpu", "cuda"), default="cpu", help="to compute on (default: %(default)s)")
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
            with tqdm(unit="px", unit_scale=True, desc=source.name, mininterval=1) as bar, _stopped_by_sigterm():
                notes = enhance_file(enhancer, source, target, args.strength, args.condition, _show_on(bar))
            for note in notes:
                log.info("%s: %s", source, note)
        except PhotoError as error:
            log.error("%s", error)
            failed += 1
    if failed:
        raise UserError(f"{failed} of {len(sources)} photos could not be enhanced, as said above; the others are done")
    return made[0] if len(made) == 1 else args.out


def _show_on(bar: tqdm[NoReturn]) -> Callable[[int, int], None]:
    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done)

    return show


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """As by Ctrl-C: by itself, the signal would leave temporary files."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
