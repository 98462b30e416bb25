"""python benchmarks/robustness/robustness.py

Gives every reader of this project files that are odd, broken or hostile, and counts what becomes of them: right
output, one sentence, or a failure. Kills runs and fills their disk, too. Each case has limits on its time and memory.
Writes robustness.json and robustness.md; exit code 1 if one case ends in another way than it should.
"""

from __future__ import annotations

import argparse
import json
import queue
import select
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.figures import read_earlier
from benchmarks.robustness.fault_process import Outcome
from benchmarks.robustness.faults import Case
from benchmarks.robustness.faults_models import HARMED, MODELS
from benchmarks.robustness.faults_photos import photo_cases
from benchmarks.robustness.kill_tasks import TASKS
from benchmarks.robustness.kills import Soaked, read_soaked, soak
from training.commandline import UserError, log, run, whole
from training.files import write_text

OUT = Path("benchmarks/results")
SHARED = Path(__file__).parents[3] / "shared" / "data" / "robustness"
LIMIT_S = 300.0  # of one case, by the clock: a busy machine makes nothing a hang
LIMIT_MB = 1500.0  # of the process that reads it
BAD = ("silent", "lost", "crashed", "hung")


@dataclass(frozen=True)
class Row:
    """One class of fault. failures: what should not be, in words. seconds of the CPU."""

    fault: str
    cases: int
    refused: int
    right: int
    silent: int
    lost: int
    crashed: int
    hung: int
    worst_mb: float
    worst_s: float
    failures: tuple[str, ...]


class Readers:
    """The process that reads, started anew when a case has taken it down."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __call__(self, case: Case) -> Outcome:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.robustness.fault_process"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=Path(__file__).parents[2],
            )  # fmt: skip
        process = self._process
        assert process.stdin and process.stdout
        print(json.dumps(asdict(case), default=str), file=process.stdin, flush=True)
        if not select.select([process.stdout], [], [], LIMIT_S)[0]:
            self.close()
            return Outcome("hung", f"no answer within {LIMIT_S:g} s", LIMIT_S, 0.0)
        answer = process.stdout.readline()
        if not answer:
            return Outcome("crashed", f"its process ended with {process.wait()}", 0.0, 0.0)
        outcome = Outcome(**json.loads(answer))
        if outcome.peak_mb > LIMIT_MB and outcome.kind not in BAD:
            return Outcome("crashed", f"took {outcome.peak_mb:.0f} MB", outcome.cpu_s, outcome.peak_mb)
        return outcome

    def close(self) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None


def tried(fault: str, cases: Iterable[Case], readers: queue.SimpleQueue[Readers], jobs: int) -> Row:
    """All cases of a class, `jobs` at a time."""
    kinds, failures = Counter[str](), []
    worst_mb = worst_s = 0.0

    def one(case: Case) -> tuple[Case, Outcome]:
        reader = readers.get()
        try:
            return case, reader(case)
        finally:
            readers.put(reader)

    with ThreadPoolExecutor(jobs) as threads:
        for case, outcome in tqdm(threads.map(one, cases), desc=fault, unit="case", disable=None):
            kinds[outcome.kind] += 1
            worst_mb, worst_s = max(worst_mb, outcome.peak_mb), max(worst_s, outcome.cpu_s)
            if outcome.kind in BAD:
                failures.append(f"{case.name}: {outcome.kind}: {outcome.said}")
                log.warning("%s: %s", fault, failures[-1])
    if HARMED.exists():
        failures.append("a command in a file was run")
    return Row(fault, kinds.total(), kinds["refused"], kinds["right"], kinds["silent"], kinds["lost"], kinds["crashed"],
               kinds["hung"], worst_mb, worst_s, tuple(failures))  # fmt: skip


def classes(folder: Path, shared: Path | None) -> Iterator[tuple[str, Callable[[], Iterator[Case]]]]:
    yield "photos", partial(photo_cases, folder / "photos", shared)
    for fault, makers in MODELS.items():

        def cases(fault: str = fault, makers: Any = makers) -> Iterator[Case]:
            for make in makers:
                yield from make(folder / fault.replace(" ", "-") / make.__name__)

        yield fault, cases


def killing(task: str) -> str:
    return f"{task}: killed, or its disk is full"


def killed(task: str, kills: int, soaked: Soaked | None) -> Row:
    """SIGKILL and a full disk at random moments of a task, as a row of the same table; what soak.py did counts."""
    result = soaked if soaked and soaked.kills >= kills else soak(task, kills, say=log.info)
    return Row(killing(task), result.kills, result.refused, result.right, silent=0, lost=len(result.lost), crashed=0,
               hung=0, worst_mb=0.0, worst_s=result.worst_s, failures=result.lost)  # fmt: skip


def table(rows: Sequence[Row], shared: bool) -> str:
    head = ["Class of fault", "Cases", "One sentence", "Right output", "Silent failures", "Data lost", "Crashes",
            "Hangs", "Worst memory, MB", "Worst time, s"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1)]
    for row in rows:
        counts = (row.cases, row.refused, row.right, row.silent, row.lost, row.crashed, row.hung)
        memory = f"{row.worst_mb:.0f}" if row.worst_mb else "—"
        lines.append("| " + " | ".join([row.fault, *map(str, counts), memory, f"{row.worst_s:.1f}"]) + " |")
    files = "with" if shared else "without"
    return (
        "\n".join(lines)
        + f"""

Every case has at most {LIMIT_S:.0f} s by the clock and {LIMIT_MB:,.0f} MB, torch included; memory is the peak of the
process that reads, time that of the CPU for one case, of a rerun after a kill by the clock. Right output is compared
with the known pixels, weights or bytes; after damage that a format cannot notice (flipped bytes of a JPEG, a report, or
a Core ML package without the checksums of its artifact) any picture or figures of their kind are right. Silent failure:
something else came out, or a sentence that does not name its file. Data lost: an older result or the input changed, or
a temporary file stayed. Photos: from file to file as enhance.py does, {files} the files of others that image libraries
collect. Runs: a third ended by a full disk; the same command once more must give the result of an uninterrupted run. A
full disk that gets its sentence counts under both. Their cases are those of `make soak`, where it has run.
"""
    )


def _beside_older(rows: Sequence[Row], path: Path, order: Sequence[str]) -> list[Row]:
    """With the rows of other classes that an earlier run wrote."""
    older = read_earlier(path, lambda record: [Row(**row) for row in record["rows"]])
    by_fault = {row.fault: row for row in [*older, *rows]}
    return sorted(by_fault.values(), key=lambda row: order.index(row.fault) if row.fault in order else len(order))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="robustness.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files-of-others", type=Path, default=SHARED, metavar="DIR",
                        help="with MANIFEST.csv, where there are any (default: %(default)s)")  # fmt: skip
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="only these, or kills; rows of others stay "
                        "as they are in --out (default: all)")  # fmt: skip
    parser.add_argument("--kills", type=whole(0, 1_000_000), default=3, help="of each task that soak.py has not ended "
                        "as often (default: %(default)s)")  # fmt: skip
    parser.add_argument("--jobs", type=whole(1, 1024), default=2, help="cases at a time (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder (default: %(default)s)")
    return run(parser, body, argv)


def body(args: argparse.Namespace) -> Path:
    shared = args.files_of_others if (args.files_of_others / "MANIFEST.csv").is_file() else None
    HARMED.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="pocket-dslr-") as folder:
        chosen = {fault: cases for fault, cases in classes(Path(folder), shared)}
        unknown = set(args.classes or []) - set(chosen) - {"kills"}
        if unknown:
            raise UserError(f"--classes {' '.join(unknown)}: not known; there are kills, {', '.join(chosen)}")
        everyone = [Readers() for _ in range(args.jobs)]
        free: queue.SimpleQueue[Readers] = queue.SimpleQueue()
        for reader in everyone:
            free.put(reader)
        try:
            rows = [
                tried(fault, cases(), free, args.jobs)
                for fault, cases in chosen.items()
                if not args.classes or fault in args.classes
            ]
        finally:
            for reader in everyone:
                reader.close()
    if args.kills and (not args.classes or "kills" in args.classes):
        soaked = read_soaked(args.out / "soak.json")
        rows += [killed(task, args.kills, soaked.get(task)) for task in TASKS]
    rows = _beside_older(rows, args.out / "robustness.json", [*chosen, *map(killing, TASKS)]) if args.classes else rows
    record = {"limit_s": LIMIT_S, "limit_mb": LIMIT_MB, "files_of_others": shared is not None,
              "rows": [asdict(row) for row in rows]}  # fmt: skip
    write_text(args.out / "robustness.json", json.dumps(record, indent=1) + "\n")
    path = write_text(args.out / "robustness.md", table(rows, shared is not None))
    failures = [f"{row.fault}: {failure}" for row in rows for failure in row.failures]
    if failures:
        raise UserError(f"{path}: {len(failures)} cases ended as they should not, the first: {failures[0]}")
    return path


if __name__ == "__main__":
    raise SystemExit(main())
