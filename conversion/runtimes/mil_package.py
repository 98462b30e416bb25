"""The files of a Core ML package and the constants in them, read with protobuf and checked.

Nothing in a package is trusted: files that it names must lie inside it, and sizes must agree with the files.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from coremltools.proto import MIL_pb2, Model_pb2
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from torch import Tensor

from conversion.runtimes.mil_constants import unpack_bits
from conversion.runtimes.mil_operators import Value
from training.commandline import UserError

MANIFEST_LIMIT_BYTES = 2**20
MODEL_LIMIT_BYTES = 2**26  # the graph alone; weights lie in their own file
LIMIT_ELEMENTS = 2**29  # of all constants together, and of all live results together: 2 GiB of float32

# Of MIL's dtypes, those that constants may have.
_DENSE = {
    MIL_pb2.BOOL: np.dtype(np.bool_),
    MIL_pb2.FLOAT16: np.dtype("<f2"),
    MIL_pb2.FLOAT32: np.dtype("<f4"),
    MIL_pb2.INT8: np.dtype(np.int8),
    MIL_pb2.UINT8: np.dtype(np.uint8),
    MIL_pb2.INT32: np.dtype("<i4"),
    MIL_pb2.UINT32: np.dtype("<u4"),
}
_PACKED_BITS = {
    MIL_pb2.UINT1: 1,
    MIL_pb2.UINT2: 2,
    MIL_pb2.UINT3: 3,
    MIL_pb2.UINT4: 4,
    MIL_pb2.INT4: 4,
    MIL_pb2.UINT6: 6,
}
# An entry of weight.bin begins with this record: mark, dtype in the file's own numbering, bytes, offset of the bytes.
_BLOB_RECORD = struct.Struct("<IIQQ")
_BLOB_MARK = 0xDEADBEEF
_BLOB_DTYPES = {
    MIL_pb2.FLOAT16: 1,
    MIL_pb2.FLOAT32: 2,
    MIL_pb2.UINT8: 3,
    MIL_pb2.INT8: 4,
    MIL_pb2.INT4: 8,
    MIL_pb2.UINT1: 9,
    MIL_pb2.UINT2: 10,
    MIL_pb2.UINT4: 11,
    MIL_pb2.UINT3: 12,
    MIL_pb2.UINT6: 13,
}

# What torch and numpy raise when an operator's arguments do not fit each other.
UNFIT = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


class MilError(UserError):
    """A Core ML package cannot be read or evaluated; the message names the package and what is wrong with it."""


@dataclass(frozen=True)
class Declared:
    """What the program says of a tensor."""

    shape: tuple[int, ...]
    dtype: int

    def __str__(self) -> str:
        return f"{MIL_pb2.DataType.Name(self.dtype)} {list(self.shape)}"


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


class MilPackage:
    """The files of an .mlpackage, and the constants in them."""

    def __init__(self, folder: Path):
        self.name = folder
        if not folder.is_dir():
            raise MilError(f"{folder}: no such Core ML package (a folder with Manifest.json)")
        self._root = folder.resolve()
        self._model_folder = self._root
        self._weights: dict[str, npt.NDArray[np.uint8]] = {}
        self._constant_elements = 0

    def error(self, what: str) -> MilError:
        return MilError(f"{self.name}: {what}; convert the checkpoint again")

    def _file(self, base: Path, name: str) -> Path:
        """A file that the package names, relative to `base`; it must lie inside the package, links followed."""
        relative = PurePosixPath(name)
        try:
            path = (base / relative).resolve()
            inside = path.is_relative_to(self._root) and not relative.is_absolute() and ".." not in relative.parts
            if not inside:
                raise self.error(f"names a file outside of itself ({name[:100]!r})")
            if not path.is_file():
                raise self.error(f"lacks its file {name[:100]!r}")
        except (OSError, RuntimeError, ValueError) as error:
            raise self.error(f"names a file that cannot be ({first_line(error)})") from None
        return path

    def _read(self, path: Path, limit_bytes: int) -> bytes:
        if path.stat().st_size > limit_bytes:
            raise self.error(f"has a {path.name} above {limit_bytes} bytes")
        return path.read_bytes()

    def model(self) -> Any:
        """The model description (protobuf `Model`)."""
        manifest_path = self._file(self._root, "Manifest.json")
        try:
            manifest = json.loads(self._read(manifest_path, MANIFEST_LIMIT_BYTES))
            model_name = str(manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"])
        except (KeyError, RecursionError, TypeError, ValueError) as error:
            raise self.error(f"has a Manifest.json that names no model ({type(error).__name__})") from None
        path = self._file(self._root / "Data", model_name)
        self._model_folder = path.parent
        model = Model_pb2.Model()
        try:
            model.ParseFromString(self._read(path, MODEL_LIMIT_BYTES))
        except DecodeError:
            raise self.error(f"has a damaged {path.name}") from None
        return model

    def declared(self, value_type: Any, name: str) -> Declared:
        """The shape and dtype of a tensor, both checked to be such as this evaluator knows."""
        if value_type.WhichOneof("type") != "tensorType":
            raise self.error(f"{name!r} is not a tensor")
        tensor = value_type.tensorType
        if any(dimension.WhichOneof("dimension") != "constant" for dimension in tensor.dimensions):
            raise self.error(f"{name!r} has a flexible shape, and fixed ones are wanted")
        shape = tuple(int(dimension.constant.size) for dimension in tensor.dimensions)
        if math.prod(shape) == 0 or math.prod(shape) > LIMIT_ELEMENTS:
            raise self.error(f"{name!r} has the absurd shape {list(shape)}")
        if tensor.dataType not in MIL_pb2.DataType.values():
            raise self.error(f"{name!r} has the unknown dtype {tensor.dataType}")
        return Declared(shape, tensor.dataType)

    def constant(self, value: Any, name: str) -> Value:
        """A MIL `Value`: text, or a tensor (floats as float32, numbers below a byte as uint8 or int8)."""
        declared = self.declared(value.type, name)
        immediate = value.immediateValue.tensor
        field = immediate.WhichOneof("value")
        if declared.dtype == MIL_pb2.STRING:
            if field != "strings" or len(immediate.strings.values) != 1:
                raise self.error(f"constant {name!r} is not one string")
            return str(immediate.strings.values[0])
        if declared.dtype not in _DENSE and declared.dtype not in _PACKED_BITS:
            raise self.error(f"constant {name!r} is {declared}, a dtype that is not known here")
        self._constant_elements += math.prod(declared.shape)
        if self._constant_elements > LIMIT_ELEMENTS:
            raise self.error(f"has constants of more than {LIMIT_ELEMENTS} elements")
        raw: bytes | npt.NDArray[np.uint8]
        try:
            if value.WhichOneof("value") == "blobFileValue":
                raw = self._blob(value.blobFileValue, declared)
            elif field == "bytes":
                raw = immediate.bytes.values
            elif field is None or field == "strings" or declared.dtype not in _DENSE:
                raise ValueError("no numbers")
            else:
                raw = np.array(getattr(immediate, field).values, _DENSE[declared.dtype]).tobytes()
            return self._tensor(raw, declared)
        except UNFIT as error:
            raise self.error(f"constant {name!r} ({declared}) is damaged: {first_line(error)}") from None

    @staticmethod
    def _tensor(raw: bytes | npt.NDArray[np.uint8], declared: Declared) -> Tensor:
        if declared.dtype in _PACKED_BITS:
            bits, count = _PACKED_BITS[declared.dtype], math.prod(declared.shape)
            numbers = unpack_bits(torch.from_numpy(np.frombuffer(raw, np.uint8).copy()), bits, count)
            if declared.dtype == MIL_pb2.INT4:
                numbers = (numbers.to(torch.int8) ^ 8) - 8
            return numbers.reshape(declared.shape)
        array = np.frombuffer(raw, _DENSE[declared.dtype])
        as_held = {MIL_pb2.FLOAT16: np.float32, MIL_pb2.UINT32: np.int64}.get(declared.dtype, array.dtype)
        return torch.from_numpy(array.astype(as_held).reshape(declared.shape))

    def _blob(self, reference: Any, declared: Declared) -> npt.NDArray[np.uint8]:
        """The bytes of a constant in a weight file."""
        if reference.fileName not in self._weights:
            prefix, _, name = reference.fileName.partition("/")
            if prefix != "@model_path":
                raise self.error(f"names a file outside of itself ({reference.fileName[:100]!r})")
            path = self._file(self._model_folder, name)
            self._weights[reference.fileName] = np.memmap(path, np.uint8, "r")
        weights = self._weights[reference.fileName]
        at = int(reference.offset)
        if at + _BLOB_RECORD.size > len(weights):
            raise ValueError(f"its record at {at} lies beyond the {len(weights)} bytes of {reference.fileName}")
        mark, dtype, size_bytes, start = _BLOB_RECORD.unpack(weights[at : at + _BLOB_RECORD.size].tobytes())
        if mark != _BLOB_MARK or dtype != _BLOB_DTYPES.get(declared.dtype):
            raise ValueError(f"no record of such numbers at {at} of {reference.fileName}")
        bits = _PACKED_BITS.get(declared.dtype) or _DENSE[declared.dtype].itemsize * 8
        if size_bytes != -(-math.prod(declared.shape) * bits // 8):
            raise ValueError(f"{size_bytes} bytes do not make that shape")
        if start + size_bytes > len(weights):
            raise ValueError(f"its {size_bytes} bytes at {start} lie beyond {reference.fileName}")
        return weights[start : start + size_bytes]
