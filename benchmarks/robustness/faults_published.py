"""TensorFlow checkpoints as published weights come in: written by hand, damaged, and lying under right checksums."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from benchmarks.robustness.faults import FLIPS, Case, flipped, truncated


def published_cases(folder: Path) -> Iterator[Case]:
    """A TensorFlow checkpoint as the authors' are, and what can be wrong with it."""
    from training.generators.ppcn import PpcnStudent

    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    variables = {}
    for parameter, value in PpcnStudent().state_dict().items():
        shape = [value.shape[at] for at in (2, 3, 1, 0)] if value.ndim == 4 else list(value.shape)
        variables[published_name(parameter)] = random.normal(size=shape).astype("<f4")
    index, data = tensorflow_files(variables)

    def write(name: str, index: bytes, data: bytes) -> Path:
        (folder / f"{name}.index").write_bytes(index)
        (folder / f"{name}.data-00000-of-00001").write_bytes(data)
        return folder / name

    whole = write("whole", index, data)
    yield Case("as it is", "published", whole, "truth", whole)
    for number, (name, damaged) in enumerate([*truncated(index), *flipped(index, FLIPS, seed=1)]):
        yield Case(f"index, {name}", "published", write(f"index-{number}", damaged, data), "truth", whole)
    for number, (name, damaged) in enumerate([*truncated(data), *flipped(data, FLIPS, seed=2)]):
        yield Case(f"data, {name}", "published", write(f"data-{number}", index, damaged), "truth", whole)
    changed = {**variables, next(iter(variables)): np.full((3,), 7, "<f4")}
    infinite = {name: np.full_like(value, np.inf) for name, value in variables.items()}
    for name, given in {"shape": changed, "infinite": infinite, "empty": {}}.items():
        yield Case(f"another {name}, checksums right", "published", write(name, *tensorflow_files(given)), "refused")
    for number, (name, block) in enumerate(flipped(table_block(variables), FLIPS, seed=3)):
        files = sealed_index(block), data
        yield Case(f"table, {name}, checksums right", "published", write(f"table-{number}", *files), "truth", whole)


def published_name(parameter: str) -> str:
    """`convolutions.2.weight` -> `generator_little/W2`: as the authors of PPCN name it."""
    module, number, kind = parameter.split(".")
    if module == "convolutions":
        return f"generator_little/{'W' if kind == 'weight' else 'b'}{number}"
    variable = 2 * (int(number) - 1) + (kind == "weight")
    return f"generator_little/Variable_{variable}" if variable else "generator_little/Variable"


def varint(value: int) -> bytes:
    out = b""
    while value >= 128:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def crc(raw: bytes) -> bytes:
    value = google_crc32c.value(raw)
    return struct.pack("<I", (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def block(entries: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A table block without shared prefixes (leveldb doc/table_format.md)."""
    rows = (varint(0) + varint(len(key)) + varint(len(value)) + key + value for key, value in entries)
    return b"".join(rows) + struct.pack("<II", 0, 1)


def table_block(variables: dict[str, Any]) -> bytes:
    entries, at = [(b"", b"\x08\x01\x1a\x02\x08\x01")], 0
    for name, value in sorted(variables.items()):
        sides = b"".join(b"\x12" + varint(len(side)) + side for side in (b"\x08" + varint(n) for n in value.shape))
        entry = b"\x08\x01\x12" + varint(len(sides)) + sides + (b"\x20" + varint(at) if at else b"")
        entries.append((name.encode(), entry + b"\x28" + varint(value.nbytes) + b"\x35" + crc(value.tobytes())))
        at += value.nbytes
    return block(entries)


def sealed_index(table: bytes) -> bytes:
    """With a trailer behind each block, and the footer."""
    body, handles = b"", []
    for part in (table, block([]), block([(b"zz", varint(0) + varint(len(table)))])):
        handles.append(varint(len(body)) + varint(len(part)))
        body += part + b"\0" + crc(part + b"\0")
    return body + (handles[1] + handles[2]).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def tensorflow_files(variables: dict[str, Any]) -> tuple[bytes, bytes]:
    """(index, data) of a TensorFlow V2 checkpoint."""
    return sealed_index(table_block(variables)), b"".join(value.tobytes() for _, value in sorted(variables.items()))
