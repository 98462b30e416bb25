"""python benchmarks/robustness/field_cases.py

Kinds of fault that users of other software reported, each tried with several inputs of its kind, by the scripts as a
user runs them. Writes field-cases.json and field-cases.md; exit code 1 if one case ends in another way than it should.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.page.markdown import markdown_table
from benchmarks.robustness import fields
from benchmarks.robustness.fields import FieldCase
from training.commandline import UserError, log, run
from training.files import write_text

OUT = Path("benchmarks/results")


def all_cases() -> list[FieldCase]:
    """The cases of every module in `fields/`, in the order of their names."""
    modules = sorted(module.name for module in pkgutil.iter_modules(fields.__path__))
    return [case for name in modules for case in importlib.import_module(f"{fields.__name__}.{name}").CASES]


def judge(case: FieldCase) -> str | None:
    """What is wrong, or None. An exception inside the check is wrong, too."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return case.check(Path(folder))
        except Exception:
            return traceback.format_exc(limit=3)


def table(cases: Sequence[FieldCase], wrong: dict[tuple[str, str], str]) -> str:
    kinds = list(dict.fromkeys(case.kind for case in cases))
    rows = []
    for kind in kinds:
        inputs = [case for case in cases if case.kind == kind]
        right = sum((case.kind, case.name) not in wrong for case in inputs)
        rows.append([kind, len(inputs), right, inputs[0].wrong_before or "right"])
    columns = [("Kind of fault", True), ("Inputs tried", False), ("Right", False), ("First report, at 0.1.0", True)]
    before = sum(row[3] != "right" for row in rows)
    return (
        markdown_table(columns, rows)
        + f"\n\n{len(cases)} inputs of {len(kinds)} kinds, {len(cases) - len(wrong)} right. At 0.1.0 the first "
        f"reported input of {before} kinds went wrong."
    )


def measure(args: argparse.Namespace) -> Path:
    cases = [case for case in all_cases() if args.kinds is None or case.kind in args.kinds]
    wrong: dict[tuple[str, str], str] = {}
    for number, case in enumerate(cases, 1):
        if reason := judge(case):
            wrong[case.kind, case.name] = reason
        log.info("%d of %d: %s, %s: %s", number, len(cases), case.kind, case.name, reason or "right")
    record = [
        {key: value for key, value in asdict(case).items() if key != "check"}
        | {"wrong": wrong.get((case.kind, case.name))}
        for case in cases
    ]
    write_text(args.out / "field-cases.json", json.dumps(record, indent=2) + "\n")
    page = write_text(args.out / "field-cases.md", table(cases, wrong) + "\n")
    if wrong:
        raise UserError(f"{page}: {len(wrong)} of {len(cases)} cases ended otherwise than they should, as said above")
    return page


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="field_cases.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="+", metavar="KIND", help="only these (default: all)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the table (default: %(default)s)")
    return run(parser, measure, argv)


if __name__ == "__main__":
    raise SystemExit(main())
