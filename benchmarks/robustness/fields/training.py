"""Kinds of fault around learning: numbers on the command line, no GPU, names of photos, few photos."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.robustness.fields import FieldCase

TRAINING = Path(__file__).parents[3] / "training"
FOLDER = "FOLDER"  # in flags: the folder of the case
OUT_OF_RANGE = {
    "train.py": ("--batch 0", "--workers -1", "--patch 0", "--patch 7", "--lr -1", "--lr nan", "--seed -1",
                 "--validate-every 0", "--packed-share 1.5", "--patience -1"),
    "cross_validate.py --pairs FOLDER": ("--folds 0", "--folds 1", "--folds x"),
    "quantize_aware.py --checkpoint FOLDER": ("--batch 0", "--steps -1", "--lr inf"),
    "data/simulate.py FOLDER": ("--crops -1", "--crops 0", "--seed 1.5"),
    "data/pack.py": ("--patch -3", "--shard-mb 0", "--shard-mb nan"),
}  # fmt: skip
DOES_NOTHING = {
    "train.py": ("--steps 0", "--steps -5", "--minutes -1", "--minutes 0", "--minutes nan"),
    "data/simulate.py FOLDER": ("--variants 0", "--patch 0", "--thumbnail 0"),
}


def _run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    script, *flags = [word.replace(FOLDER, str(folder)) for word in command.split()]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([sys.executable, str(TRAINING / script), *flags], capture_output=True, text=True,
                          cwd=folder, env=environment, check=False)  # fmt: skip


def refused(command: str, sentence: str = "is not a") -> Callable[[Path], str | None]:
    """It ends with an error of one sentence that has these words in it, and leaves nothing behind."""

    def check(folder: Path) -> str | None:
        before = sorted(folder.rglob("*"))
        ran = _run(folder, command)
        last = (ran.stderr.splitlines() or [""])[-1]
        if ran.returncode == 0 or "Traceback" in ran.stderr or sentence not in last:
            return f"exit code {ran.returncode}, {last!r}"
        return None if sorted(folder.rglob("*")) == before else "it left files behind"

    return check


def _photo(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (24, 24, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    Image.fromarray(pixels).save(path)


def scored(names: list[tuple[str, str]]) -> Callable[[Path], str | None]:
    """evaluate.py scores pairs of these file names (phone's, DSLR's), each of them."""

    def check(folder: Path) -> str | None:
        for seed, (phone, dslr) in enumerate(names):
            _photo(folder / "pairs" / "mine" / phone, seed)
            _photo(folder / "pairs" / "canon" / dslr, seed)
        ran = _run(folder, "evaluate.py --pairs FOLDER/pairs --out FOLDER/quality")
        protocol = f"Protocol: {len(names)} photo pairs, split `all`"
        return None if ran.returncode == 0 and protocol in ran.stdout else f"exit code {ran.returncode}, {ran.stderr}"

    return check


def _unicode_forms(name: str) -> list[tuple[str, str]]:
    return [tuple(f"{unicodedata.normalize(form, name)}.png" for form in ("NFC", "NFD"))]  # type: ignore[list-item]


CASES = [
    *(FieldCase("flags out of range", f"{script.split()[0]} {flag}", refused(f"{script} {flag}"), "traceback")
      for script, flags in OUT_OF_RANGE.items() for flag in flags),
    *(FieldCase("flags that do nothing", f"{script.split()[0]} {flag}", refused(f"{script} {flag}"), "exit code 0")
      for script, flags in DOES_NOTHING.items() for flag in flags),
    *(FieldCase("no GPU", command.split()[0], refused(f"{command} --accelerator cuda", "--accelerator cuda: no"),
                "traceback")
      for command in ("train.py --out FOLDER/run", "evaluate.py --out FOLDER/quality",
                      "data/teach.py --phone-photos FOLDER --teachers pocket-clean --out FOLDER/taught")),
    *(FieldCase("Unicode forms of a name", name, scored(_unicode_forms(name)), "not paired")
      for name in ("caf\u00e9", "\u00c5ngstr\u00f6m", "\ud55c\uad6d")),
    *(FieldCase("few pairs of one's own", f"{count} pairs", scored([(f"{k}.png", f"{k}.png") for k in range(count)]),
                "cannot be split")
      for count in (1, 2, 3)),
]  # fmt: skip
