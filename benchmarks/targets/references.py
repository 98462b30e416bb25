"""What a target needs at hand: the checkpoint that each artifact was made from, and photos to compare."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bench import BenchError, Photo
from conversion.artifact import Artifact
from training.weights import released

if TYPE_CHECKING:
    from training.checkpoint import Checkpoint

TRAINED = Path("runs/pocket")  # where train.py without flags leaves its checkpoint


def add_references(parser: argparse.ArgumentParser) -> None:
    """Flags that name what artifacts are compared with, and on which photos."""
    parser.add_argument("--checkpoint", action="append", default=[], metavar="NAME_OR_PATH",
                        help="what the artifacts were made from, for the float reference; releases are found by "
                        "themselves; give it once for each checkpoint")  # fmt: skip
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--photos", type=Path, metavar="DIR", help="photos to compare (default: the embedded sample)")
    source.add_argument("--pairs", type=Path, metavar="DIR", help="photo pairs, of which the fidelity split is used")


def find_references(artifacts: Sequence[Artifact], given: Sequence[str]) -> list[Checkpoint]:
    """The checkpoint that each artifact was made from, by its sha256: of those given, those released, and
    what train.py made last.

    Raises:
        BenchError: an artifact's checkpoint is not among them.
    """
    from training.checkpoint import Checkpoint

    just_trained = [str(TRAINED)] if TRAINED.is_dir() else []
    known = {c.sha256: c for c in map(Checkpoint.load, [*released(), *just_trained, *given])}
    for artifact in artifacts:
        source = artifact.manifest.source
        if source.sha256 not in known:
            raise BenchError(f"{artifact.folder}: was made from {source.name}, sha256 {source.sha256[:12]}, which is "
                             "not at hand; give that checkpoint with --checkpoint")  # fmt: skip
    return [known[artifact.manifest.source.sha256] for artifact in artifacts]


def read_pairs(root: Path | None) -> list[Photo]:
    """The fidelity split of photo pairs, or of the embedded sample, of which each scene appears once."""
    from training.data.pairs import find_pairs

    pairs = find_pairs(root).fidelity
    chosen = list({pair.photo: pair for pair in reversed(pairs)}.values())[::-1] if root is None else pairs
    return [Photo(pair.name, pair.simulated, *pair.load()) for pair in chosen]


def read_photos(folder: Path) -> list[Photo]:
    """All photos of a folder, as `read_folder` gives them."""
    from training.photos import read_folder

    return [Photo(name, False, pixels, None) for name, pixels in read_folder(folder).items()]
