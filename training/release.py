"""python training/release.py runs/pocket-iphone --name pocket-iphone

Makes a release of a trained checkpoint: weights rounded to half precision, with a model card beside them. The card
states what went in and what came out, from the files of the run and of its evaluation.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import torch

from training.checkpoint import WEIGHTS_FOLDER, Checkpoint
from training.commandline import UserError, log, run
from training.files import write_text

MAX_BYTES = 500_000


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="release.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("checkpoint", help="path of a trained checkpoint or its run")
    add("--name", required=True, help="of the release: small letters, digits and hyphens")
    add("--about", required=True, help="one paragraph for the card: what it is for")
    add("--licence", required=True, help="of the weights")
    add("--command", required=True, help="the one command that makes it again")
    add("--limits", required=True, help="one paragraph for the card: where not to use it")
    add("--tables", type=Path, nargs="*", default=[], metavar="FILE.md", help="result tables to put into the card")
    add("--out", type=Path, default=WEIGHTS_FOLDER, help="folder (default: the released weights)")
    return parser


def release(args: argparse.Namespace) -> Path:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", args.name):
        raise UserError(f"--name {args.name!r}: use small letters, digits and hyphens, such as pocket-iphone")
    missing = [str(path) for path in args.tables if not path.is_file()]
    if missing:
        raise UserError(f"{missing[0]}: no such table; make it with evaluate.py or cross_validate.py")
    checkpoint = Checkpoint.load(args.checkpoint)
    for parameter in checkpoint.generator.parameters():
        parameter.data = parameter.data.to(torch.float16)
    checkpoint.name, trained_on, checkpoint.licence = args.name, checkpoint.licence, args.licence
    checkpoint.provenance |= {"trained_from_sha256": checkpoint.sha256, "trained_on": trained_on}
    path = checkpoint.save(args.out / f"{args.name}.safetensors")
    size_bytes = path.stat().st_size
    if size_bytes > MAX_BYTES:
        path.unlink()
        raise UserError(
            f"{args.name}: {size_bytes:,} bytes are more than the {MAX_BYTES:,} of a release; train a smaller one"
        )
    write_text(args.out / f"{args.name}.md", card(args, checkpoint, trained_on, size_bytes))
    log.info("%s: %s bytes, %s", args.name, f"{size_bytes:,}", args.licence)
    return path


def card(args: argparse.Namespace, checkpoint: Checkpoint, trained_on: str, size_bytes: int) -> str:
    generator = checkpoint.generator
    used = "\n".join(f"- {part.strip()}" for part in trained_on.split(": ", 1)[-1].split(";"))
    tables = "\n".join(path.read_text() for path in args.tables)
    return f"""# {args.name}

{args.about}

- licence of the weights: {args.licence}
- network: `{generator.name}`, {generator.parameter_count():,} parameters, {generator.mac_per_px():,.0f} MAC per pixel
- file: {size_bytes:,} bytes, half precision, sha256 {checkpoint.sha256}
- made again by: `{args.command}`

## Learned from
{used}

## Scores
{tables}
## Limits
{args.limits}
"""


def main(argv: Sequence[str] | None = None) -> int:
    return run(parse(), release, argv)


if __name__ == "__main__":
    raise SystemExit(main())
