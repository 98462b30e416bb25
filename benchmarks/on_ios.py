"""python benchmarks/on_ios.py REPORT.json... --artifacts ARTIFACT_FOLDER... [--out benchmarks/reports]
python benchmarks/on_ios.py --destination 'platform=iOS,name=...' --artifacts ARTIFACT_FOLDER...

Reports of an iPhone. Everywhere: import what the app's benchmark screen exported, distrusting it: every field, the
checksums of the artifact that it measured, names; the verdict is ours. On a Mac with --destination: the app's test
target measures on that device first. Exit code 1 if a report is refused or below its floor; the others are written.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import ReportError
from benchmarks.report.verdict import what_fails
from benchmarks.targets.imported import ImportedError, accept
from conversion.artifact import Artifact
from training.commandline import UserError, run

APP = Path(__file__).parents[1] / "ios_demo"
SCHEME, TEST_TARGET = "PocketDSLR", "BenchmarkTests"
MEASURE_S_MAX = 3600
log = logging.getLogger(__name__)


class IosError(UserError):
    """A device cannot be measured, or not all of its reports are well; the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="on_ios.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reports", type=Path, nargs="*", metavar="REPORT.json", help="what the app exported")
    parser.add_argument("--artifacts", type=Path, nargs="+", required=True, metavar="ARTIFACT_FOLDER",
                        help="what the app embeds")  # fmt: skip
    parser.add_argument("--destination", help="of xcodebuild: the device to measure on, from a Mac")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/reports"), metavar="FOLDER",
                        help="where reports go (default: %(default)s)")  # fmt: skip
    return run(parser, body, argv)


def body(args: argparse.Namespace) -> Path:
    if bool(args.reports) == bool(args.destination):
        raise IosError("give either the JSON files that the app exported, or --destination on a Mac")
    artifacts = [Artifact.load(folder).verify() for folder in args.artifacts]
    if args.reports:
        return take_in(args.reports, artifacts, args.out)
    with tempfile.TemporaryDirectory(prefix="pocket-dslr-") as folder:
        return take_in(measure_on_device(args.destination, Path(folder)), artifacts, args.out)


def take_in(paths: Sequence[Path], artifacts: Sequence[Artifact], out: Path) -> Path:
    """Write what can be accepted.

    Raises:
        IosError: one was refused or is below its floor.
    """
    wrong: list[str] = []
    for path in paths:
        try:
            report = accept(path, artifacts)
        except (ReportError, ImportedError) as error:
            wrong.append(str(error))
            continue
        report.save(out)
        wrong += what_fails(report)
    if wrong:
        raise IosError(f"{len(wrong)} of {len(paths)} reports are not well: {'; '.join(wrong)}")
    return out


def measure_on_device(destination: str, folder: Path) -> list[Path]:
    """Run the app's test target and collect the reports that it attaches.

    Raises:
        IosError: no Xcode, the test failed, or it attached nothing.
    """
    if not shutil.which("xcodebuild"):
        raise IosError("--destination needs a Mac with Xcode; elsewhere give the JSON files that the app exported")
    bundle, attached = folder / "benchmark.xcresult", folder / "attached"
    call(["xcodebuild", "test", "-scheme", SCHEME, "-destination", destination, f"-only-testing:{TEST_TARGET}",
          "-resultBundlePath", str(bundle)])  # fmt: skip
    call(["xcrun", "xcresulttool", "export", "attachments", "--path", str(bundle), "--output-path", str(attached)])
    reports = sorted(path for path in attached.glob("*.json") if path.name != "manifest.json")
    if not reports:
        raise IosError(f"the test target {TEST_TARGET} attached no report; look at its log in Xcode")
    return reports


def call(command: list[str]) -> None:
    """Raises IosError: it failed; its last words."""
    log.info("%s", " ".join(command))
    try:
        subprocess.run(
            command, cwd=APP, check=True, capture_output=True, text=True, errors="replace", timeout=MEASURE_S_MAX
        )
    except subprocess.CalledProcessError as error:
        said = [line for line in (error.stdout + error.stderr).strip().splitlines() if line.strip()]
        raise IosError(f"{command[0]} failed: {(said or ['it said nothing'])[-1]:.300}") from None
    except subprocess.TimeoutExpired:
        raise IosError(f"{command[0]} had not ended after {MEASURE_S_MAX} s; unlock the device and try again") from None


if __name__ == "__main__":
    raise SystemExit(main())
