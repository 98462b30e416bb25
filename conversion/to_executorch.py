"""python conversion/to_executorch.py [--checkpoint NAME_OR_PATH]

Convert a checkpoint to ExecuTorch: one `.pte` with the methods analyze and enhance, for the CPU (XNNPACK), for Apple's
devices (Core ML) or for GPUs of Android (Vulkan). A third method, pocket_dslr_manifest, returns what the file is made
of, as JSON.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from conversion.backends.executorch import CONVERTER
from conversion.converter import make_parser
from training.commandline import run


def body(args: argparse.Namespace) -> Path:
    from conversion.convert import convert

    return convert(args, CONVERTER)


def main(argv: Sequence[str] | None = None) -> int:
    return run(make_parser(__doc__, CONVERTER), body, argv)


if __name__ == "__main__":
    raise SystemExit(main())
