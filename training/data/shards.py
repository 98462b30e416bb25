"""Packed samples in shards: WebDataset's tar files, for sets that outgrow one disk.

    <folder>/facts.json            the shards in order: where each lies, its samples, its sha256
    <folder>/samples-000000.tar    <key>.phone.png, <key>.dslr.png, <key>.thumbnail.png of each sample

A shard may lie anywhere: move it and write its new path, or an http address, into facts.json. Training looks at a
window of a few shards at a time, each read once from its beginning to its end, checked, and held in memory; the window
moves on by one shard when about as many samples were drawn as a shard has. Which shards it shows at which draw depends
on the seed and the draw's number alone. Of several processes each reads its share of the shards.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from training.commandline import UserError, printable
from training.data.packed import FACTS, REMEDY, Packed, PackedError, read_facts
from training.data.packed import load as load_arrays
from training.files import locked, replacing, sha256, write_text

Pixels = npt.NDArray[np.uint8]
Sample = tuple[Pixels, Pixels, Pixels]  # phone, dslr, thumbnail
SIDES = ("dslr", "phone", "thumbnail")  # sorted, as TarWriter does
WINDOW = 8  # shards


def write_shards(samples: Iterable[Sample], folder: Path, shard_bytes: int, facts: dict[str, Any]) -> Path:
    """Losslessly, a new shard when one has reached `shard_bytes`; facts.json last.

    Raises:
        UserError: the package webdataset is absent.
        LockedError: another process is writing there.
    """
    try:
        from webdataset import TarWriter
    except ImportError:
        raise UserError("shards need the package webdataset; install pocket-dslr[shards]") from None
    with locked(folder):
        (folder / FACTS).unlink(missing_ok=True)
        shards: list[dict[str, Any]] = []
        coming, total = iter(samples), 0
        sample = next(coming, None)
        while sample is not None:
            path = folder / f"samples-{len(shards):06d}.tar"
            count = 0
            with replacing(path) as temporary, TarWriter(str(temporary), encoder=False, mtime=0) as tar:
                while sample is not None and (not count or temporary.stat().st_size < shard_bytes):
                    phone, dslr, small = (_png(pixels) for pixels in sample)
                    tar.write({"__key__": f"{total:09d}", "dslr.png": dslr, "phone.png": phone, "thumbnail.png": small})
                    count, total = count + 1, total + 1
                    sample = next(coming, None)
            shards.append({"url": path.name, "samples": count, "sha256": sha256(path)})
        write_text(folder / FACTS, json.dumps({**facts, "samples": total, "shards": shards}, indent=2) + "\n")
    return folder


def load_samples(folder: Path, patch_px: int, thumbnail_px: int, seed: int) -> Samples:
    """A set of packed samples, in arrays or in shards; the seed orders these.

    Raises:
        PackedError: absent, incomplete, changed, of another thumbnail size or of patches smaller than `patch_px`.
    """
    try:
        facts = json.loads(read_facts(folder))
        if "shards" not in facts:
            return load_arrays(folder, patch_px, thumbnail_px)
        sides = int(facts["patch_px"]), int(facts["thumbnail_px"])
        shards = [Shard(str(one["url"]), int(one["samples"]), str(one["sha256"])) for one in facts["shards"]]
        if not isinstance(facts["licences"], list) or min((shard.samples for shard in shards), default=0) < 1:
            raise ValueError("no samples, or without their licences")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise PackedError(f"{printable(folder)}: no complete set of packed samples ({error}); {REMEDY}") from error
    if sides[0] < patch_px or sides[1] != thumbnail_px:
        raise PackedError(
            f"{printable(folder)}: patches of {sides[0]} px and thumbnails of {sides[1]} px, {patch_px} and "
            f"{thumbnail_px} px are needed; {REMEDY}"
        )
    facts = {**facts, "sha256": [shard.sha256 for shard in shards]}
    return Shards(folder, tuple(shards), sides[0], sides[1], facts, seed)


@dataclass(frozen=True)
class Shard:
    """url: a path, from the folder of the set or absolute, or an http address."""

    url: str
    samples: int
    sha256: str


@dataclass(frozen=True)
class Shards:
    """A set of samples of which a window of shards is in memory. facts: as those of Packed."""

    folder: Path
    shards: tuple[Shard, ...]
    patch_px: int
    thumbnail_px: int
    facts: dict[str, Any]
    seed: int
    _held: dict[int, list[list[bytes]]] = field(default_factory=dict)  # place in the order of reading -> its samples

    def __len__(self) -> int:
        return sum(shard.samples for shard in self.shards)

    def size(self, at: int) -> tuple[int, int]:
        """Height and width of a patch."""
        return self.patch_px, self.patch_px

    def sample(self, at: int, draw: int, of: int) -> Sample:
        """(phone, dslr, thumbnail): number `at`, modulo its samples, of the shard whose turn it is.

        Args:
            draw: number of the draw, of all sets together. of: samples of all sets together.
        """
        place = self.place(draw, of)
        if place not in self._held:
            for old in [held for held in self._held if held < place - len(self.shards[:WINDOW]) + 1]:
                del self._held[old]
            self._held[place] = self._read(self.shards[self.at_place(place)])
        held = self._held[place]
        dslr, phone, thumbnail = (_pixels(data) for data in held[at % len(held)])
        return phone, dslr, thumbnail

    def place(self, draw: int, of: int) -> int:
        """Whose turn it is, counted over all passes: draws go round the slots of the window, whose oldest shard leaves.

        A shard stays in one slot, so of P processes, each with every P-th draw, each reads its own slots only.
        """
        slots = len(self.shards[:WINDOW])
        oldest = draw * len(self.shards) // of
        return oldest + (draw - oldest) % slots

    def at_place(self, place: int) -> int:
        """The index of the shard there: every pass has an order of its own."""
        one_pass, within = divmod(place, len(self.shards))
        order = np.random.default_rng([self.seed, one_pass]).permutation(len(self.shards))
        return int(order[within])

    def _read(self, shard: Shard) -> list[list[bytes]]:
        from webdataset.tariterators import tar_file_iterator

        data = self._bytes(shard)
        if hashlib.sha256(data).hexdigest() != shard.sha256:
            raise PackedError(f"{printable(shard.url)}: not the shard that was written (sha256 differs); {REMEDY}")
        try:
            members = [member["data"] for member in tar_file_iterator(io.BytesIO(data))]
        except tarfile.TarError as error:
            raise PackedError(f"{printable(shard.url)}: no tar file ({error}); {REMEDY}") from error
        return [members[k : k + len(SIDES)] for k in range(0, len(members), len(SIDES))]

    def _bytes(self, shard: Shard) -> bytes:
        try:
            if not shard.url.startswith(("http://", "https://")):  # nothing else of WebDataset's: pipe: runs commands
                return (self.folder / shard.url).read_bytes()
            from webdataset.gopen import gopen

            with gopen(shard.url) as stream:
                return bytes(stream.read())
        except OSError as error:
            raise PackedError(
                f"{printable(shard.url)}: cannot be read ({error}); mount its disk or {REMEDY}"
            ) from error


def _png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def _pixels(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


Samples = Packed | Shards
