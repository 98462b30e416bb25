"""Where results go: never onto an input, never through a link to one, never twice onto one file. One rule for all.

A result that exists is made again only with --overwrite. Without it, one that is made of the same photo with the same
settings is passed over, and any other file stays, which is an error.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training.album.inputs import file_id
from training.album.record import identity, results_in
from training.commandline import UserError, printable

State = Literal["new", "done", "taken"]


@dataclass(frozen=True)
class Output:
    """A photo and the file that it becomes. renamed: another photo has the name that this one would have had."""

    source: Path
    target: Path
    renamed: bool = False


def plan_outputs(
    sources: Sequence[tuple[Path, Path]], folder: Path, writable: Iterable[str], default: str
) -> list[Output]:
    """The target of every photo in a folder of results.

    Args:
        sources: each photo and its path below `folder`.
        writable: the extensions that can be written; photos of other kinds become `default`, such as ".jpg".

    Returns:
        In the order of `sources`. Of photos that would have one name (img.heic and img.jpg, IMG.JPG and img.jpg), the
        first that need not change its extension keeps it, and the others have theirs in their names: img.heic.jpg.
    """
    kinds = set(writable)
    order = sorted(range(len(sources)), key=lambda i: sources[i][1].suffix.lower() not in kinds)
    taken: set[str] = set()
    outputs: dict[int, Output] = {}
    for i in order:
        source, below = sources[i]
        suffix = below.suffix if below.suffix.lower() in kinds else default
        names = [f"{below.stem}{suffix}", f"{below.name}{suffix}"]
        names += [f"{below.name}.{number}{suffix}" for number in range(2, len(sources) + 1)]
        name = next(name for name in names if _folded(below.with_name(name)) not in taken)
        taken.add(_folded(below.with_name(name)))
        outputs[i] = Output(source, folder / below.with_name(name), renamed=name != names[0])
    return [outputs[i] for i in range(len(sources))]


def refuse_inputs(outputs: Sequence[Output]) -> None:
    """Raises UserError: a target is one of the photos, by this name or another one, or a link to it."""
    inputs = {file_id(output.source): output.source for output in outputs}
    for output in outputs:
        photo = inputs.get(file_id(output.target)) if output.target.exists() else None
        if photo:
            raise UserError(f"{printable(output.target)}: is the photo {printable(photo)}, which is never replaced; "
                            "give another --out")  # fmt: skip


def states(outputs: Sequence[Output], settings: str) -> list[State]:
    """What is at the place of each result: nothing, this very result of these settings, or anything else."""
    made = {folder: results_in(folder) for folder in {output.target.parent for output in outputs}}
    found: list[State] = []
    for source, target in ((output.source, output.target) for output in outputs):
        if not os.path.lexists(target):
            found.append("new")
        else:
            result = made[target.parent].get(target.name)
            done = result and (result.settings, result.source) == (settings, identity(source))
            found.append("done" if done else "taken")
    return found


def _folded(path: Path) -> str:
    """As file systems compare names that do not tell case or Unicode forms apart."""
    return unicodedata.normalize("NFC", str(path)).casefold()
