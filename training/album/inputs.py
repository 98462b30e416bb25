"""Which files of a folder are photos, and what is said of those that are left out. One rule for every script."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.album.record import RECORD, results_in
from training.commandline import UserError, count, printable
from training.photos import PHOTO_SUFFIXES


@dataclass
class Listing:
    """The photos of a folder by name, and how many other files of which kind it has.

    beside_results: photos that lie where results go. unread: subfolders that cannot be entered.
    subfolders: photos right inside each, where they were not listed.
    """

    folder: Path
    photos: list[Path] = field(default_factory=list)
    hidden: int = 0
    results: int = 0
    beside_results: int = 0
    others: Counter[str] = field(default_factory=Counter)
    unread: list[Path] = field(default_factory=list)
    subfolders: Counter[Path] = field(default_factory=Counter)

    def left_out(self) -> str:
        """What was left out, in one sentence; "" if nothing was."""
        parts = []
        if self.hidden:
            parts.append(count(self.hidden, "hidden file"))
        if self.results:
            parts.append(f"{count(self.results, 'result')} of an earlier run")
        if self.beside_results:
            parts.append(f"{count(self.beside_results, 'photo')} in the folder of --out")
        if total := self.others.total():
            kinds = ", ".join(f"{printable(kind) or 'no extension'} {n}" for kind, n in sorted(self.others.items()))
            parts.append(f"{count(total, 'file')} that {'is no photo' if total == 1 else 'are no photos'} that can be "
                         f"read ({kinds})")  # fmt: skip
        parts += [f"{printable(folder)}, which cannot be read" for folder in self.unread]
        return f"{printable(self.folder)}: left out {', '.join(parts)}" if parts else ""


def list_photos(folder: Path, recurse: bool = False, leave_out: Path | None = None) -> Listing:
    """The photos of a folder: by their extension, neither hidden nor results of enhance.py.

    Args:
        recurse: into its subfolders, too, but for hidden ones and links.
        leave_out: a folder whose files do not count, where results go.

    Raises:
        UserError: no such folder, or no photo in it; the message says what is there instead.
    """
    if not folder.is_dir():
        raise UserError(f"{printable(folder)}: no such folder; give one with photos")
    listing = Listing(folder)
    for place, names, files in os.walk(folder, onerror=lambda error: listing.unread.append(Path(error.filename))):
        top = Path(place)
        results = results_in(top)
        for name in [name for name in names if _is_same(top / name, leave_out)]:
            listing.beside_results += _count_photos(top / name)
            names.remove(name)
        names.sort()
        listing.hidden += sum(name.startswith(".") for name in names if recurse)
        names[:] = [name for name in names if not name.startswith(".")]
        for name in sorted(set(files) - {RECORD}):
            path = top / name
            suffix = path.suffix.lower()
            if top != folder and not recurse:
                listing.subfolders[top] += suffix in PHOTO_SUFFIXES and not name.startswith(".")
            elif name.startswith("."):
                listing.hidden += 1
            elif name in results:
                listing.results += 1
            elif suffix in PHOTO_SUFFIXES and path.is_file():
                listing.photos.append(path)
            else:
                listing.others[suffix] += 1
        if listing.photos and not recurse:
            break  # subfolders only matter for a hint
    if not listing.photos:
        raise UserError(_nothing(listing))
    return listing


def refuse_same_folder(first: Path, second: Path, flags: str) -> None:
    """Raises UserError: two folders that should differ are one."""
    if _is_same(first, second):
        raise UserError(f"{flags}: both are {printable(first)}; give two folders, each with the photos of one camera")


def _nothing(listing: Listing) -> str:
    inside = {folder: n for folder, n in listing.subfolders.items() if n}
    if inside:
        places = ", ".join(f"{printable(folder)} ({n})" for folder, n in list(inside.items())[:5])
        return f"{printable(listing.folder)}: no photo right inside it, but in its subfolders: {places}; give one"
    kinds = ", ".join(sorted(PHOTO_SUFFIXES))
    return f"{printable(listing.folder)}: no photo in this folder ({kinds}); {listing.left_out() or 'it is empty'}"


def _count_photos(folder: Path) -> int:
    """Photos in a folder and its subfolders that are no results."""
    return sum(
        (Path(place) / name).suffix.lower() in PHOTO_SUFFIXES and not name.startswith(".") and name not in results
        for place, _, files in os.walk(folder)
        for results in [results_in(Path(place))]
        for name in files
    )


def _is_same(path: Path, other: Path | None) -> bool:
    return other is not None and path.exists() and other.exists() and path.samefile(other)


def unique(paths: Sequence[Path]) -> list[Path]:
    """Without files that were named before, by whatever name."""
    kept: dict[tuple[int, int], Path] = {}
    for path in paths:
        kept.setdefault(file_id(path), path)
    return list(kept.values())


def file_id(path: Path) -> tuple[int, int]:
    """What is the same for every name of a file: device and inode."""
    stat = path.stat()
    return stat.st_dev, stat.st_ino
