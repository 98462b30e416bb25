"""Packed samples: patches with their thumbnails in arrays on disk, made once and read as fast as memory.

A sample is a phone patch, what it should become, and the thumbnail of the picture that the patch was cut from: a
whole photo, or the patch itself. Written by pack.py (pairs), teach.py (published generators answer) and simulate.py (a
simulated phone). shards.py holds the same for sets that outgrow one disk.
"""

from __future__ import annotations

import json
import tokenize
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.commandline import UserError
from training.files import locked, sha256, write_text

Pixels = npt.NDArray[np.uint8]
FACTS = "facts.json"
FACTS_BYTES_MAX = 2**26
BROKEN_HEADER = (EOFError, SyntaxError, RecursionError, tokenize.TokenError)  # what readers raise, too
REMEDY = "make it with pack.py, teach.py or simulate.py"


class PackedError(UserError):
    """A folder holds no packed samples that can be used; the message says which commands make them."""


@dataclass(frozen=True)
class Packed:
    """thumbnail [N, t, t, 3], phone and dslr [N, p, p, 3]: uint8 sRGB, mapped from disk.

    facts: JSON: "licences" of all that went in, the photos, settings, sha256 of each array.
    """

    thumbnail: Pixels
    phone: Pixels
    dslr: Pixels
    facts: dict[str, Any]

    def __len__(self) -> int:
        return len(self.phone)

    def size(self, at: int) -> tuple[int, int]:
        """Height and width of a patch."""
        return self.phone.shape[1], self.phone.shape[2]

    def sample(self, at: int, draw: int, of: int) -> tuple[Pixels, Pixels, Pixels]:
        """(phone, dslr, thumbnail) of sample `at`, whenever it is drawn."""
        return self.phone[at], self.dslr[at], self.thumbnail[at]


class Writer:
    """Puts samples into arrays on disk; `save` makes the folder valid by writing its facts last.

    Raises:
        LockedError: another process is writing there.
    """

    def __init__(self, count: int, patch_px: int, thumbnail_px: int, folder: Path):
        self.folder, self.count, self.used = folder, count, 0
        self._held = ExitStack()
        self._held.enter_context(locked(folder))
        (folder / FACTS).unlink(missing_ok=True)
        sides = {"thumbnail": thumbnail_px, "phone": patch_px, "dslr": patch_px}
        self.arrays = {
            name: np.lib.format.open_memmap(_part(folder, name), "w+", np.uint8, (count, side, side, 3))
            for name, side in sides.items()
        }  # fmt: skip

    def add(self, thumbnail: Pixels, phone: Pixels, dslr: Pixels) -> None:
        for name, pixels in {"thumbnail": thumbnail, "phone": phone, "dslr": dslr}.items():
            self.arrays[name][self.used] = pixels
        self.used += 1

    def save(self, facts: dict[str, Any]) -> Path:
        """Raises ValueError unless all samples were added that were announced."""
        if self.used != self.count:
            raise ValueError(f"{self.used} of {self.count} samples were added")
        hashes = {}
        for name, array in self.arrays.items():
            array.flush()
            _part(self.folder, name).replace(self.folder / f"{name}.npy")
            hashes[name] = sha256(self.folder / f"{name}.npy")
        text = json.dumps({**facts, "samples": self.used, "sha256": hashes}, indent=2) + "\n"
        write_text(self.folder / FACTS, text)
        self._held.close()
        return self.folder


def _part(folder: Path, name: str) -> Path:
    return folder / f".{name}.part.npy"


def read_facts(folder: Path) -> bytes:
    """Raises OSError; what is larger than any list of shards ends early, and then is no JSON."""
    with (folder / FACTS).open("rb") as file:
        return file.read(FACTS_BYTES_MAX)


def load(folder: Path, patch_px: int, thumbnail_px: int) -> Packed:
    """Map a set into memory.

    Raises:
        PackedError: absent, incomplete, changed, of another thumbnail size or of patches smaller than `patch_px`.
    """
    try:
        facts = json.loads(read_facts(folder))
        hashes, licences = facts["sha256"], facts["licences"]
        names = ("thumbnail", "phone", "dslr")
        if not isinstance(licences, list) or hashes != {name: sha256(folder / f"{name}.npy") for name in names}:
            raise PackedError(f"{folder}: its files are not those that were written there; {REMEDY}")
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names}
    except (OSError, ValueError, KeyError, TypeError, *BROKEN_HEADER) as error:
        raise PackedError(f"{folder}: no complete set of packed samples ({error}); {REMEDY}") from error
    packed = Packed(**arrays, facts=facts)
    count, side = len(packed), packed.phone.shape[1]
    patches, thumbnails = (count, side, side, 3), (count, thumbnail_px, thumbnail_px, 3)
    if (packed.thumbnail.shape, packed.phone.shape, packed.dslr.shape) != (thumbnails, patches, patches):
        raise PackedError(f"{folder}: its arrays do not fit each other or thumbnails of {thumbnail_px} px; {REMEDY}")
    if not count or side < patch_px or any(array.dtype != np.uint8 for array in arrays.values()):
        raise PackedError(f"{folder}: {count} patches of {side} px, {patch_px} px are needed; {REMEDY}")
    return packed
