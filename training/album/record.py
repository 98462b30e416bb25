"""What enhance.py has made, in a file beside its results: one line of JSON for each, the last one counts.

By it the next run knows which results are done, and which files are results and no photos. A file that was changed or
replaced since then is nobody's result: it is neither passed over as done nor overwritten.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

RECORD = ".pocket-dslr.jsonl"


@dataclass(frozen=True)
class Made:
    """A result. source: of the photo that it was made of, a hash of name, size and time. settings: a hash of them."""

    name: str
    bytes: int
    source: str
    settings: str


def write_made(target: Path, source: Path, settings: str) -> None:
    line = json.dumps(asdict(Made(target.name, target.stat().st_size, identity(source), settings)))
    handle = os.open(target.parent / RECORD, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(line + "\n")


def results_in(folder: Path) -> dict[str, Made]:
    """Name -> what was made in a folder and is there unchanged."""
    results: dict[str, Made] = {}
    with suppress(OSError):
        for line in (folder / RECORD).read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            with suppress(ValueError, TypeError):  # cut off by a full disk
                made = Made(**json.loads(line))
                results[made.name] = made
    return {name: made for name, made in results.items() if _is_unchanged(folder / name, made)}


def identity(photo: Path) -> str:
    stat = photo.stat()
    text = f"{photo.name}\0{stat.st_size}\0{stat.st_mtime_ns}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _is_unchanged(path: Path, made: Made) -> bool:
    with suppress(OSError, ValueError):
        return not path.is_symlink() and path.stat().st_size == made.bytes
    return False
