"""python conversion/to_coreml.py [--checkpoint NAME_OR_PATH]

Convert a checkpoint to Core ML: two ML programs, `analyze.mlpackage` and `enhance.mlpackage`, for iOS 17 or iOS 18.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from conversion.backends.coreml import CONVERTER
from conversion.converter import make_parser
from training.commandline import run


def body(args: argparse.Namespace) -> Path:
    from conversion.convert import convert

    return convert(args, CONVERTER)


def main(argv: Sequence[str] | None = None) -> int:
    return run(make_parser(__doc__, CONVERTER), body, argv)


if __name__ == "__main__":
    raise SystemExit(main())
