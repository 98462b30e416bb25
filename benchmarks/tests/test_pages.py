"""Every command of the front page is run by a test; every script's command in any page is one that its script takes."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.tests.pages import commands

PAGES = [
    "README.md",
    *(f"{folder}/README.md" for folder in ("training", "conversion", "benchmarks", "android_demo", "ios_demo")),
]
CONVERTED = "conversion/tests/test_scripts.py::test_script_makes_an_artifact_that_passes_its_own_test"
RUN_BY = {  # of README.md; CONTRIBUTING.md has a test of its own
    "make setup": "benchmarks/tests/test_commands.py::test_set_up_says_what_it_lacks",
    "make demo": "benchmarks/tests/test_demo.py::test_make_demo",
    "make test": ".ci/run",
    "training/enhance.py": "training/tests/test_enhance.py::test_a_folder_is_enhanced_and_everything_else_is_kept",
    "training/align.py": "training/tests/test_align.py::test_the_set_is_read_back_split_by_photo",
    "training/train.py --finetune": "training/tests/test_fine_tuning.py"
    "::test_a_new_camera_is_learned_and_the_gain_is_what_the_weights_gain",
    "conversion/to_executorch.py": CONVERTED,
    "conversion/to_tflite.py": CONVERTED,
    "conversion/to_coreml.py": CONVERTED,
    "benchmarks/on_host.py": "benchmarks/tests/test_demo.py::test_make_demo",
    "benchmarks/on_browser.py": "benchmarks/tests/test_on_browser.py"
    "::test_the_report_is_that_of_a_browser_on_this_machine",
    "benchmarks/choose.py": "benchmarks/tests/test_choose.py::test_the_most_faithful_within_a_size",
}


def script_commands(text: str) -> list[tuple[str, list[str]]]:
    """(path of a script, its arguments); "..." in a command stands for what the reader fills in."""
    found = []
    for command in commands(text):
        for part in command.split("&&"):
            match = re.search(r"(?:python|torchrun .*?) (\w+/[\w/]+\.py)( .*)?$", part.strip())
            if match and " ... " not in part:
                found.append((match[1], shlex.split(match[2] or "")))
    return found


def test_every_command_of_the_front_page_is_run_by_a_test(repository: Path) -> None:
    unknown = set(RUN_BY)
    for command in commands((repository / "README.md").read_text()):
        wanted = command.removeprefix("python ")
        (known,) = [start for start in RUN_BY if wanted.startswith(start)] or pytest.fail(f"who runs `{command}`?")
        unknown.discard(known)
        file, _, test = RUN_BY[known].partition("::")
        assert f"def {test}(" in (repository / file).read_text() if test else known in (repository / file).read_text()
    assert not unknown, "README.md no longer has these"


@pytest.mark.parametrize("page", PAGES)
def test_scripts_take_the_commands_of_a_page(
    repository: Path, page: str, parser_of: Callable[[str], argparse.ArgumentParser]
) -> None:
    for script, arguments in script_commands((repository / page).read_text()):
        assert parser_of(script).parse_args(arguments)


def test_make_has_the_targets_that_pages_name(repository: Path) -> None:
    makefile = (repository / "Makefile").read_text()
    for page in [*PAGES, "CONTRIBUTING.md"]:
        text = (repository / page).read_text()
        named = re.findall(r"^ {4}make ([\w -]+)|`make ([\w -]+)`", text, flags=re.MULTILINE)
        for target in {word for pair in named for word in "".join(pair).split() if not word.startswith("-")}:
            assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), f"{page}: make {target}"
