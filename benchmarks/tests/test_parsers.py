"""Every parser of every script: senseless numbers are refused, and arguments are parsed before torch comes in."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in ("training", "conversion", "benchmarks", "android_demo/packing")
    for path in (ROOT / folder).glob("**/*.py")
    if "tests" not in path.parts and "def main(argv" in path.read_text()
)
NO_NUMBERS = ["nan", "inf", "-inf", "1e999", "9" * 30, "-" + "9" * 30, "1e30", "-1e30", "", "one"]
ZERO_OR_LESS_MAKES_SENSE = {  # (script's name, flag): below zero
    ("align", "--dslr-ahead"),
}
# One-offs for figures, which load their metrics at once.
EARLY_TORCH = {"training.quality.looks", "training.quality.unknown_cameras"}
HEAVY = ("torch", "cv2", "skimage")
ONE_OFF = ("benchmarks.studies.", "benchmarks.vectors.")  # for who develops this: they may take their seconds
Parser = Callable[[str], argparse.ArgumentParser]


def numbers(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The actions whose values are numbers: by their type, or by a default that is one."""
    return [
        action
        for action in parser._actions
        if action.nargs != 0
        and (
            action.type in (int, float)
            or getattr(action.type, "__qualname__", "").startswith(("whole.", "real."))
            or (isinstance(action.default, int | float) and not isinstance(action.default, bool))
        )
    ]


def refused(action: argparse.Action, text: str) -> bool:
    try:
        assert callable(action.type)
        action.type(text)
    except (argparse.ArgumentTypeError, ValueError):
        return True
    return False


@pytest.mark.parametrize("script", SCRIPTS)
def test_numbers_that_make_no_sense_are_refused(script: str, parser_of: Parser) -> None:
    for action in numbers(parser_of(f"{script.replace('.', '/')}.py")):
        flag = (action.option_strings or [action.dest])[0]
        assert action.type not in (int, float, None), f"{flag}: give it whole() or real() of training.commandline"
        for text in NO_NUMBERS:
            assert refused(action, text), f"{flag} {text}"
        if (script.rpartition(".")[2], flag) not in ZERO_OR_LESS_MAKES_SENSE:
            assert refused(action, "-1") and refused(action, "-0.001"), f"{flag}: negative"
        default = action.default if isinstance(action.default, list) else [action.default]
        assert not any(refused(action, str(value)) for value in default if value is not None), f"{flag}: its default"


def test_the_walk_sees_numbers(parser_of: Parser) -> None:
    """Of a script with flags of every kind, all that take numbers."""
    flags = {action.option_strings[0] for action in numbers(parser_of("training/align.py"))}
    assert flags == {"--tolerance", "--dslr-ahead", "--patch", "--min-correlation", "--test-share", "--jobs"}
    assert {a.option_strings[0] for a in numbers(parser_of("benchmarks/choose.py"))} == {
        "--psnr-db", "--size-kb", "--ms-per-mp", "--instructions-per-px"}  # fmt: skip
    parser = argparse.ArgumentParser()
    parser.add_argument("--plain", type=int), parser.add_argument("--untyped", default=3), parser.add_argument("--text")
    assert [action.dest for action in numbers(parser)] == ["plain", "untyped"]
    assert not refused(numbers(parser)[0], "-5")


@pytest.mark.parametrize("script", ["training.enhance", "training.align", "benchmarks.on_host"])
@pytest.mark.parametrize(
    "arguments", [["--nonsense"], ["--out"], ["--threads", "two", "--jobs", "two", "--quality", "x"]]
)
def test_flags_that_are_wrong_are_named(
    script: str, arguments: list[str], parser_of: Parser, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parser_of(f"{script.replace('.', '/')}.py").parse_args(arguments)
    assert stopped.value.code == 2 and re.search(r"error: .*(--|required)", capsys.readouterr().err)


# One child for all: it counts, after each script's --help, what has come in.
HELP = """
import contextlib, importlib, io, sys
for script in sys.argv[2:]:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        importlib.import_module(script).main(["--help"])
    print(script, *[name for name in sys.argv[1].split(",") if name in sys.modules])
"""


def test_help_comes_before_torch() -> None:
    scripts = [script for script in SCRIPTS if script not in EARLY_TORCH and not script.startswith(ONE_OFF)]
    assert {"training.enhance", "training.align", "training.import_published", "benchmarks.on_host"} <= set(scripts)
    done = subprocess.run([sys.executable, "-c", HELP, ",".join(HEAVY), *scripts], capture_output=True, text=True,
                          cwd=ROOT, check=True)  # fmt: skip
    assert done.stdout.splitlines() == scripts, "a script with words behind it has loaded these"
