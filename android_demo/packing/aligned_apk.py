"""An APK whose native libraries Android maps from the file: stored, at multiples of 16 KB (standard library only).

Debian's zipalign 10 knows pages of 4 KB only. The extra field 0xd935 tells apksigner to keep the alignment.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path

PAGE_BYTES = 16384
WORD_BYTES = 4
ALIGNMENT_FIELD = 0xD935
LOCAL_HEADER_BYTES = 30
DATE = (1981, 1, 1, 1, 1, 2)  # as the Android tools have it, so that equal content is equal bytes
LOAD_SEGMENT = 1


def write_apk(target: Path, entries: Iterable[tuple[str, bytes]]) -> None:
    """Libraries and resources.arsc are stored, the others deflated."""
    with zipfile.ZipFile(target, "w") as apk:
        for name, content in entries:
            info = zipfile.ZipInfo(name, DATE)
            library = name.endswith(".so")
            if library or name == "resources.arsc":
                alignment = PAGE_BYTES if library else WORD_BYTES
                assert apk.fp is not None
                start = apk.fp.tell() + LOCAL_HEADER_BYTES + len(name.encode()) + 6  # 6: the field without padding
                padding = -start % alignment
                info.extra = struct.pack("<HHH", ALIGNMENT_FIELD, 2 + padding, alignment) + bytes(padding)
            else:
                info.compress_type = zipfile.ZIP_DEFLATED
            apk.writestr(info, content)


def offsets(apk: Path) -> dict[str, int]:
    """Where the content of each stored entry begins."""
    found = {}
    with zipfile.ZipFile(apk) as opened, apk.open("rb") as file:
        for info in opened.infolist():
            if info.compress_type == zipfile.ZIP_STORED:
                file.seek(info.header_offset + 26)
                name_bytes, extra_bytes = struct.unpack("<HH", file.read(4))
                found[info.filename] = info.header_offset + LOCAL_HEADER_BYTES + name_bytes + extra_bytes
    return found


def segment_alignment(library: bytes) -> int:
    """The smallest alignment of the loaded segments of a 64-bit little-endian ELF file, in bytes."""
    if library[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", library, 32)
    size, count = struct.unpack_from("<HH", library, 54)
    headers = (struct.unpack_from("<IIQQQQQQ", library, table + at * size) for at in range(count))
    return min(header[7] for header in headers if header[0] == LOAD_SEGMENT)


def misaligned(apk: Path) -> list[str]:
    """What a phone with pages of 16 KB would refuse to load, in words."""
    at = offsets(apk)
    wrong = []
    with zipfile.ZipFile(apk) as opened:
        for name in opened.namelist():
            if not name.endswith(".so"):
                continue
            if name not in at:
                wrong.append(f"{name} is compressed")
            elif at[name] % PAGE_BYTES:
                wrong.append(f"{name} begins at {at[name]}, no multiple of {PAGE_BYTES}")
            if (alignment := segment_alignment(opened.read(name))) % PAGE_BYTES:
                wrong.append(f"{name} was linked for pages of {alignment} bytes")
    return wrong
