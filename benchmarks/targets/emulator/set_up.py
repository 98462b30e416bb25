"""python benchmarks/targets/emulator/set_up.py: fetch, build and start the emulated phone once, for `make emulator`.

Everything comes from Debian packages and Python wheels and lies in the user's cache; what is there is not made again.
It needs no root. Where the phone cannot run, it says why, with exit code 1.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from benchmarks.targets.emulator.phone import emulated_phone
from benchmarks.targets.runner.build import RUNTIMES, bundle
from benchmarks.targets.runner.packages import system
from training.commandline import run

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    return run(argparse.ArgumentParser(prog="set_up_emulator.py", description=__doc__), body, argv)


def body(args: argparse.Namespace) -> Path:
    for format_ in RUNTIMES:
        log.info("runner for %s: %s", format_, bundle(format_))
    with emulated_phone("cortex-a76") as adb:
        log.info(
            "the phone answers: %s", adb.shell("uname -sm; getprop ro.product.model").replace("\n", ", ").strip(", ")
        )
    return system()


if __name__ == "__main__":
    raise SystemExit(main())
