"""python training/import_published.py PATH/iphone_orig

The authors' published TensorFlow checkpoint -> a Checkpoint of this project, without TensorFlow. Knows the three
DPED generators (`models_orig/{iphone,blackberry,sony}_orig`) and PPCN's student and teacher (`student.ckpt`,
`teacher.ckpt`); which one it is shows in the file. Every checksum inside is verified.
"""

from __future__ import annotations

import argparse
import logging
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from training.commandline import UserError, run, whole
from training.files import sha256

if TYPE_CHECKING:
    from training.generators.base import Generator

LICENCE = "research use: the authors state no licence for these weights"
log = logging.getLogger(__name__)
FILLERS = {"orig", "ckpt", "model"}


def checkpoint_name(stem: str, kind: str) -> str:
    """File name and kind of generator -> name: ("iphone_orig", "dped") -> "dped-iphone"."""
    words = kind.split("_")
    for word in re.findall(r"[a-z0-9]+", stem.lower()):
        if word not in words and word not in FILLERS:
            words.append(word)
    return "-".join(words)


def import_published(args: argparse.Namespace) -> Path:
    from training.checkpoint import Checkpoint
    from training.published.networks import to_generator
    from training.published.tensorflow_checkpoint import read_checkpoint

    if args.name and not re.fullmatch(r"[a-z0-9][a-z0-9-]*", args.name):
        raise UserError(f"--name {args.name!r}: use small letters, digits and hyphens, such as dped-iphone")
    published = read_checkpoint(args.path)
    generator = to_generator(published)
    name = args.name or checkpoint_name(published.prefix.name, generator.name)
    if args.thumbnail is not None:
        generator = with_thumbnail(generator, args.thumbnail)
    checkpoint = Checkpoint(
        generator,
        LICENCE,
        provenance={
            "made_by": "training/import_published.py",
            "source": "weights published by the authors as a TensorFlow checkpoint",
            "source_files": {path.name: sha256(path) for path in published.files},
        },
        name=name,
    )
    log.info(f"{name}: {generator.parameter_count():,} parameters; {LICENCE}")
    return checkpoint.save(args.out / f"{name}.safetensors")


def with_thumbnail(generator: Generator, thumbnail_px: int) -> Generator:
    """The same weights, with a condition from a thumbnail of that side: where analyze runs the whole network, the cost
    of its call grows with the square of it."""
    from training.generators import build

    smaller = build(generator.name, {**asdict(generator.config), "thumbnail_px": thumbnail_px})
    smaller.load_state_dict(generator.state_dict())
    return smaller


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="prefix of the checkpoint, or its .index or .data file")
    parser.add_argument("--name", help="name of the checkpoint and its file (default: from file name and kind)")
    parser.add_argument("--thumbnail", type=whole(16, 512), metavar="PX",
                        help="side of the thumbnail that analyze sees (default: the generator's)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("runs/published"), help="folder (default: %(default)s)")
    return run(parser, import_published, argv)


if __name__ == "__main__":
    raise SystemExit(main())
