"""XNNPACK graphs without transposes that undo each other.

XNNPACK computes convolutions channels last, so ExecuTorch turns their inputs and outputs, one by one; where a generator
turns tensors too, as to make cells of pixels, most of these turns cancel. Nothing is rounded otherwise: numbers move,
or stay where they are. Imported by its converter alone, once ExecuTorch is known to be installed.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from executorch.backends.xnnpack import xnnpack_preprocess
from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as schema
from executorch.backends.xnnpack.utils.xnnpack_constants import (
    XNN_INVALID_VALUE_ID,
    XNN_VALUE_FLAG_EXTERNAL_INPUT,
    XNN_VALUE_FLAG_EXTERNAL_OUTPUT,
)

# They compute the same whichever way their inputs are turned, if all are turned alike.
_MOVABLE = (
    schema.XNNAdd, schema.XNNSubtract, schema.XNNMultiply, schema.XNNDiv, schema.XNNMaximum, schema.XNNMinimum,
    schema.XNNClamp, schema.XNNLog, schema.XNNExp, schema.XNNSquareRoot, schema.XNNConvert, schema.XNNCat,
    schema.XNNStaticSlice,
)  # fmt: skip
_TO_CHANNELS_LAST, _TO_CHANNELS_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
_EXTERNAL = XNN_VALUE_FLAG_EXTERNAL_INPUT | XNN_VALUE_FLAG_EXTERNAL_OUTPUT


@contextmanager
def fewer_transposes() -> Iterator[None]:
    """What is lowered to XNNPACK meanwhile goes through `cancel_transposes`."""
    serialize = xnnpack_preprocess.serialize_xnnpack_binary

    def cancel_and_serialize(graph: schema.XNNGraph, *rest: Any) -> bytes:
        cancel_transposes(graph)
        return serialize(graph, *rest)

    xnnpack_preprocess.serialize_xnnpack_binary = cancel_and_serialize
    try:
        yield
    finally:
        xnnpack_preprocess.serialize_xnnpack_binary = serialize


def cancel_transposes(graph: schema.XNNGraph) -> None:
    """Move transposes behind operators that do not mind, make one of two in a row, drop those without a use."""
    _Pass(graph).run()


class _Turned(NamedTuple):
    """What a value is the transpose of: its axis k is that value's axis permutation[k]."""

    source: int
    permutation: list[int]


class _Pass:
    """One walk through a graph, in the order of computation."""

    def __init__(self, graph: schema.XNNGraph):
        self.graph = graph
        self.nodes: list[schema.XNode] = []
        self.values = {tensor_of(value).id_out: value for value in graph.xvalues}
        self.turned: dict[int, _Turned] = {}
        self.same: dict[int, int] = {}  # what need not be made: the value that has its numbers

    def run(self) -> None:
        for tensor in map(tensor_of, self.graph.xvalues):
            if tensor.flags & XNN_VALUE_FLAG_EXTERNAL_INPUT and _is_vector(tensor.dims):
                self.turn_vector(tensor.id_out)
        for node in self.graph.xnodes:
            operator = node.xnode_union
            for name, given in _inputs(operator).items():
                setattr(operator, name, self.same.get(given, given))
            if isinstance(operator, schema.XNNStaticTranspose):
                self.transpose(node)
            elif (permutation := self.common_permutation(operator)) is not None:
                self.move_transposes_behind(node, permutation)
            else:
                self.nodes.append(node)
        self.keep_what_is_used()

    def turn_vector(self, given: int) -> None:
        """Once for all slices of it."""
        made = self.value_before(given, _TO_CHANNELS_FIRST)
        self.nodes.append(_transpose(given, made, _TO_CHANNELS_LAST, debug_handle=0))
        self.turned[given] = _Turned(made, _TO_CHANNELS_FIRST)

    def transpose(self, node: schema.XNode) -> None:
        operator = node.xnode_union
        not_turned = _Turned(operator.input_id, list(range(operator.num_dims)))
        source, first = self.turned.get(operator.input_id, not_turned)
        permutation = [first[axis] for axis in operator.perm]
        if permutation == sorted(permutation) and not self.tensor(operator.output_id).flags & _EXTERNAL:
            self.same[operator.output_id] = source
        else:
            operator.input_id, operator.perm = source, permutation
            self.turned[operator.output_id] = _Turned(source, permutation)
            self.nodes.append(node)

    def common_permutation(self, operator: Any) -> list[int] | None:
        """That of all inputs of an operator that does not mind, but for single numbers; None where they differ."""
        if not isinstance(operator, _MOVABLE):
            return None
        given = list(_inputs(operator).values())
        permutations = [self.turned[number].permutation for number in given if number in self.turned]
        others = [number for number in given if number not in self.turned]
        touched = (*given, operator.output_id)
        if any(isinstance(self.values[number].xvalue_union, schema.XNNQuantizedTensorValue) for number in touched):
            return None
        if any(math.prod(self.tensor(number).dims) > 1 for number in others):
            return None
        return permutations[0] if permutations and all(other == permutations[0] for other in permutations) else None

    def move_transposes_behind(self, node: schema.XNode, permutation: list[int]) -> None:
        operator = node.xnode_union
        for name, given in _inputs(operator).items():
            setattr(operator, name, self.turned[given].source if given in self.turned else given)
        if isinstance(operator, schema.XNNCat):
            operator.axis = permutation[operator.axis]
        if isinstance(operator, schema.XNNStaticSlice):
            operator.offsets, operator.sizes = (_before(at, permutation) for at in (operator.offsets, operator.sizes))
        after = operator.output_id
        operator.output_id = self.value_before(after, permutation)
        self.nodes += node, _transpose(operator.output_id, after, permutation, node.debug_handle)
        self.turned[after] = _Turned(operator.output_id, permutation)

    def value_before(self, after: int, permutation: list[int]) -> int:
        """A new value whose transpose is `after`."""
        value = copy.deepcopy(self.values[after])
        tensor = tensor_of(value)
        tensor.dims = _before(tensor.dims, permutation)
        tensor.id_out, tensor.flags, tensor.external_id = max(self.values) + 1, 0, XNN_INVALID_VALUE_ID
        self.values[tensor.id_out] = value
        return tensor.id_out

    def keep_what_is_used(self) -> None:
        used = {number for number in self.values if self.tensor(number).flags & _EXTERNAL}
        kept = []
        for node in reversed(self.nodes):
            operator = node.xnode_union
            if isinstance(operator, schema.XNNStaticTranspose) and operator.output_id not in used:
                continue
            used |= {number for name, number in vars(operator).items() if name.endswith("_id")}
            kept.append(node)
        self.graph.xnodes = kept[::-1]
        self.graph.xvalues = [value for number, value in self.values.items() if number in used]

    def tensor(self, number: int) -> schema.XNNTensorValue:
        return tensor_of(self.values[number])


def tensor_of(value: schema.XValue) -> schema.XNNTensorValue:
    union = value.xvalue_union
    return union.tensor_value if isinstance(union, schema.XNNQuantizedTensorValue) else union


def _inputs(operator: Any) -> dict[str, int]:
    """Numbers of an operator's inputs, constants too, by the names of its fields."""
    return {
        name: number
        for name, number in vars(operator).items()
        if name.endswith("_id") and not name.startswith("output") and number != XNN_INVALID_VALUE_ID
    }


def _transpose(given: int, made: int, permutation: list[int], debug_handle: int) -> schema.XNode:
    operator = schema.XNNStaticTranspose(len(permutation), permutation, given, made, flags=0)
    return schema.XNode(operator, debug_handle)


def _before(by_axis: list[int], permutation: list[int]) -> list[int]:
    """What belongs to the axes of a transpose, in the order of the axes of what it is made from."""
    before = [0] * len(by_axis)
    for axis, item in zip(permutation, by_axis, strict=True):
        before[axis] = item
    return before


def _is_vector(dims: list[int]) -> bool:
    """[1, C, 1, 1]."""
    return len(dims) == 4 and dims[1] == math.prod(dims)
