"""What can be wrong with a file from elsewhere: cases, how each is judged, and damage that fits any file.

A case names the reader that gets it. The readers and their judgement are in `fault_process.py`, the cases in
`faults_photos.py` and `faults_models.py`; tests and `robustness.py` use the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

Reader = Literal["photo", "checkpoint", "artifact", "manifest", "published", "core_ml", "packed", "report", "device"]
# refused: only one sentence is right. truth: the truth, or one sentence. picture: any picture (or figures) of its kind,
# or one sentence, for damage that the format itself cannot notice.
Right = Literal["refused", "truth", "picture"]
TRUNCATIONS = tuple(range(0, 100, 5))  # percent of the length
FLIPS = 60  # damaged copies of one file


@dataclass(frozen=True)
class Case:
    """path: the file or folder. right: what must come out.

    truth: what a photo shows, a .npy file of [H, W, 3] uint8, or the undamaged file; None: a second library says it.
    tolerance: of a photo, in grey levels.
    """

    name: str
    reader: Reader
    path: Path
    right: Right
    truth: Path | None = None
    tolerance: float = 1.0


def truncated(whole: bytes) -> Iterator[tuple[str, bytes]]:
    for percent in TRUNCATIONS:
        yield f"cut at {percent} %", whole[: len(whole) * percent // 100]


def flipped(whole: bytes, count: int, seed: int, first: int = 0) -> Iterator[tuple[str, bytes]]:
    """`count` copies, each with one to eight bytes changed, from place `first` on."""
    random = np.random.default_rng(seed)
    for number in range(count):
        damaged = bytearray(whole)
        for at in random.integers(first, len(whole), random.integers(1, 9)):
            damaged[at] ^= random.integers(1, 256)
        yield f"flipped bytes {number}", bytes(damaged)
