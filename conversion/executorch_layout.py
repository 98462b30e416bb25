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
from typing import Any

from executorch.backends.xnnpack import xnnpack_preprocess
from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as schema
from executorch.backends.xnnpack.utils.xnnpack_constants import (
    XNN_INVALID_VALUE_ID,
    XNN_VALUE_FLAG_EXTERNAL_INPUT,
    XNN_VALUE_FLAG_EXTERNAL_OUTPUT,
)

_ELEMENTWISE = (
    schema.XNNAdd, schema.XNNSubtract, schema.XNNMultiply, schema.XNNDiv, schema.XNNMaximum, schema.XNNMinimum,
    schema.XNNClamp,
)  # fmt: skip
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
    """Move transposes behind elementwise operators, make one of two in a row, and drop what is left without a use."""
    values = {tensor_of(value).id_out: value for value in graph.xvalues}
    alias: dict[int, int] = {}
    turned: dict[int, tuple[int, list[int]]] = {}  # a transpose's output: its input and its permutation
    nodes: list[schema.XNode] = []
    for node in graph.xnodes:
        operator = node.xnode_union
        for name, given in _inputs(operator).items():
            setattr(operator, name, alias.get(given, given))
        if isinstance(operator, schema.XNNStaticTranspose):
            source, first = turned.get(operator.input_id, (operator.input_id, list(range(operator.num_dims))))
            permutation = [first[axis] for axis in operator.perm]
            if permutation == sorted(permutation) and not tensor_of(values[operator.output_id]).flags & _EXTERNAL:
                alias[operator.output_id] = source
            else:
                operator.input_id, operator.perm = source, permutation
                turned[operator.output_id] = source, permutation
        elif common := _common_permutation(operator, turned, values):
            for name, given in _inputs(operator).items():
                setattr(operator, name, turned[given][0] if given in turned else given)
            if isinstance(operator, schema.XNNCat):
                operator.axis = common[operator.axis]
            after = operator.output_id
            operator.output_id = _before_transpose(graph, values, after, common)
            nodes.append(node)
            transpose = schema.XNNStaticTranspose(len(common), common, operator.output_id, after, flags=0)
            node = schema.XNode(transpose, node.debug_handle)
            turned[after] = operator.output_id, common
        nodes.append(node)
    _keep_what_is_used(graph, nodes)


def tensor_of(value: schema.XValue) -> schema.XNNTensorValue:
    union = value.xvalue_union
    return union.tensor_value if isinstance(union, schema.XNNQuantizedTensorValue) else union


def _common_permutation(
    operator: Any, turned: dict[int, tuple[int, list[int]]], values: dict[int, schema.XValue]
) -> list[int] | None:
    """That of all inputs of an operator that does not mind, single numbers aside; None where they differ."""
    if not isinstance(operator, (*_ELEMENTWISE, schema.XNNCat)):
        return None
    given = _inputs(operator).values()
    if any(isinstance(values[number].xvalue_union, schema.XNNQuantizedTensorValue) for number in given):
        return None
    whole = [number for number in given if math.prod(tensor_of(values[number]).dims) > 1]
    permutations = [turned[number][1] for number in whole if number in turned]
    alike = len(permutations) == len(whole) and all(other == permutations[0] for other in permutations)
    return permutations[0] if permutations and alike else None


def _before_transpose(
    graph: schema.XNNGraph, values: dict[int, schema.XValue], after: int, permutation: list[int]
) -> int:
    """A new value whose transpose is `after`."""
    value = copy.deepcopy(values[after])
    tensor = tensor_of(value)
    for axis, length in zip(permutation, tuple(tensor.dims), strict=True):
        tensor.dims[axis] = length
    tensor.id_out, tensor.flags, tensor.external_id = max(values) + 1, 0, XNN_INVALID_VALUE_ID
    values[tensor.id_out] = value
    graph.xvalues.append(value)
    return tensor.id_out


def _keep_what_is_used(graph: schema.XNNGraph, nodes: list[schema.XNode]) -> None:
    used = {tensor.id_out for tensor in map(tensor_of, graph.xvalues) if tensor.flags & _EXTERNAL}
    kept = []
    for node in reversed(nodes):
        operator = node.xnode_union
        if isinstance(operator, schema.XNNStaticTranspose) and operator.output_id not in used:
            continue
        used |= {operator.output_id, *_inputs(operator).values()}
        kept.append(node)
    graph.xnodes = kept[::-1]
    graph.xvalues = [value for value in graph.xvalues if tensor_of(value).id_out in used]


def _inputs(operator: Any) -> dict[str, int]:
    """Numbers of an operator's inputs, constants too, by the names of its fields."""
    fields = {name: number for name, number in vars(operator).items() if name.endswith("_id")}
    given = {name: number for name, number in fields.items() if not name.startswith("output")}
    return {name: number for name, number in given.items() if number != XNN_INVALID_VALUE_ID}
