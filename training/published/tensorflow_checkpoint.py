"""TensorFlow V2 checkpoints, as published weights come in, read without TensorFlow.

A checkpoint `prefix` is `prefix.index`, a LevelDB-style sorted table of variable names, and shards
`prefix.data-00000-of-00001` that hold the values. Formats: leveldb `doc/table_format.md`; TensorFlow
`core/protobuf/tensor_bundle.proto`. The files come from strangers, so every length is checked before it is
used, every checksum is verified, and any fault is a `PublishedError`.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt

from training.commandline import UserError

MAGIC = 0xDB4775248B80FB57
FOOTER_BYTES = 48
TRAILER_BYTES = 5  # of a block: compression and checksum
MAX_INDEX_BYTES = 1 << 20  # the published ones have 2,000 bytes
MAX_DATA_BYTES = 1 << 30
MAX_ENTRIES = 10_000
MAX_NAME_BYTES = 1024
MAX_SHARDS = 1000
MAX_DIMENSIONS = 8
DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 6: "i1", 9: "<i8", 19: "<f2"}  # DataType of types.proto


class PublishedError(UserError):
    """A published checkpoint cannot be read; the message names the file."""


class _Malformed(Exception):
    """Bytes that are not what the format says; the reader adds the file's name."""


def _masked_checksum(raw: bytes) -> int:
    """The checksum that the formats store: CRC32C, rotated and offset (leveldb `util/crc32c.h`)."""
    crc = google_crc32c.value(raw)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except _Malformed as fault:
        raise PublishedError(f"{path}: damaged, or no TensorFlow V2 checkpoint: {fault}; get it again") from fault
    except OSError as error:
        raise PublishedError(f"{path}: cannot be read: {error.strerror}; choose a file that you can read") from error


class _Bytes:
    """A cursor that never reads past its end."""

    def __init__(self, raw: bytes):
        self.raw = raw
        self.at = 0

    def __bool__(self) -> bool:
        return self.at < len(self.raw)

    def take(self, size: int) -> bytes:
        if size > len(self.raw) - self.at:
            raise _Malformed("a length points past the end")
        self.at += size
        return self.raw[self.at - size : self.at]

    def varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            (byte,) = self.take(1)
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise _Malformed("a number is longer than 10 bytes")


def _block(index: bytes, offset: int, size: int) -> bytes:
    """A table block, its checksum verified."""
    end = offset + size
    if end + TRAILER_BYTES > len(index) - FOOTER_BYTES:
        raise _Malformed("a block lies outside the file")
    compression, checksum = struct.unpack("<BI", index[end : end + TRAILER_BYTES])
    if _masked_checksum(index[offset : end + 1]) != checksum:
        raise _Malformed("a checksum (CRC32C) does not match")
    if compression:
        raise _Malformed(f"a block has compression {compression}, and TensorFlow writes none")
    return index[offset:end]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; each key drops the prefix that it shares with the one before."""
    if len(block) < 4:
        raise _Malformed("a block is too short")
    (restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 - 4 * restarts
    if end < 0:
        raise _Malformed("a block is shorter than its restart points")
    source = _Bytes(block[:end])
    key = b""
    while source:
        shared, fresh, size = source.varint(), source.varint(), source.varint()
        if shared > len(key) or shared + fresh > MAX_NAME_BYTES:
            raise _Malformed("a name is longer than it can be")
        key = key[:shared] + source.take(fresh)
        yield key, source.take(size)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values of a protocol buffer message."""
    source = _Bytes(message)
    while source:
        tag = source.varint()
        match tag & 7:
            case 0:
                yield tag >> 3, source.varint()
            case 1:
                yield tag >> 3, struct.unpack("<Q", source.take(8))[0]
            case 2:
                yield tag >> 3, source.take(source.varint())
            case 5:
                yield tag >> 3, struct.unpack("<I", source.take(4))[0]
            case _:
                raise _Malformed("a record has a field of no known type")


def _number(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise _Malformed("a record has bytes where a number belongs")
    return value


def _message(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise _Malformed("a record has a number where a message belongs")
    return value


@dataclass
class _Entry:
    """BundleEntryProto: where a variable lies."""

    dtype: int = 0
    shape: tuple[int, ...] = ()
    shard: int = 0
    offset: int = 0
    size: int = 0
    checksum: int = 0

    @classmethod
    def parse(cls, message: bytes) -> _Entry:
        entry = cls()
        for number, value in _fields(message):
            match number:
                case 1:
                    entry.dtype = _number(value)
                case 2:
                    dimensions = [_message(part) for field, part in _fields(_message(value)) if field == 2]
                    entry.shape = tuple(_number(dict(_fields(part)).get(1, 0)) for part in dimensions)
                case 3:
                    entry.shard = _number(value)
                case 4:
                    entry.offset = _number(value)
                case 5:
                    entry.size = _number(value)
                case 6:
                    entry.checksum = _number(value)
                case 7:
                    raise _Malformed("a variable is cut into slices, which no published generator is")
        if entry.dtype not in DTYPES:
            raise _Malformed(f"a variable has TensorFlow data type {entry.dtype}, not one of {sorted(DTYPES)}")
        if len(entry.shape) > MAX_DIMENSIONS or 0 in entry.shape:
            raise _Malformed(f"a variable has no values, or more than {MAX_DIMENSIONS} dimensions")
        if math.prod(entry.shape) * np.dtype(DTYPES[entry.dtype]).itemsize != entry.size:
            raise _Malformed("a variable's shape and size in bytes differ")
        return entry


def _read_index(index: bytes) -> tuple[int, dict[str, _Entry]]:
    """-> (number of shards, variables by name)."""
    if len(index) < FOOTER_BYTES or struct.unpack("<Q", index[-8:])[0] != MAGIC:
        raise _Malformed("it does not end as a TensorFlow V2 index does")
    footer = _Bytes(index[-FOOTER_BYTES:-8])
    metaindex, handles = (footer.varint(), footer.varint()), (footer.varint(), footer.varint())
    _block(index, *metaindex)  # empty in TensorFlow's files; its checksum counts all the same
    shards, variables, read_to = 0, dict[str, _Entry](), 0
    for count, (_, handle) in enumerate(_entries(_block(index, *handles))):
        source = _Bytes(handle)
        offset, size = source.varint(), source.varint()
        if offset < read_to or count >= MAX_ENTRIES:
            raise _Malformed("its blocks overlap")
        read_to = offset + size
        for key, value in _entries(_block(index, offset, size)):
            name = key.decode(errors="backslashreplace")
            if name in variables or len(variables) >= MAX_ENTRIES or (not name and shards):
                raise _Malformed(f"it names {name[:80]!r} twice, or more than {MAX_ENTRIES} variables")
            if name:
                variables[name] = _Entry.parse(value)
            else:
                shards = _bundle_header(value)
    if any(entry.shard >= shards for entry in variables.values()):
        raise _Malformed("a variable lies in a data file that there is none of")
    if sum(entry.size for entry in variables.values()) > MAX_DATA_BYTES:
        raise _Malformed(f"its variables have more than {MAX_DATA_BYTES >> 30} GiB, which no published generator has")
    return shards, variables


def _bundle_header(message: bytes) -> int:
    """BundleHeaderProto -> number of shards."""
    header = dict(_fields(message))
    if header.get(2, 0) != 0:
        raise _Malformed("its numbers are big-endian, which is not supported")
    shards = _number(header.get(1, 0))
    if not 1 <= shards <= MAX_SHARDS:
        raise _Malformed(f"it speaks of {shards} data files")
    return shards


@dataclass(frozen=True)
class TensorFlowCheckpoint:
    """A checkpoint as read: `tensors` by TensorFlow name, each as its file says; `files` it came from."""

    prefix: Path
    tensors: dict[str, npt.NDArray[Any]]
    files: tuple[Path, ...]


def read_checkpoint(path: Path) -> TensorFlowCheckpoint:
    """Read a TensorFlow V2 checkpoint; every checksum (CRC32C) is verified.

    Args:
        path: the checkpoint's prefix, or its `.index` or any `.data-...` file.

    Raises:
        PublishedError: a file is missing, unreadable, damaged, or not of this format.
    """
    prefix = path.parent / re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", path.name)
    index_path = prefix.parent / f"{prefix.name}.index"
    if not index_path.is_file():
        raise PublishedError(
            f"{index_path}: no such file; give the path of a TensorFlow V2 checkpoint, such as PATH/iphone_orig"
        )
    with _reading(index_path):
        if index_path.stat().st_size > MAX_INDEX_BYTES:
            raise _Malformed(f"it is larger than {MAX_INDEX_BYTES >> 20} MiB")
        shards, entries = _read_index(index_path.read_bytes())
    files, tensors = [index_path], dict[str, npt.NDArray[Any]]()
    for shard in range(shards):
        path = prefix.parent / f"{prefix.name}.data-{shard:05d}-of-{shards:05d}"
        if not path.is_file():
            raise PublishedError(f"{path}: no such file, but {index_path.name} needs it; put it there")
        with _reading(path):
            tensors |= _read_shard(path, {name: entry for name, entry in entries.items() if entry.shard == shard})
        files.append(path)
    return TensorFlowCheckpoint(prefix, tensors, tuple(files))


def _read_shard(path: Path, entries: dict[str, _Entry]) -> dict[str, npt.NDArray[Any]]:
    tensors, read_to, size = {}, 0, path.stat().st_size
    with path.open("rb") as file:
        for name, entry in sorted(entries.items(), key=lambda item: item[1].offset):
            if entry.offset < read_to or entry.size > size - entry.offset:
                raise _Malformed(f"{name!r} lies past the end or over another variable")
            read_to = entry.offset + entry.size
            file.seek(entry.offset)
            raw = file.read(entry.size)
            if _masked_checksum(raw) != entry.checksum:
                raise _Malformed(f"the checksum (CRC32C) of {name!r} does not match")
            tensors[name] = np.frombuffer(raw, DTYPES[entry.dtype]).reshape(entry.shape)
    return tensors
