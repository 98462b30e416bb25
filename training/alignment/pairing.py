"""Which photo of a phone folder and which of a DSLR folder show one scene: by name, or by when they were taken."""

from __future__ import annotations

import hashlib
import logging
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from PIL import ExifTags, Image

from training.album.inputs import list_photos
from training.commandline import printable
from training.photos.decoding import PhotoError, decode

MIN_YEAR = 1970  # what is older is a clock that was never set
MAX_COMPARED = 1000  # photos of a side, in search of a difference between two clocks
Unpaired = list[tuple[Path, str]]  # photo, reason
log = logging.getLogger(__name__)


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


@dataclass(frozen=True)
class Taken:
    """When a photo was taken: by its camera's clock, and in UTC if EXIF says the clock's time zone."""

    photo: Path
    local: datetime
    utc: datetime | None = None

    def ahead_of(self, other: Taken) -> timedelta:
        """By UTC if both know it, else by their clocks."""
        return self.utc - other.utc if self.utc and other.utc else self.local - other.local


def by_name(phone_folder: Path, dslr_folder: Path) -> tuple[list[Shots], Unpaired]:
    """Photos of one name, extension, upper case and Unicode form aside. Also those of both sides without a partner."""
    pairs, unpaired = [], []
    dslrs = {_stem(path): path for path in reversed(_photos_in(dslr_folder))}
    for phone in _photos_in(phone_folder):
        dslr = dslrs.pop(_stem(phone), None)
        if dslr:
            pairs.append(Shots(phone, dslr))
        else:
            unpaired.append((phone, "no DSLR photo of that name, or it has a partner already"))
    if unpaired and dslrs:
        log.warning(
            "%d + %d photos have no partner of their name, such as %s and %s: give both of a pair one name, or pair "
            "them by --pair-by time", len(unpaired), len(dslrs), printable(unpaired[0][0].name),
            printable(min(dslrs.values()).name),
        )  # fmt: skip
    return pairs, unpaired + [(path, "no phone photo of that name") for path in sorted(dslrs.values())]


def by_time(
    phone_folder: Path, dslr_folder: Path, tolerance: timedelta, dslr_ahead: timedelta
) -> tuple[list[Shots], Unpaired]:
    """Photos taken at one time by EXIF, nearest first, each once. Also those of both sides without a partner.

    Two photos that both say the time zone of their clock are compared in UTC. Where another setting of `dslr_ahead`
    would pair most of those that are left, the log says which.

    tolerance: how far apart at most. dslr_ahead: by how much the DSLR's clock is ahead of the phone's.
    """
    phones, unpaired = _dated(_photos_in(phone_folder))
    dslrs, undated = _dated(_photos_in(dslr_folder), dslr_ahead)
    near = sorted(
        (abs(dslr.ahead_of(phone)), phone.photo, dslr.photo) for phone, dslr in _within(phones, dslrs, tolerance)
    )
    partner: dict[Path, Path] = {}
    taken: set[Path] = set()
    for _, phone_photo, dslr_photo in near:
        if phone_photo not in partner and dslr_photo not in taken:
            partner[phone_photo] = dslr_photo
            taken.add(dslr_photo)
    phones = [one for one in phones if one.photo not in partner]
    dslrs = [one for one in dslrs if one.photo not in taken]
    _say_other_clock(phones, dslrs, tolerance, dslr_ahead)
    alone = f"no photo of the other side within {tolerance.total_seconds():g} s that is not nearer to another"
    unpaired += undated
    unpaired += [(one.photo, alone) for one in [*phones, *dslrs]]
    return [Shots(phone, partner[phone]) for phone in sorted(partner)], unpaired


def taken_at(photo: Path) -> Taken:
    """When a photo was taken, to fractions of a second.

    Raises:
        PhotoError: it cannot be read, or says nothing about its time.
    """
    try:
        exif = Image.Exif()
        exif.load(decode(photo, lambda opened: opened.exif))
        details = exif.get_ifd(ExifTags.IFD.Exif)
        text, zone = details.get(ExifTags.Base.DateTimeOriginal), details.get(ExifTags.Base.OffsetTimeOriginal)
        if not text:
            text, zone = exif.get(ExifTags.Base.DateTime), details.get(ExifTags.Base.OffsetTime)
        local = datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S")
        if local.year < MIN_YEAR:
            raise ValueError
        fraction = re.match(r"\d{1,6}", str(details.get(ExifTags.Base.SubsecTimeOriginal, "")))
    except PhotoError:
        raise
    except Exception:  # broken metadata raises anything
        raise PhotoError(f"{printable(photo)}: EXIF does not say when it was taken; pair it by name") from None
    if fraction:
        local += timedelta(microseconds=int(fraction[0].ljust(6, "0")))
    offset = re.fullmatch(r"([+-])(\d\d):(\d\d)", str(zone).strip("\0 "))
    if not offset:
        return Taken(photo, local)
    east = timedelta(hours=int(offset[2]), minutes=int(offset[3])) * (-1 if offset[1] == "-" else 1)
    return Taken(photo, local, local - east)


def _photos_in(folder: Path) -> list[Path]:
    listing = list_photos(folder)
    if sentence := listing.left_out():
        log.info("%s", sentence)
    return listing.photos


def _dated(paths: Sequence[Path], ahead: timedelta = timedelta(0)) -> tuple[list[Taken], Unpaired]:
    dated, undated = [], []
    for path in paths:
        try:
            taken = taken_at(path)
        except PhotoError as error:
            undated.append((path, str(error)))
        else:
            dated.append(Taken(path, taken.local - ahead, taken.utc and taken.utc - ahead))
    return dated, undated


def _within(phones: Sequence[Taken], dslrs: Sequence[Taken], tolerance: timedelta) -> Iterator[tuple[Taken, Taken]]:
    """All couples that are at most `tolerance` apart."""
    in_utc = sorted(((one.utc, one) for one in dslrs if one.utc), key=lambda item: item[0])
    by_clock = sorted(((one.local, one) for one in dslrs), key=lambda item: item[0])
    without_zone = [item for item in by_clock if not item[1].utc]
    for phone in phones:
        places = [(phone.utc, in_utc), (phone.local, without_zone)] if phone.utc else [(phone.local, by_clock)]
        for when, index in places:
            first = bisect_left(index, when - tolerance, key=lambda item: item[0])
            last = bisect_right(index, when + tolerance, key=lambda item: item[0])
            yield from ((phone, dslr) for _, dslr in index[first:last])


def _say_other_clock(
    phones: Sequence[Taken], dslrs: Sequence[Taken], tolerance: timedelta, dslr_ahead: timedelta
) -> None:
    """Log the constant difference of the clocks that explains half or more of the photos that are left, if any."""
    phones, dslrs = phones[:MAX_COMPARED], dslrs[:MAX_COMPARED]
    differences = sorted((dslr.ahead_of(phone), phone.photo) for phone in phones for dslr in dslrs)
    most, shift, last = 0, timedelta(0), 0
    for first, (difference, _) in enumerate(differences):
        while last < len(differences) and differences[last][0] - difference <= tolerance:
            last += 1
        if last - first > most:
            most, shift = last - first, differences[(first + last - 1) // 2][0]
    if most and 2 * most >= min(len(phones), len(dslrs)):
        seconds = (shift + dslr_ahead).total_seconds()
        log.warning("the clocks may differ: --dslr-ahead %s would pair %d more", f"{seconds:.10g}", most)


def _stem(path: Path) -> str:
    return unicodedata.normalize("NFC", path.stem).casefold()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
