"""What XNNPACK takes beyond what ExecuTorch hands it: casts between float32 and float16, and small constants.

Imported by its converter alone, once ExecuTorch is known to be installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import executorch.backends.xnnpack.operators  # noqa: F401 (registers the visitors)
import torch
from executorch.backends.xnnpack.operators import node_visitor
from executorch.backends.xnnpack.partition.config import ALL_PARTITIONER_CONFIGS
from executorch.backends.xnnpack.partition.config.generic_node_configs import GenericNodePartitionerConfig
from executorch.backends.xnnpack.partition.config.xnnpack_config import ConfigPrecisionType
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as schema

NAME_LETTERS = 12  # of a constant, in hexadecimal; two with one name would be refused


class _ToHalf(GenericNodePartitionerConfig):  # type: ignore[misc]
    target_name = "to_half.default"

    def supported_precision_types(self) -> list[ConfigPrecisionType]:
        return [ConfigPrecisionType.FP32]


class _ToFloat(_ToHalf):
    target_name = "to_float.default"


class _VisitToHalf(node_visitor.NodeVisitor):  # type: ignore[misc]
    target = "pocket_dslr.to_half.default"

    def define_node(
        self, node: torch.fx.Node, xnn_graph: schema.XNNGraph, vals_to_ids: dict[torch.fx.Node, int], debug_handle: int
    ) -> None:
        self.define_nodes_tensor_inputs_outputs(node, xnn_graph, vals_to_ids)
        (source,) = node.all_input_nodes
        convert = schema.XNNConvert(input_id=vals_to_ids[source], output_id=vals_to_ids[node], flags=0)
        xnn_graph.xnodes.append(schema.XNode(convert, debug_handle))


class _VisitToFloat(_VisitToHalf):
    target = "pocket_dslr.to_float.default"


_Convolution: Any = type(node_visitor.get_node_visitors(None, {}, None)["aten.convolution.default"])


class _ConvolutionAsItIs(_Convolution):
    """ExecuTorch writes the float16 weights of convolutions as float32, though XNNPACK takes them as they are."""

    def define_tensor(self, *args: Any, force_fp32: bool = False, **kwargs: Any) -> None:
        super().define_tensor(*args, **kwargs)


for _visitor in (_VisitToHalf, _VisitToFloat, _ConvolutionAsItIs):
    node_visitor.register_node_visitor(_visitor)


def partitioner() -> XnnpackPartitioner:
    """ExecuTorch's own, which hands the casts over, too."""
    return XnnpackPartitioner(configs=[*ALL_PARTITIONER_CONFIGS, _ToHalf, _ToFloat])


@contextmanager
def short_names_of_constants() -> Iterator[None]:
    """XNNPACK's constants are named by their SHA-256, twice in a file: a twentieth of Pocket's are names."""
    whole = node_visitor.hashlib

    def sha256(data: bytes) -> SimpleNamespace:
        return SimpleNamespace(hexdigest=lambda: whole.sha256(data).hexdigest()[:NAME_LETTERS])

    node_visitor.hashlib = SimpleNamespace(sha256=sha256)
    try:
        yield
    finally:
        node_visitor.hashlib = whole
