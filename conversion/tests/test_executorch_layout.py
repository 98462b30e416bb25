"""Cancelled transposes: the same numbers come out, for any graph of what is moved; Pocket keeps those it needs."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.calibration import calibrate
from conversion.converter import Form
from conversion.export import Source
from conversion.runtimes import open_engine
from training.checkpoint import Checkpoint
from training.enhancer import Array

pytest.importorskip("executorch", reason="install pocket-dslr[executorch]")

from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as schema
from executorch.backends.xnnpack.utils.xnnpack_constants import (
    XNN_INVALID_VALUE_ID,
    XNN_VALUE_FLAG_EXTERNAL_INPUT,
    XNN_VALUE_FLAG_EXTERNAL_OUTPUT,
)

from conversion.backends.executorch import layout as executorch_layout
from conversion.backends.executorch import lowering as to_executorch
from conversion.backends.executorch.layout import cancel_transposes

TILE_PX = 64
MakeCheckpoint = Callable[..., Checkpoint]
COMPUTE = {
    schema.XNNAdd: np.add,
    schema.XNNSubtract: np.subtract,
    schema.XNNMultiply: np.multiply,
    schema.XNNMaximum: np.maximum,
}
ONE_INPUT = [schema.XNNStaticTranspose, schema.XNNClamp, schema.XNNStaticSlice]
IDENTITY, VECTOR = [0, 1, 2, 3], [1, 6, 1, 1]
NUMBER = 2  # the value that is one


class Builder:
    """A graph that grows, value by value and operator by operator."""

    def __init__(self) -> None:
        self.graph = schema.XNNGraph("0", [], [], 0, [], [], [])

    def value(self, dims: Sequence[int], flags: int = 0) -> int:
        number = len(self.graph.xvalues)
        float32 = schema.XNNDatatype.xnn_datatype_fp32
        tensor = schema.XNNTensorValue(float32, len(dims), list(dims), 0, XNN_INVALID_VALUE_ID, flags, number)
        self.graph.xvalues.append(schema.XValue(tensor))
        return number

    def transpose(self, given: int, perm: Sequence[int], flags: int = 0) -> int:
        made = self.value([self.dims(given)[axis] for axis in perm], flags)
        return self._add(schema.XNNStaticTranspose(4, list(perm), given, made, flags=0))

    def join(self, one: int, other: int, axis: int) -> int:
        dims = [length * (2 if at == axis else 1) for at, length in enumerate(self.dims(one))]
        none = XNN_INVALID_VALUE_ID
        return self._add(schema.XNNConcatenate2(axis, one, other, none, none, self.value(dims), 0, none))

    def part(self, given: int, axis: int, start: int) -> int:
        offsets, sizes = [0] * 4, list(self.dims(given))
        offsets[axis] = start
        sizes[axis] -= start
        return self._add(schema.XNNStaticSlice(4, offsets, sizes, given, self.value(sizes), flags=0))

    def compute(self, kind: Callable[..., Any], *given: int) -> int:
        return self._add(kind(*given, self.value(self.dims(given[0])), flags=0))

    def dims(self, number: int) -> list[int]:
        return tensors(self.graph)[number].dims

    def _add(self, operator: Any) -> int:
        self.graph.xnodes.append(schema.XNode(operator, debug_handle=0))
        return operator.output_id


@st.composite
def graphs(draw: st.DrawFn) -> schema.XNNGraph:
    """Two inputs and a number, random operators on them and on each other; the last values are outputs."""
    builder = Builder()
    shape = draw(st.permutations([2, 3, 4, 5]) | st.just(VECTOR))
    for dims in (shape, shape, [1]):
        builder.value(dims, XNN_VALUE_FLAG_EXTERNAL_INPUT)
    for _ in range(draw(st.integers(2, 12))):
        numbers = [tensor.id_out for tensor in tensors(builder.graph) if len(tensor.dims) == 4]
        one = draw(st.sampled_from(numbers))
        alike = [number for number in numbers if builder.dims(number) == builder.dims(one)]
        kind = draw(st.sampled_from([*ONE_INPUT, schema.XNNConcatenate2, *COMPUTE]))
        if kind is schema.XNNStaticTranspose:
            builder.transpose(one, draw(st.sampled_from([[0, 2, 3, 1], [0, 3, 1, 2], [0, 2, 1, 3]])))
        elif kind is schema.XNNClamp:
            builder.compute(kind, one)
        elif kind is schema.XNNStaticSlice:
            axis = draw(st.integers(0, 3))
            builder.part(one, axis, draw(st.integers(0, builder.dims(one)[axis] - 1)))
        elif kind is schema.XNNConcatenate2:
            builder.join(one, draw(st.sampled_from(alike)), draw(st.integers(0, 3)))
        else:
            builder.compute(kind, one, draw(st.sampled_from([*alike, NUMBER])))
    for tensor in tensors(builder.graph)[-draw(st.integers(1, 3)) :]:
        tensor.flags |= XNN_VALUE_FLAG_EXTERNAL_OUTPUT
    return builder.graph


def tensors(graph: schema.XNNGraph) -> list[schema.XNNTensorValue]:
    return [executorch_layout.tensor_of(value) for value in graph.xvalues]


def computed(graph: schema.XNNGraph) -> dict[int, Array]:
    """The outputs of a graph by their numbers; every value has the shape that the graph says it has."""
    random = np.random.default_rng(0)
    inputs = [tensor for tensor in tensors(graph) if tensor.flags & XNN_VALUE_FLAG_EXTERNAL_INPUT]
    values = {tensor.id_out: random.random(tensor.dims, dtype=np.float32) for tensor in inputs}
    for node in graph.xnodes:
        operator = node.xnode_union
        if isinstance(operator, schema.XNNStaticTranspose):
            made = values[operator.input_id].transpose(operator.perm)
        elif isinstance(operator, schema.XNNConcatenate2):
            made = np.concatenate([values[operator.input1_id], values[operator.input2_id]], operator.axis)
        elif isinstance(operator, schema.XNNClamp):
            made = values[operator.input_id].clip(0, 1)
        elif isinstance(operator, schema.XNNStaticSlice):
            spans = [slice(at, at + size) for at, size in zip(operator.offsets, operator.sizes, strict=True)]
            made = values[operator.input_id][tuple(spans)]
        else:
            made = COMPUTE[type(operator)](values[operator.input1_id], values[operator.input2_id])
        values[operator.output_id] = made
    for tensor in tensors(graph):
        assert list(values[tensor.id_out].shape) == tensor.dims
    return {t.id_out: values[t.id_out] for t in tensors(graph) if t.flags & XNN_VALUE_FLAG_EXTERNAL_OUTPUT}


def transposes(graph: schema.XNNGraph) -> list[schema.XNNStaticTranspose]:
    return [node.xnode_union for node in graph.xnodes if isinstance(node.xnode_union, schema.XNNStaticTranspose)]


@given(graphs())
def test_any_graph_computes_the_same(graph: schema.XNNGraph) -> None:
    wanted = computed(graph)
    cancel_transposes(graph)
    made = computed(graph)
    assert made.keys() == wanted.keys()
    for number, array in wanted.items():
        np.testing.assert_array_equal(made[number], array)
    # Those that move nothing copy to an output; vectors are turned once more than need be where nothing slices them.
    moving = [transpose for transpose in transposes(graph) if transpose.perm != IDENTITY]
    inputs, outputs = ({getattr(transpose, end) for transpose in moving} for end in ("input_id", "output_id"))
    assert tensors(graph)[0].dims == VECTOR or not inputs & outputs, "two in a row are one"


def test_what_undoes_another_is_found_across_operators() -> None:
    """x -> channels first -> times a number, joined with itself -> channels last -> clamped."""
    builder = Builder()
    tile, number = (builder.value(dims, XNN_VALUE_FLAG_EXTERNAL_INPUT) for dims in ([1, 8, 6, 3], [1]))
    first = builder.transpose(tile, [0, 3, 1, 2])
    joined = builder.join(builder.compute(schema.XNNMultiply, first, number), first, axis=1)
    last = builder.compute(schema.XNNClamp, builder.transpose(joined, [0, 2, 3, 1]))
    tensors(builder.graph)[last].flags = XNN_VALUE_FLAG_EXTERNAL_OUTPUT
    wanted = computed(builder.graph)[last]
    cancel_transposes(builder.graph)
    np.testing.assert_array_equal(computed(builder.graph)[last], wanted)
    assert not transposes(builder.graph)


def test_slices_of_a_vector_share_its_transpose() -> None:
    builder = Builder()
    vector = builder.value(VECTOR, XNN_VALUE_FLAG_EXTERNAL_INPUT)
    turned = [builder.transpose(builder.part(vector, 1, start), [0, 2, 3, 1]) for start in (0, 2, 5)]
    outputs = [builder.compute(schema.XNNClamp, number) for number in turned]
    for number in outputs:
        tensors(builder.graph)[number].flags = XNN_VALUE_FLAG_EXTERNAL_OUTPUT
    wanted = computed(builder.graph)
    cancel_transposes(builder.graph)
    made = computed(builder.graph)
    assert all(np.array_equal(made[number], wanted[number]) for number in outputs)
    assert len(transposes(builder.graph)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "w8a8"])
def test_pocket_turns_its_tile_and_its_output_alone(
    precision: str, make_checkpoint: MakeCheckpoint, photo: Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = make_checkpoint("pocket")
    source = Source(checkpoint, TILE_PX, calibrate([(photo * 255).astype(np.uint8)], checkpoint.generator, TILE_PX))
    tile = photo[:TILE_PX, :TILE_PX].transpose(2, 0, 1)[None].astype(np.float32)

    def lowered(change: Callable[[schema.XNNGraph], None]) -> tuple[Array, int]:
        """The output of enhance, and how many whole tiles it turns."""
        seen: list[schema.XNNGraph] = []

        def change_and_look(graph: schema.XNNGraph) -> None:
            change(graph)
            seen.append(copy.deepcopy(graph))

        monkeypatch.setattr(executorch_layout, "cancel_transposes", change_and_look)
        folder = tmp_path / change.__name__
        folder.mkdir()
        points = to_executorch.lower(source, Form(precision, "xnnpack"), folder).entry_points
        output = open_engine("executorch", folder, points).enhance(tile, [part.numpy() for part in source.condition])
        _, enhance = seen
        dims = {tensor.id_out: tensor.dims for tensor in tensors(enhance)}
        return output, sum(math.prod(dims[transpose.input_id]) >= tile.size for transpose in transposes(enhance))

    def leave_all(graph: schema.XNNGraph) -> None:
        pass

    fewer, turned = lowered(cancel_transposes)
    whole, turned_before = lowered(leave_all)
    np.testing.assert_array_equal(fewer, whole)
    assert turned == 4 < turned_before, "the tile and the output, their channels and their cells"
