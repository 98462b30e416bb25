"""A photo pair, the same scene by a phone and by a DSLR, and how two folders of photos become pairs."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.commandline import UserError, printable
from training.data import simulated_phone
from training.photos import PHOTO_SUFFIXES, read_pixels

Pixels = npt.NDArray[np.uint8]


class PairError(UserError):
    """The photo pairs cannot be used; the message names the folder or file and the remedy."""


@dataclass(frozen=True)
class PhotoPair:
    """One scene twice, aligned.

    name: unique in its folder and safe to print: letters, digits, and `._-/~`.
    phone: the phone's photo, or the seed of a simulation that makes it from the DSLR photo.
    licence: of both photos, as their source states it.
    photo: which photo a patch was cut from, where that is known: patches of one photo belong together.
    """

    name: str
    phone: Path | int
    dslr: Path
    licence: str
    photo: str = ""

    @property
    def scene(self) -> str:
        """What pairs of one photo have in common; of a pair by itself, its file, as names repeat from set to set."""
        return self.photo or str(self.dslr)

    @property
    def simulated(self) -> bool:
        """True when no phone took the phone photo."""
        return isinstance(self.phone, int)

    def load(self) -> tuple[Pixels, Pixels]:
        """(phone, dslr), both [H, W, 3] uint8 sRGB of equal size.

        Raises:
            PhotoError: one of the files cannot be read; it is named.
            PairError: the sides differ in size.
        """
        dslr = read_pixels(self.dslr)
        if isinstance(self.phone, int):
            return simulated_phone.simulate(dslr, self.phone), dslr
        phone = read_pixels(self.phone)
        if phone.shape != dslr.shape:
            raise PairError(
                f"{printable(self.phone)}: the sides differ in size ({_size(phone)} and {_size(dslr)} px of "
                f"{printable(self.dslr)}); align the pairs first, with align.py"
            )
        return phone, dslr


def count_of(pairs: Sequence[PhotoPair]) -> str:
    """ "12 pairs", or "12 patches of 3 photos" where it is known that they were cut from fewer photos."""
    photos, count = len({pair.scene for pair in pairs}), len(pairs)
    if photos == count:
        return f"{count} pair{'s' * (count != 1)}"
    kind = "simulated phone photos" if all(pair.simulated for pair in pairs) else "patches"
    return f"{count} {kind} of {'one photo' if photos == 1 else f'{photos} photos'}"


def two_folders(
    phone_folder: Path, dslr_folder: Path, licence: str = "as its owner states", photos: Mapping[str, str] | None = None
) -> list[PhotoPair]:
    """Pair the photos of two folders by name without extension, numbers in natural order, gaps allowed.

    DSLR photos without a partner are left out. photos: file name of a phone patch -> the photo that it was cut from.

    Raises:
        PairError: a folder is absent or has no photo, two photos share a name, a phone photo has no partner.
    """
    phones, dslrs = _photos(phone_folder), _photos(dslr_folder)
    lonely = [stem for stem in phones if stem not in dslrs]
    if lonely:
        raise PairError(_without_partner(lonely, phones, dslrs, dslr_folder))
    names = _unique_names([f"{phone_folder.name}/{stem}" for stem in phones])
    return [
        PhotoPair(name, path, dslrs[stem], licence, (photos or {}).get(path.name, ""))
        for name, (stem, path) in zip(names, phones.items(), strict=True)
    ]


def _without_partner(lonely: list[str], phones: dict[str, Path], dslrs: dict[str, Path], folder: Path) -> str:
    """One line: the first phone photo without a partner, what may be meant, and how many there are."""
    stem = lonely[0]
    spare = {_plain(name): path for name, path in dslrs.items() if name not in phones}
    near = difflib.get_close_matches(_plain(stem), spare, n=1)
    remedy = (
        f"{printable(spare[near[0]].name)} looks like it: give both one name" if near else "add it or remove this one"
    )
    count = f" ({len(lonely)} of {len(phones)} phone photos have no partner)" if len(lonely) > 1 else ""
    return f"{printable(phones[stem])}: no photo of that name in {printable(folder)}; {remedy}{count}"


def _plain(name: str) -> str:
    """A name without what people and cameras vary: case, spaces and signs."""
    return "".join(character for character in name.casefold() if character.isalnum())


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key: "9" before "10", and texts after numbers."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


def _photos(folder: Path) -> dict[str, Path]:
    """Stem -> photo, in natural order. One name is one, whichever Unicode form it is written in."""
    if not folder.is_dir():
        raise PairError(f"{printable(folder)}: no such folder; it should hold one side of the photo pairs")
    photos: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: _natural(path.name)):
        if path.suffix.lower() not in PHOTO_SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        stem = unicodedata.normalize("NFC", path.stem)
        if stem in photos:
            raise PairError(f"{printable(path)}: {printable(photos[stem].name)} has the same name; remove one")
        photos[stem] = path
    if not photos:
        raise PairError(f"{printable(folder)}: no photo in this folder ({', '.join(sorted(PHOTO_SUFFIXES))})")
    return photos


def _unique_names(texts: Sequence[str]) -> list[str]:
    """File names may hold anything but a slash: keep letters, digits and `._-/`, number what then coincides."""
    names: list[str] = []
    taken: dict[str, int] = {}
    for text in texts:
        safe = "".join(c if c.isalnum() or c in "._-/" else "_" for c in text)
        taken[safe] = taken.get(safe, 0) + 1
        names.append(safe if taken[safe] == 1 else f"{safe}~{taken[safe]}")
    return names
