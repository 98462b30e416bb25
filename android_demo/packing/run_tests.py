"""python android_demo/packing/run_tests.py [--module core] [--vectors DIR]

Runs the Kotlin tests on the JVM. The last line is the folder with their XML reports.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from android_demo.packing.fetch import missing_clients
from android_demo.packing.jvm_tests import MODULES, VECTORS, test
from android_demo.packing.kotlin import BUILD
from training.commandline import UserError, run


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_tests.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--module", choices=MODULES, action="append", help="(default: all)")
    add("--vectors", type=Path, default=VECTORS, help="folder of golden vectors (default: %(default)s)")
    return parser


def run_tests(args: argparse.Namespace) -> Path:
    if missing := missing_clients():
        raise UserError(f"the Kotlin tests need {' and '.join(missing)}; install them")
    modules = args.module or MODULES
    reports = BUILD / "test-reports"
    shutil.rmtree(reports, ignore_errors=True)
    for module in modules:
        test(module, args.vectors, reports / module)
    return reports


def main(argv: Sequence[str] | None = None) -> int:
    return run(parse(), run_tests, argv)


if __name__ == "__main__":
    raise SystemExit(main())
