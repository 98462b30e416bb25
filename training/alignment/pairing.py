"""Which photo of a phone folder and which of a DSLR folder show one scene: by name, or by when they were taken."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from PIL import ExifTags, Image

from training.commandline import UserError, printable
from training.photos import PHOTO_SUFFIXES
from training.photos.decoding import PhotoError, decode

Unpaired = list[tuple[Path, str]]  # photo, reason


@dataclass(frozen=True)
class Shots:
    """Two photos that are said to show one scene."""

    phone: Path
    dslr: Path

    @property
    def key(self) -> str:
        """Unique among pairs and safe as a file name: the phone photo's name, and a hash of both."""
        safe = re.sub(r"[^A-Za-z0-9_-]", "_", self.phone.stem)[:60]
        return f"{safe}-{_digest(f'{self.phone.name}/{self.dslr.name}').hex()[:8]}"

    @property
    def draw(self) -> float:
        """A number in [0, 1) that depends on nothing but the phone photo's name: it decides about test photos."""
        return int.from_bytes(_digest(self.phone.name)[:6], "big") / 2**48


def by_name(phone_folder: Path, dslr_folder: Path) -> tuple[list[Shots], Unpaired]:
    """Photos of one name, extension and upper case aside. Also the photos of both sides that have no partner."""
    pairs, unpaired = [], []
    dslrs = {_stem(path): path for path in reversed(photos_in(dslr_folder))}
    for phone in photos_in(phone_folder):
        dslr = dslrs.pop(_stem(phone), None)
        if dslr:
            pairs.append(Shots(phone, dslr))
        else:
            unpaired.append((phone, "no DSLR photo of that name, or it has a partner already"))
    return pairs, unpaired + [(path, "no phone photo of that name") for path in sorted(dslrs.values())]


def by_time(
    phone_folder: Path, dslr_folder: Path, tolerance: timedelta, dslr_ahead: timedelta
) -> tuple[list[Shots], Unpaired]:
    """Photos taken at one time by EXIF, nearest first, each once. Also those of both sides without a partner.

    tolerance: how far apart at most. dslr_ahead: by how much the DSLR's clock is ahead of the phone's.
    """
    phones, unpaired = _dated(photos_in(phone_folder))
    dslrs, undated = _dated(photos_in(dslr_folder))
    dslrs = sorted((when - dslr_ahead, path) for when, path in dslrs)
    times = [when for when, _ in dslrs]
    near = []
    for when, phone in phones:
        for at in range(bisect_left(times, when - tolerance), bisect_right(times, when + tolerance)):
            near.append((abs(times[at] - when), phone, dslrs[at][1]))
    partner: dict[Path, Path] = {}
    taken: set[Path] = set()
    for _, phone, dslr in sorted(near):
        if phone not in partner and dslr not in taken:
            partner[phone] = dslr
            taken.add(dslr)
    alone = f"no photo of the other side within {tolerance.total_seconds():g} s that is not nearer to another"
    unpaired += undated
    unpaired += [(path, alone) for _, path in [*phones, *dslrs] if path not in partner and path not in taken]
    return [Shots(phone, partner[phone]) for phone in sorted(partner)], unpaired


def photos_in(folder: Path) -> list[Path]:
    """The photo files right inside a folder, by name.

    Raises:
        UserError: no such folder, or no photo in it.
    """
    if not folder.is_dir():
        raise UserError(f"{printable(folder)}: no such folder; give one with the photos of one camera")
    found = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in PHOTO_SUFFIXES and not p.name.startswith(".")]
    if not found:
        raise UserError(f"{printable(folder)}: no photo in it ({', '.join(sorted(PHOTO_SUFFIXES))})")
    return found


def taken_at(photo: Path) -> datetime:
    """When a photo was taken, by its camera's clock, to fractions of a second. The time zone, which few know, is left.

    Raises:
        PhotoError: it cannot be read, or says nothing about its time.
    """
    exif = Image.Exif()
    exif.load(decode(photo, lambda opened: opened.exif))
    details = exif.get_ifd(ExifTags.IFD.Exif)
    text = str(details.get(ExifTags.Base.DateTimeOriginal, exif.get(ExifTags.Base.DateTime, "")))
    try:
        when = datetime.strptime(text.strip("\0 "), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        raise PhotoError(f"{printable(photo)}: EXIF does not say when it was taken; pair it by name") from None
    fraction = re.match(r"\d{1,6}", str(details.get(ExifTags.Base.SubsecTimeOriginal, "")))
    if fraction:
        when += timedelta(microseconds=int(fraction[0].ljust(6, "0")))
    return when


def _dated(paths: Sequence[Path]) -> tuple[list[tuple[datetime, Path]], Unpaired]:
    dated, undated = [], []
    for path in paths:
        try:
            dated.append((taken_at(path), path))
        except PhotoError as error:
            undated.append((path, str(error)))
    return dated, undated


def _stem(path: Path) -> str:
    return path.stem.casefold()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
