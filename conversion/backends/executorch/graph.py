"""Graphs as ExecuTorch's backends want them: exported, and rewritten where a backend lacks an operator.

Every rewriting is exact or as good as exact; fewer constants also make a smaller file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

_ATEN = torch.ops.aten
_TAKE_A_NUMBER = {_ATEN.add.Tensor, _ATEN.sub.Tensor, _ATEN.mul.Tensor, _ATEN.div.Tensor}


def export(module: nn.Module, inputs: Sequence[Tensor]) -> GraphModule:
    """The module's graph, fixed to the shapes of the inputs, each number in it once."""
    graph_module = torch.export.export(module, tuple(inputs)).module()
    assert isinstance(graph_module, GraphModule)
    _fold_full_like(graph_module)
    _share_numbers(graph_module)
    return graph_module


def _fold_full_like(graph_module: GraphModule) -> None:
    """Tensors of one number are constants, as shapes are fixed; XNNPACK does not make them."""
    graph = graph_module.graph
    for node in list(graph.nodes):
        if node.target is _ATEN.full_like.default:
            value = node.meta["val"]
            graph_module.register_buffer(node.name, torch.full(value.shape, node.args[1], dtype=value.dtype))
            with graph.inserting_before(node):
                node.replace_all_uses_with(graph.get_attr(node.name))
            graph.erase_node(node)
    graph_module.recompile()


def _share_numbers(graph_module: GraphModule) -> None:
    """Numbers in arithmetic become one constant each, in the type that it is computed in.

    ExecuTorch makes a constant of every use of a number: 6 KB of Pocket's analyze.
    """
    graph = graph_module.graph
    first = next(node for node in graph.nodes if node.op == "call_function")
    shared: dict[tuple[float, torch.dtype], Node] = {}
    for node in graph.nodes:
        if node.target not in _TAKE_A_NUMBER or isinstance(node.args[1], Node):
            continue
        key = (float(node.args[1]), node.meta["val"].dtype)
        if key not in shared:
            name = f"number_{len(shared)}"
            graph_module.register_buffer(name, torch.tensor([key[0]], dtype=key[1]))
            with graph.inserting_before(first):
                shared[key] = graph.get_attr(name)
        node.update_arg(1, shared[key])
    graph_module.recompile()


def without_log_and_maximum(graph_module: GraphModule) -> None:
    """For Vulkan, which has neither: log10(x) ln(10), and -min(-a, -b)."""
    graph = graph_module.graph
    for node in list(graph.nodes):
        if node.target not in (_ATEN.log.default, _ATEN.maximum.default):
            continue
        with graph.inserting_before(node):
            if node.target is _ATEN.log.default:
                made = graph.call_function(_ATEN.log10.default, node.args)
                made = graph.call_function(_ATEN.mul.Tensor, (made, math.log(10)))
            else:
                negative = tuple(graph.call_function(_ATEN.neg.default, (arg,)) for arg in node.args)
                made = graph.call_function(_ATEN.minimum.default, negative)
                made = graph.call_function(_ATEN.neg.default, (made,))
        node.replace_all_uses_with(made)
        graph.erase_node(node)
    graph_module.recompile()
