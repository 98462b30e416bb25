"""python android_demo/packing/run_tests.py [--module core] [--vectors DIR]

Runs the Kotlin tests on the JVM. The last line is the folder with their XML reports.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from android_demo.packing import kotlin
from android_demo.packing.build_apk import app_classpath
from android_demo.packing.fetch import DEMO, fetched, missing_clients
from training.commandline import UserError, log, run

MODULES = ("core", "engine", "app")
VECTORS = DEMO.parent / "conversion" / "contract" / "vectors"


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_tests.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--module", choices=MODULES, action="append", help="(default: all)")
    add("--vectors", type=Path, default=VECTORS, help="folder of golden vectors (default: %(default)s)")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="a system property for the tests")
    add("--only", help="only tests of classes whose name matches")
    return parser


def run_tests(args: argparse.Namespace) -> Path:
    if missing := missing_clients():
        raise UserError(f"the Kotlin tests need {' and '.join(missing)}; install them")
    modules = args.module or MODULES
    reports = kotlin.BUILD / "test-reports"
    shutil.rmtree(reports, ignore_errors=True)
    for module in modules:
        test(module, args.vectors, args.set, args.only, reports / module)
    return reports


def test(module: str, vectors: Path, properties: Sequence[str], only: str | None, reports: Path) -> None:
    classpath = {"core": kotlin.core, "engine": kotlin.engine, "app": app_classpath}[module]()
    junit = fetched("test")
    tests = kotlin.compiled(module, [*classpath, *junit], tests=True)
    log.info("testing %s", module)
    done = subprocess.run(
        [*kotlin.JAVA, "-Xmx1g", f"-Dcontract.vectors={vectors.resolve()}", *(f"-D{item}" for item in properties),
         "-cp", ":".join(map(str, [tests, *classpath, *junit])), "org.junit.platform.console.ConsoleLauncher",
         "execute", "--scan-classpath", str(tests), "--disable-banner", "--details=summary", "--disable-ansi-colors",
         *(["--include-classname", only] if only else []), "--reports-dir", str(reports)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"(\d+) tests successful", done.stdout)
    if done.returncode or not found or int(found[1]) == 0:
        raise UserError(f"Kotlin tests of {module} failed:\n{(done.stdout + done.stderr)[-6000:]}")
    log.info("%s: %s", module, found[0])


def main(argv: Sequence[str] | None = None) -> int:
    return run(parse(), run_tests, argv)


if __name__ == "__main__":
    raise SystemExit(main())
