"""python training/quantize_aware.py --checkpoint pocket-iphone

Makes a checkpoint bear 8-bit convolutions, whatever the backend. First channels are rescaled so that none wastes the
range of its tensor (which changes nothing else), then the convolutions of enhance learn, with rounding imitated, to
answer what the network answers now. At last all kernels, those of analyze as well, are rounded to whole multiples of a
step for each output channel: 8 bits then store them without loss. Out comes an ordinary float checkpoint that every
converter quantizes. The same command again resumes a run that was interrupted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from training.commandline import real, run, whole


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="quantize_aware.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--checkpoint", required=True, metavar="NAME_OR_PATH", help="a released name or a path")
    add("--pairs", type=Path, help="photo pairs, of which the phone side counts (default: the embedded sample)")
    add("--packed", type=Path, nargs="*", default=[], metavar="FOLDER", help="learn from these samples of teach.py or "
        "simulate.py; the pairs then only judge")  # fmt: skip
    add("--steps", type=whole(), default=600, help="optimizer steps; 0 only rescales and rounds (default: %(default)s)")
    add("--batch", type=whole(1), default=16, help="patches per step (default: %(default)s)")
    add("--patch", type=whole(1), default=64, help="side of a patch in px (default: %(default)s)")
    add("--lr", type=real(0, above=True), default=1e-3, help="learning rate of Adam (default: %(default)s)")
    add("--seed", type=whole(), default=0, help="of what is random (default: %(default)s)")
    add("--out", type=Path, help="folder of the run (default: runs/<checkpoint>-qat)")
    return parser


def quantize_aware(args: argparse.Namespace) -> Path:
    from training.loop.eight_bits import EightBitSettings, learn_eight_bits  # loads torch, which takes seconds

    return learn_eight_bits(EightBitSettings(**{**vars(args), "packed": tuple(args.packed)}))


def main(argv: Sequence[str] | None = None) -> int:
    return run(parse(), quantize_aware, argv)


if __name__ == "__main__":
    raise SystemExit(main())
