"""A flag that several scripts have means one thing and is explained alike."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

OTHERWISE = {  # where a flag is not what it is elsewhere, and why
    "--precision": {"training/train.py": "of the arithmetic, by the names of Lightning"},
    "--phone": {"training/align.py": "a folder of photos, beside --dslr"},
    "--quality": {"benchmarks/render.py": "a file of evaluate.py"},
    "--out": {"training/enhance.py": "a file, too, for one photo"},
}


Flags = dict[str, dict[str, argparse.Action]]


@pytest.fixture(scope="module")
def flags(repository: Path, parser_of: Callable[[str], argparse.ArgumentParser]) -> Flags:
    """Flag -> script -> what its parser does with it."""
    found: dict[str, dict[str, argparse.Action]] = defaultdict(dict)
    modules = [
        path for folder in ("training", "conversion", "benchmarks") for path in (repository / folder).rglob("*.py")
    ]
    scripts = [path for path in modules if "tests" not in path.parts and "def main(argv" in path.read_text()]
    for script in (str(path.relative_to(repository)) for path in scripts):
        for action in parser_of(script)._actions:
            for flag in action.option_strings:
                found[flag][script] = action
    return found


def kind(action: argparse.Action) -> str:
    """What its values are: whole numbers and fractions are numbers."""
    if action.type in (int, float) or getattr(action.type, "__qualname__", "").startswith(("whole.", "real.")):
        return "number"
    return getattr(action.type, "__name__", "str")


def test_a_flag_means_one_thing(flags: Flags) -> None:
    """Where one script takes several values and another one takes one, they are still of one kind."""
    for flag, actions in flags.items():
        alike = [action for script, action in actions.items() if script not in OTHERWISE.get(flag, {})]
        assert len({kind(action) for action in alike}) == 1, (flag, list(actions))
        assert len({action.metavar for action in alike} - {None}) <= 1, (flag, [action.metavar for action in alike])


def test_every_flag_is_explained(flags: Flags) -> None:
    """With what happens without it, in one form, unless that is nothing."""
    for flag, actions in flags.items():
        for script, action in actions.items():
            assert action.help, f"{script} {flag}"
            text = action.help.partition("%(default)s")
            assert not text[1] or text[0].endswith("default: "), f"{script} {flag}: {action.help}"
