"""Whatever a script does with a user's files, they stay: bytes, times and modes, after success, failure and a kill."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.page.made_up import write_reports
from benchmarks.robustness.fields import run_script, state_of
from benchmarks.robustness.kill_tasks import prepare

ROOT = Path(__file__).parents[2]
TINY = ["--checkpoint", "enhance/tiny.safetensors"]
SMALL = ["--patch", "64", "--thumbnail", "32"]
PAIRS = ["--pairs", "train"]
PHOTOS, PATCHES = "enhance/photos", "train/iphone"
# Script, its arguments but --out, the folder of a user's files that is tried as --out, seconds that it takes to a kill.
RUNS = {
    "enhance": ("training.enhance", [PHOTOS, *TINY], PHOTOS),
    "align": ("training.align", ["--phone", "align/phones", "--dslr", "align/dslrs"], "align/phones"),
    "train": ("training.train", [*PAIRS, "--steps", "2", "--batch", "2", "--patch", "64", "--accelerator", "cpu"],
              PATCHES),
    "evaluate": ("training.evaluate", ["enhance/tiny.safetensors", *PAIRS], PATCHES),
    "pack": ("training.data.pack", [*PAIRS, *SMALL], PATCHES),
    "simulate": ("training.data.simulate", [PATCHES, "--variants", "1", "--crops", "1", *SMALL], PATCHES),
    "teach": ("training.data.teach", ["--phone-photos", PATCHES, "--teachers", "enhance/tiny.safetensors", "--patches",
                                      "1", "--whole", "1", "--crops", "1", *SMALL], PATCHES),
    "looks": ("training.quality.looks", ["enhance/tiny.safetensors", "--photos", PATCHES, "--crops", "0"], PATCHES),
    "import_published": ("training.import_published", ["published/fuzz"], "published"),
    "render": ("benchmarks.render", ["reports"], "reports"),
    "choose": ("benchmarks.choose", ["reports", "--size-kb", "1000000", "--target", "made-up host"], "reports"),
    "on_ios": ("benchmarks.on_ios", ["reports", "--artifacts", "enhance"], "reports"),
    "bundle": ("conversion.bundle", ["enhance"], "enhance"),
    "to_coreml": ("conversion.to_coreml", [*TINY, "--photos", PHOTOS, "--tile", "64", "--judges", "1",
                                           "--allow-below-floor"], PHOTOS),
}  # fmt: skip
REFUSED = {"import_published", "on_ios", "bundle"}  # whose inputs here are none; they are read all the same
SLOW = {"to_coreml", "train", "teach", "evaluate", "looks"}
KILLED_AFTER_S = {"enhance": 5.0, "align": 4.0, "pack": 3.0, "simulate": 3.0}  # at most
Start = Callable[[], Path]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from benchmarks.robustness.faults_published import tensorflow_files

    folder = tmp_path_factory.mktemp("files")
    for task in ("train", "align", "enhance"):
        prepare(task, folder / task)
    write_reports(folder / "reports", 2)
    (folder / "published").mkdir()
    index, data = tensorflow_files({})
    (folder / "published" / "fuzz.index").write_bytes(index)
    (folder / "published" / "fuzz.data-00000-of-00001").write_bytes(data)
    return folder


@pytest.fixture
def start(files: Path, tmp_path: Path) -> Start:
    """A copy of a user's files, some of them read-only."""

    def copy() -> Path:
        folder = tmp_path / "user"
        shutil.copytree(files, folder)
        for number, path in enumerate(sorted(folder.rglob("*.*"))):
            if path.is_file() and number % 3 == 0:
                path.chmod(0o444)
        return folder

    return copy


def changed(before: dict[str, tuple[bytes, int, int]], folder: Path) -> list[str]:
    after = state_of(folder)
    return [name for name, state in before.items() if after.get(name) != state]


def names() -> list[object]:
    return [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in RUNS]


@pytest.mark.parametrize("name", names())
def test_success_and_failure_change_no_input(name: str, start: Start, tmp_path: Path) -> None:
    script, arguments, place = RUNS[name]
    folder = start()
    before = state_of(folder)

    def ends(out: Path) -> int:
        ran = run_script(script, *arguments, "--out", out, folder=folder)
        assert changed(before, folder) == [], (out, ran)
        return ran.code

    assert ends(tmp_path / "out") == (1 if name in REFUSED else 0)
    ends(folder / place)
    if name == "to_coreml":
        return  # a conversion takes most of a minute
    ends(folder / place / "inside"), ends(folder)
    for path in (PHOTOS, PATCHES, "align/phones"):
        (folder / path / "z.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    before |= {name: state for name, state in state_of(folder).items() if name.endswith("z.png")}
    ends(tmp_path / "with a broken one"), ends(folder / place)
    assert ends(folder / "enhance/photos/z.png") != 0, "a file in the place of a folder"


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLED_AFTER_S)
def test_a_kill_changes_no_input(name: str, start: Start, tmp_path: Path) -> None:
    """At any moment from the start to the end."""
    script, arguments, place = RUNS[name]
    folder = start()
    before = state_of(folder)
    moments = random.Random(0)
    for out in (tmp_path / "out", folder / place / "inside", folder):
        with subprocess.Popen(
            [sys.executable, "-m", script, *arguments, "--out", out], cwd=folder, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={"PYTHONPATH": str(ROOT), "PATH": ""},
        ) as process:  # fmt: skip
            time.sleep(moments.uniform(1.0, KILLED_AFTER_S[name]))
            process.kill()
        assert changed(before, folder) == [], out
