"""A smaller description of a Core ML program: `compact(package)`. The program stays the same.

The graph of a small network takes as many bytes as its weights: every axis, stride and slice is a constant of its own,
all names are long, and vectors of ten numbers lie in the weight file, at 64 bytes of record and padding each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import coremltools
from coremltools.converters.mil.backend.mil import load

LEAST_BYTES_OF_A_FILE_ENTRY = 1024
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@contextmanager
def small_vectors_in_the_graph() -> Iterator[None]:
    """Inside the block coremltools writes arrays below 1 KB as immediate values, as it does those below ten numbers."""
    original: Callable[..., bool] = load.should_use_weight_file
    load.should_use_weight_file = lambda value, *version: (
        original(value, *version) and value.nbytes >= LEAST_BYTES_OF_A_FILE_ENTRY
    )
    try:
        yield
    finally:
        load.should_use_weight_file = original


def compact(package: Any) -> Any:
    """An MLModel with equal constants written once and with short names, but those of inputs and outputs."""
    model = package.get_spec()
    for function in model.mlProgram.functions.values():
        block = function.block_specializations[function.opset]
        _write_equal_constants_once(block)
        _shorten_names(block, kept={given.name for given in function.inputs} | set(block.outputs))
    return coremltools.models.MLModel(model, weights_dir=package.weights_dir, skip_model_load=True)


def save(package: Any, path: Path) -> None:
    """An MLModel as a package whose list of files has no white space."""
    package.save(str(path))
    listing = path / "Manifest.json"
    listing.write_text(json.dumps(json.loads(listing.read_text()), separators=(",", ":")))


def _references(operation: Any) -> Iterator[Any]:
    """The bindings of an operation's inputs to names."""
    for argument in operation.inputs.values():
        yield from (binding for binding in argument.arguments if binding.WhichOneof("binding") == "name")


def _write_equal_constants_once(block: Any) -> None:
    first: dict[bytes, str] = {}
    same: dict[str, str] = {}
    remaining = []
    for operation in block.operations:
        if operation.type == "const":
            name, value = operation.outputs[0].name, operation.attributes["val"].SerializeToString(deterministic=True)
            same[name] = first.setdefault(value, name)
            if same[name] != name and name not in block.outputs:
                continue
        for binding in _references(operation):
            binding.name = same.get(binding.name, binding.name)
        remaining.append(type(operation).FromString(operation.SerializeToString()))
    del block.operations[:]
    block.operations.extend(remaining)


def _shorten_names(block: Any, kept: set[str]) -> None:
    """A letter and a number: no word of the language."""
    short = {name: name for name in kept}
    for operation in block.operations:
        for binding in _references(operation):
            binding.name = short[binding.name]
        for output in operation.outputs:
            count = len(short) - len(kept)
            output.name = short.setdefault(output.name, f"{LETTERS[count % 26]}{count // 26}")
        operation.attributes["name"].immediateValue.tensor.strings.values[0] = operation.outputs[0].name
