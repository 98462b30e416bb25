"""Convolutions in 8 bits for ExecuTorch's XNNPACK, by PT2E; everything else in a graph stays float.

Imported by its converter alone, once ExecuTorch is known to be installed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer_utils import propagate_annotation
from torch import Tensor
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e import MinMaxObserver, PerChannelMinMaxObserver, PlaceholderObserver
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationSpec, Quantizer
from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

WEIGHTS = QuantizationSpec(torch.int8, PerChannelMinMaxObserver, -127, 127, torch.per_channel_symmetric, ch_axis=0)
# Least and most of what calibration saw. A histogram that minimizes the squared error gains 1 dB on photos like those
# of calibration, and loses 6 on the worst of others: it clips what it did not see.
CALIBRATED = QuantizationSpec(torch.int8, MinMaxObserver, -128, 127, torch.per_tensor_affine)
AT_RUN_TIME = QuantizationSpec(torch.int8, PlaceholderObserver, -128, 127, torch.per_tensor_affine, is_dynamic=True)


def convolutions(graph_module: GraphModule) -> list[str]:
    """Names of the modules whose convolutions the graph runs, in order."""
    return [_module_name(node) for node in graph_module.graph.nodes if _is_convolution(node)]


def quantize(
    graph_module: GraphModule,
    names: Collection[str],
    activations: QuantizationSpec,
    samples: Sequence[tuple[Tensor, ...]],
) -> GraphModule:
    """The named convolutions get int8 weights, a scale per output channel, and int8 activations, a scale per tensor.

    Args:
        activations: CALIBRATED or AT_RUN_TIME.
        samples: inputs that ranges are found on; at run time, one of any value.
    """
    prepared = prepare_pt2e(graph_module, ConvolutionQuantizer(names, activations))
    with torch.no_grad():
        for sample in samples:
            prepared(*sample)
    converted = convert_pt2e(prepared)
    assert isinstance(converted, GraphModule)
    _leave_relus_to_rounding(converted)
    return converted


def _leave_relus_to_rounding(graph_module: GraphModule) -> None:
    """Where 0 is the least of a tensor's 8-bit values, rounding to them does what a relu before it does.

    A relu that follows a convolution alone stays: XNNPACK runs both as one.
    """
    for node in list(graph_module.graph.nodes):
        if node.target is not torch.ops.quantized_decomposed.quantize_per_tensor.default:
            continue
        relu, _, zero_point, least = node.args[:4]
        if relu.target is torch.ops.aten.relu.default and zero_point == least:
            before = relu.args[0]
            if not _is_convolution(before) or len(before.users) > 1:
                node.update_arg(0, before)
    graph_module.graph.eliminate_dead_code()
    graph_module.recompile()


class ConvolutionQuantizer(Quantizer):
    """Marks what PT2E is to quantize.

    XNNPACKQuantizer cannot be told to do this: its ranges at run time skip a convolution that a relu follows.
    """

    def __init__(self, names: Collection[str], activations: QuantizationSpec):
        super().__init__()
        self.names, self.activations = names, activations

    def annotate(self, model: GraphModule) -> GraphModule:
        for node in model.graph.nodes:
            if _is_convolution(node) and _module_name(node) in self.names:
                inputs = {node.args[0]: self.activations, node.args[1]: WEIGHTS}
                node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(inputs, _annotated=True)
                if not self.activations.is_dynamic:
                    self._annotate_output(node)
        propagate_annotation(model)  # through a relu, which XNNPACK then runs in 8 bits
        return model

    def _annotate_output(self, convolution: Node) -> None:
        """After the relu, where one follows alone: XNNPACK runs both as one."""
        users = list(convolution.users)
        last = users[0] if len(users) == 1 and users[0].target is torch.ops.aten.relu.default else convolution
        annotation = last.meta.setdefault(Q_ANNOTATION_KEY, QuantizationAnnotation(_annotated=True))
        annotation.output_qspec = self.activations

    def validate(self, model: GraphModule) -> None:
        pass


def _is_convolution(node: Node) -> bool:
    return node.target is torch.ops.aten.conv2d.default


def _module_name(node: Node) -> str:
    return str(list(node.meta["nn_module_stack"].values())[-1][0])
