"""A `.tflite` file taken apart and put together: layers by name, 8-bit images, facts, and no byte too many.

`read` gives a `ModelT`, the object form of the schema that comes with ai-edge-litert; each signature is one subgraph.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

FACTS = "pocket-dslr"  # name of the metadata entry
Kernels = Mapping[str, npt.NDArray[np.float32]]  # layer -> [out, height, width, in]


def read(content: bytes) -> Any:
    return flatbuffer_utils.read_model_from_bytearray(content)


def subgraph(model: Any, signature: str) -> Any:
    return model.subgraphs[_definition(model, signature).subgraphIndex]


def _definition(model: Any, signature: str) -> Any:
    return next(found for found in model.signatureDefs if found.signatureKey.decode() == signature)


def bring_to_front(model: Any, signature: str) -> None:
    """Make a signature's subgraph the first one, the only one whose delegation LiteRT tells."""
    at, graphs = _definition(model, signature).subgraphIndex, model.subgraphs
    graphs[0], graphs[at] = graphs[at], graphs[0]
    for definition in model.signatureDefs:
        definition.subgraphIndex = {0: at, at: 0}.get(definition.subgraphIndex, definition.subgraphIndex)


def name_tensors(model: Any, signature: str, kernels: Kernels) -> None:
    """`<signature>/<layer>` for the output of a convolution, `<signature>/<index>` for all other tensors.

    Raises:
        ValueError: a convolution with another kernel than those given.
    """
    graph = subgraph(model, signature)
    for index, tensor in enumerate(graph.tensors):
        tensor.name = f"{signature}/{index}".encode()
    left = dict(kernels)
    for operator in graph.operators:
        if model.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.CONV_2D:
            kernel = graph.tensors[operator.inputs[1]]
            values = np.frombuffer(model.buffers[kernel.buffer].data, np.float32).reshape(kernel.shape)
            same = [layer for layer, wanted in left.items() if np.array_equal(values, wanted)]
            if not same:
                raise ValueError(f"{signature}: a convolution {list(kernel.shape)} that the generator does not have")
            del left[same[0]]
            graph.tensors[operator.outputs[0]].name = f"{signature}/{same[0]}".encode()


def images_in_8_bits(model: Any, signature: str, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Let these tensors of a signature be uint8: value / 255 goes in, and what comes out is rounded and clamped."""
    graph, definition = subgraph(model, signature), _definition(model, signature)
    for name in (*inputs, *outputs):
        of_inputs = name in inputs
        maps, ends = (definition.inputs, graph.inputs) if of_inputs else (definition.outputs, graph.outputs)
        entry = next(entry for entry in maps if entry.name.decode() == name)
        inside, image = entry.tensorIndex, schema.TensorT()
        image.shape, image.type = graph.tensors[inside].shape, schema.TensorType.UINT8
        image.hasRank, image.quantization = True, schema.QuantizationParametersT()
        image.quantization.scale, image.quantization.zeroPoint = [1 / 255], [0]
        graph.tensors.append(image)
        entry.tensorIndex = len(graph.tensors) - 1
        ends[list(ends).index(inside)] = entry.tensorIndex
        step = schema.OperatorT()
        if of_inputs:
            step.opcodeIndex, step.inputs, step.outputs = _code(model, "DEQUANTIZE"), [entry.tensorIndex], [inside]
            graph.operators.insert(0, step)
        else:
            step.opcodeIndex, step.inputs, step.outputs = _code(model, "QUANTIZE"), [inside], [entry.tensorIndex]
            graph.operators.append(step)


def _code(model: Any, operator: str) -> int:
    """Index of an operator's code, added where it is missing."""
    number = getattr(schema.BuiltinOperator, operator)
    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == number:
            return index
    added = schema.OperatorCodeT()
    added.builtinCode = added.deprecatedBuiltinCode = number
    added.version = 1
    model.operatorCodes.append(added)
    return len(model.operatorCodes) - 1


def add_facts(model: Any, facts: Mapping[str, str]) -> None:
    """A metadata entry with JSON, in place of what the converter says of itself."""
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    entry.name, entry.buffer = FACTS, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [entry, *(other for other in model.metadata or [] if other.name == b"min_runtime_version")]
    model.description = None


def facts(model: Any) -> dict[str, str]:
    entry = next(entry for entry in model.metadata if entry.name.decode() == FACTS)
    return json.loads(bytes(model.buffers[entry.buffer].data))


def write(model: Any) -> bytes:
    """The file: names for inputs and outputs alone, and whatever is equal only once. Leaves `model` useless.

    In 8 bits, pocket-iphone is an eighth smaller than as ai-edge-quantizer writes it.
    """
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.name = None
            if tensor.shape:
                tensor.shape, tensor.hasRank = np.array(tensor.shape, np.int32), False  # tells a scalar from no shape
            given = tensor.quantization
            tensor.quantization = None if given is None or given.scale is None else given
            if tensor.quantization:
                given.scale, given.zeroPoint = np.array(given.scale, np.float32), np.array(given.zeroPoint, np.int64)
        for operator in graph.operators:
            operator.inputs, operator.outputs = (np.array(at, np.int32) for at in (operator.inputs, operator.outputs))
            operator.builtinOptions = operator.builtinOptions and _Once(operator.builtinOptions)
    for definition in model.signatureDefs:
        for entry in (*definition.inputs, *definition.outputs):
            model.subgraphs[definition.subgraphIndex].tensors[entry.tensorIndex].name = entry.name
    for graph in model.subgraphs:
        graph.tensors = [_Once(tensor) for tensor in graph.tensors]
    builder = _Builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


class _Builder(flatbuffers.Builder):  # type: ignore[misc]
    """Writes equal vectors of numbers and equal texts once; a flatbuffer may refer to a part as often as it likes."""

    def __init__(self) -> None:
        super().__init__(1024)
        self.written: dict[Any, int] = {}

    def CreateNumpyVector(self, x: npt.NDArray[Any]) -> int:
        return self.once((x.dtype.str, x.tobytes()), lambda: super(_Builder, self).CreateNumpyVector(x))

    def CreateString(self, s: bytes | str, *how: str) -> int:
        return self.once(s, lambda: super(_Builder, self).CreateString(s, *how))

    def once(self, key: Any, write: Callable[[], int]) -> int:
        if key not in self.written:
            self.written[key] = write()
        return self.written[key]


class _Once:
    """A table that is written once, however many equal ones there are."""

    def __init__(self, table: Any):
        self.table = table

    def Pack(self, builder: _Builder) -> int:
        return builder.once(_content(self.table), lambda: self.table.Pack(builder))


def _content(value: Any) -> Any:
    if hasattr(value, "__dict__"):
        return type(value), tuple((name, _content(field)) for name, field in vars(value).items())
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return tuple(value) if isinstance(value, list) else value
