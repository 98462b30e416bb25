"""python benchmarks/robustness/soak.py [--kills 100] [--tasks train align enhance convert benchmark]

Ends runs at random moments, by SIGKILL or a full disk, runs each again, and compares with an uninterrupted run:
weights, patches, photos, artifacts and reports must be the same, and no temporary file may stay. Writes soak.json after
each task, where other tasks stay as they are; exit code 1 if one rerun gives anything else.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.robustness.kill_tasks import TASKS
from benchmarks.robustness.kills import read_soaked, soak
from training.commandline import UserError, log, run, whole
from training.files import write_text


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="soak.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=whole(1, 1_000_000), default=100, help="of each task (default: %(default)s)")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="default: all")
    parser.add_argument("--seed", type=whole(), default=0, help="of the moments (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder (default: %(default)s)")
    return run(parser, body, argv)


def body(args: argparse.Namespace) -> Path:
    path, done = args.out / "soak.json", []
    soaked = read_soaked(path)
    for task in args.tasks:
        done.append(soak(task, args.kills, args.seed, log.info))
        soaked[task] = done[-1]
        rows = [asdict(soaked[task]) for task in TASKS if task in soaked]
        write_text(path, json.dumps(rows, indent=1) + "\n")
    if faults := [f"{one.task}, {fault}" for one in done for fault in one.lost]:
        raise UserError(f"{path}: {len(faults)} of {args.kills * len(done)} kills did harm, the first: {faults[0]}")
    return path


if __name__ == "__main__":
    raise SystemExit(main())
