"""Directories of a TIFF, classic or BigTIFF: what its tags say, whatever is broken about the others (TIFF 6.0)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two of BigTIFF, whose offsets have 8 bytes
SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
ORIENTATION, SAMPLES, CHILDREN, EXTRA_SAMPLES, SAMPLE_FORMAT = 274, 277, 330, 338, 339
XMP, IPTC, PHOTOSHOP, ICC = 700, 33723, 34377, 34675
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
REDUCED, MASK = 1, 4  # bits of NewSubfileType
OLD_REDUCED = 2  # a value of SubfileType
GREYS, RGB, PALETTE, CMYK, YCBCR, CIELAB, ICCLAB = (0, 1), 2, 3, 5, 6, 8, 9  # PhotometricInterpretation
ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA = 1, 2  # ExtraSamples
UNSIGNED, UNDEFINED = 1, 4  # SampleFormat
MAX_PAGES, MAX_DEPTH, MAX_NUMBERS, MAX_DATA_BYTES = 4096, 3, 256, 1 << 26


Entries = dict[int, "tuple[int, bytes] | Entries"]


@dataclass(frozen=True)
class Directory:
    """A picture of a TIFF.

    number: of the page, from 0; of the page above for a picture below one.
    fields: tag -> type, and the bytes of its value.
    """

    number: int
    offset: int
    order: str
    fields: dict[int, tuple[int, bytes]]
    children: tuple[Directory, ...] = ()

    def __contains__(self, tag: int) -> bool:
        return tag in self.fields

    def data(self, tag: int) -> bytes:
        return self.fields.get(tag, (0, b""))[1]

    def numbers(self, tag: int) -> tuple[int, ...]:
        """The first integers that a tag holds; () where it is absent or holds none."""
        kind, data = self.fields.get(tag, (0, b""))
        if kind not in INTEGERS:
            return ()
        count = min(len(data) // TYPE_BYTES[kind], MAX_NUMBERS)
        return struct.unpack_from(f"{self.order}{count}{INTEGERS[kind]}", data)

    def number_of(self, tag: int, default: int) -> int:
        return next(iter(self.numbers(tag)), default)

    @property
    def width(self) -> int:
        return self.number_of(WIDTH, 0)

    @property
    def height(self) -> int:
        return self.number_of(HEIGHT, 0)

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def photometric(self) -> int:
        return self.number_of(PHOTOMETRIC, -1)

    @property
    def compression(self) -> int:
        return self.number_of(COMPRESSION, 1)

    @property
    def is_full(self) -> bool:
        """Neither a smaller version of another picture nor a mask for one."""
        reduced = self.number_of(OLD_SUBFILE, 0) == OLD_REDUCED
        return not (reduced or self.number_of(SUBFILE, 0) & (REDUCED | MASK))

    @property
    def colour_samples(self) -> int:
        """Samples of a pixel that are colour: 1 grey or palette, 3 RGB, 4 CMYK."""
        return {RGB: 3, YCBCR: 3, CIELAB: 3, ICCLAB: 3, CMYK: 4}.get(self.photometric, 1)

    @property
    def alpha_sample(self) -> int | None:
        """Which sample of a pixel is alpha: the first extra one of that type, or the only one if no type is given."""
        extra = self.extra_samples
        if EXTRA_SAMPLES not in self:
            return self.colour_samples if extra == 1 else None
        types = self.numbers(EXTRA_SAMPLES)[:extra]
        places = (n for n, kind in enumerate(types) if kind in (ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA))
        place = next(places, None)
        return None if place is None else self.colour_samples + place

    @property
    def extra_samples(self) -> int:
        return max(self.number_of(SAMPLES, 1) - self.colour_samples, 0)

    def descendants(self) -> Iterator[Directory]:
        for child in self.children:
            yield child
            yield from child.descendants()


class Reader:
    """Reads directories, each once, so that circles end."""

    def __init__(self, content: mmap | bytes):
        self.content = content
        self.order = "<" if content[:2] == b"II" else ">"
        self.is_big = content[2:4] in (b"+\0", b"\0+")
        self.seen: set[int] = set()

    def pages(self) -> list[Directory]:
        """In the order of the file. A directory past the end of the file ends it."""
        start = 8 if self.is_big else 4
        pages: list[Directory] = []
        try:
            offset = self._offset_at(start)
            while offset and offset not in self.seen and len(pages) < MAX_PAGES:
                page, offset = self._directory(offset, len(pages), MAX_DEPTH)
                pages.append(page)
        except struct.error:
            pass
        return pages

    def linked(self, directory: Directory, tag: int) -> Directory | None:
        """The directory that a tag points at, such as EXIF's; None where there is none that can be read."""
        try:
            return self._directory(directory.numbers(tag)[0], directory.number, 0)[0]
        except (IndexError, struct.error):
            return None

    def _offset_at(self, place: int) -> int:
        return struct.unpack_from(self.order + ("Q" if self.is_big else "I"), self.content, place)[0]

    def _directory(self, offset: int, number: int, depth: int) -> tuple[Directory, int]:
        """And the offset of the next one, 0 at the end."""
        self.seen.add(offset)
        count_format, entry_format, value_bytes = ("Q", "HHQ", 8) if self.is_big else ("H", "HHI", 4)
        (count,) = struct.unpack_from(self.order + count_format, self.content, offset)
        entries = offset + struct.calcsize("=" + count_format)
        entry_bytes = struct.calcsize("=" + entry_format) + value_bytes
        if entries + count * entry_bytes > len(self.content):
            raise struct.error("a directory that ends past the file")
        fields: dict[int, tuple[int, bytes]] = {}
        for place in range(entries, entries + count * entry_bytes, entry_bytes):
            tag, kind, length = struct.unpack_from(self.order + entry_format, self.content, place)
            size = length * TYPE_BYTES.get(kind, 0)
            value = place + entry_bytes - value_bytes
            if size > value_bytes:
                value = self._offset_at(value)
            fields.setdefault(tag, (kind, bytes(self.content[value : value + min(size, MAX_DATA_BYTES)])))
        directory = Directory(number, offset, self.order, fields)
        children = tuple(self._children(directory, depth))
        after = entries + count * entry_bytes
        following = self._offset_at(after) if after + value_bytes <= len(self.content) else 0
        return Directory(number, offset, self.order, fields, children), following

    def _children(self, directory: Directory, depth: int) -> Iterator[Directory]:
        for offset in directory.numbers(CHILDREN):
            if depth and offset not in self.seen:
                try:
                    yield self._directory(offset, directory.number, depth - 1)[0]
                except struct.error:
                    continue


def classic_bytes(directory: Entries, order: str) -> bytes:
    """A TIFF with offsets of 4 bytes of these entries, directories among them, as EXIF wants it."""
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8) + _written(directory, 8, order)


def _written(entries: Entries, start: int, order: str) -> bytes:
    table, body = struct.pack(order + "H", len(entries)), b""
    after = start + 2 + 12 * len(entries) + 4
    for tag, entry in sorted(entries.items()):
        if isinstance(entry, dict):
            kind, count, value = 4, 1, _written(entry, after + len(body), order)
        else:
            kind, value = entry
            count = len(value) // TYPE_BYTES[kind]
        if isinstance(entry, dict) or len(value) > 4:
            field, body = struct.pack(order + "I", after + len(body)), body + value + bytes(len(value) % 2)
        else:
            field = value.ljust(4, b"\0")
        table += struct.pack(order + "HHI", tag, kind, count) + field
    return table + bytes(4) + body


def photo_of(pages: list[Directory]) -> Directory:
    """The page that is the photo: the largest that is neither reduced nor a mask, the first of equals."""
    return max([page for page in pages if page.is_full] or pages, key=lambda page: (page.pixels, -page.number))
