"""python conversion/to_tflite.py [--checkpoint NAME_OR_PATH] [--precision dyn8]

Convert a checkpoint to TFLite for LiteRT: one `.tflite` with the signatures enhance and analyze, channels last.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from conversion.backends.tflite import CONVERTER
from conversion.converter import make_parser
from training.commandline import run


def body(args: argparse.Namespace) -> Path:
    from conversion.convert import convert

    return convert(args, CONVERTER)


def main(argv: Sequence[str] | None = None) -> int:
    return run(make_parser(__doc__, CONVERTER), body, argv)


if __name__ == "__main__":
    raise SystemExit(main())
