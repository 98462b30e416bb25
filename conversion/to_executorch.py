"""python conversion/to_executorch.py [--checkpoint NAME_OR_PATH]

Convert a checkpoint to ExecuTorch: one `.pte` with the methods analyze and enhance, for the CPU (XNNPACK), for Apple's
devices (Core ML) or for GPUs of Android (Vulkan). A third method, pocket_dslr_manifest, returns what the file is made
of, as JSON.
"""

from __future__ import annotations

import json
import logging
import operator
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch.fx import GraphModule

from conversion.artifact import Delegation, Precision, Quantization, Target
from conversion.backends.executorch.graph import InHalfPrecision, export, without_log_and_maximum
from conversion.backends.executorch.pocket import about_the_middle
from conversion.convert import convert, make_parser
from conversion.export import AnalyzeForExport, ConversionError, Converter, Form, Lowered, Source, inner, toolchain
from training.commandline import run
from training.generators.pocket import Pocket

MODEL = "model.pte"
FACTS = "pocket_dslr_manifest"
# What each backend takes, best first. ExecuTorch's 8 bits for Core ML and Vulkan cannot be checked without a phone.
PRECISIONS: Mapping[Target, tuple[Precision, ...]] = {
    "xnnpack": ("fp16", "w8a8", "fp32"),
    "coreml": ("fp16", "fp32"),
    "vulkan": ("fp16", "fp32"),
}
NEEDS_SDK: Mapping[str, str] = {
    "qnn": "Qualcomm's NPU needs the Qualcomm AI Engine Direct SDK (QAIRT), which Qualcomm's developer site has for "
    "registered users; install it, set QNN_SDK_ROOT and use ExecuTorch's QnnPartitioner, or give --target vulkan",
}
CAST = "dim_order_ops::_to_dim_order_copy"  # between float32 and float16, which XNNPACK's delegate does not take
NAME_LETTERS = 12  # of a constant, in hexadecimal; two with one name would be refused
SEGMENT_ALIGNMENT_BYTES = 16  # all that XNNPACK asks for; ExecuTorch's default of 128 wastes 2 KB


def lower(source: Source, form: Form, folder: Path) -> Lowered:
    """Raises ConversionError: no toolchain, a target that does not take the precision, an entry point in pieces."""
    require_offered(form)
    with toolchain("executorch"):
        from executorch.exir import ExecutorchBackendConfig, to_edge_transform_and_lower

        from conversion.backends.executorch.layout import fewer_transposes

    inputs = {"analyze": (source.thumbnail,), "enhance": (source.tile, *source.condition)}
    graphs, quantization = {"xnnpack": for_xnnpack, "coreml": as_is, "vulkan": for_vulkan}[form.target](source, form)
    with quiet(), short_names_of_constants(), fewer_transposes():
        edge = to_edge_transform_and_lower(
            {name: torch.export.export(graph, inputs[name]) for name, graph in graphs.items()},
            partitioner={name: [partitioner(form)] for name in graphs},
            constant_methods={FACTS: facts(source, form)},
        )
        delegation = {name: count(edge.exported_program(name).graph_module) for name in graphs}
        for name, taken in delegation.items():
            require_one_delegate(name, taken, (CAST,) if form.precision == "fp16" else ())
        program = edge.to_executorch(ExecutorchBackendConfig(segment_alignment=SEGMENT_ALIGNMENT_BYTES))
    program.save(str(folder / MODEL))
    return Lowered(
        source.entry_points("NCHW", form.io, analyze=(MODEL, "analyze"), enhance=(MODEL, "enhance")),
        {**delegation},
        tools=["executorch", "torchao", *(["coremltools"] if form.target == "coreml" else [])],
        quantization=quantization,
    )


def require_offered(form: Form) -> None:
    """Raises ConversionError: no such target here, or not in this precision."""
    if form.target in NEEDS_SDK:
        raise ConversionError(f"--target {form.target}: {NEEDS_SDK[form.target]}")
    if form.precision not in PRECISIONS[form.target]:
        offered = " or ".join(PRECISIONS[form.target])
        raise ConversionError(f"--target {form.target} does not take {form.precision}; give --precision {offered}")


Graphs = tuple[dict[str, GraphModule], Quantization | None]


def for_xnnpack(source: Source, form: Form) -> Graphs:
    if form.precision == "fp32":
        return as_is(source, form)
    if form.precision == "w8a8":
        return in_8_bits(source, form)
    store_half_weights_in_half()
    graphs = {
        "analyze": export(InHalfPrecision(source.analyze), (source.thumbnail,)),
        "enhance": export(InHalfPrecision(source.enhance), (source.tile, *source.condition)),
    }
    return graphs, source.quantization(form, "float16", "float16", "float16")


def as_is(source: Source, form: Form) -> Graphs:
    """In float32; float16 is then the backend's own."""
    graphs = {
        "analyze": export(source.analyze, (source.thumbnail,)),
        "enhance": export(source.enhance, (source.tile, *source.condition)),
    }
    half = source.quantization(form, "float16", "float16", "float16")
    return graphs, half if form.precision == "fp16" else None


def for_vulkan(source: Source, form: Form) -> Graphs:
    graphs, quantization = as_is(source, form)
    for graph in graphs.values():
        without_log_and_maximum(graph)
    return graphs, quantization


def in_8_bits(source: Source, form: Form) -> Graphs:
    """enhance: ranges by calibration. analyze: weights in 8 bits, ranges of what is at hand.

    Float stay the first convolution of analyze, with 864 of Pocket's weights and most of the error of all, and the
    first and the last of enhance.
    """
    with toolchain("executorch"):
        from conversion.backends.executorch.quantization import AT_RUN_TIME, CALIBRATED, convolutions, quantize

    if source.calibration is None:
        raise ConversionError("w8a8 needs photos to calibrate on")
    calibration = source.calibration.samples
    analyzing = source.analyze
    if isinstance(source.generator, Pocket):
        analyzing = AnalyzeForExport(about_the_middle(source.generator, [sample.thumbnail for sample in calibration]))
    analyze = export(analyzing, (source.thumbnail,))
    enhance = export(source.enhance, (source.tile, *source.condition))
    layers = [f"generator.{layer}" for layer in inner(source.layers) if layer not in form.float_layers]
    samples = [(sample.tile, *sample.condition) for sample in calibration]
    quantized = {
        "analyze": quantize(analyze, convolutions(analyze)[1:], AT_RUN_TIME, [(source.thumbnail,)]),
        "enhance": quantize(enhance, layers, CALIBRATED, samples),
    }
    return quantized, source.quantization(
        form, "int8, symmetric, per output channel; float32 in the first and the last layer",
        "int8, calibrated, per tensor; float32 in these layers",
        "weights int8 but those of the first convolution, activations of convolutions int8 with ranges found at run "
        "time, the rest float32",
    )  # fmt: skip


def store_half_weights_in_half() -> None:
    """ExecuTorch writes the float16 weights of convolutions as float32, though XNNPACK takes them as they are."""
    import executorch.backends.xnnpack.operators  # noqa: F401 (registers the visitors)
    from executorch.backends.xnnpack.operators.node_visitor import get_node_visitors, register_node_visitor

    visitor: Any = type(get_node_visitors(None, {}, None)["aten.convolution.default"])

    class ConvolutionAsItIs(visitor):
        def define_tensor(self, *args: Any, force_fp32: bool = False, **kwargs: Any) -> None:
            super().define_tensor(*args, **kwargs)

    register_node_visitor(ConvolutionAsItIs)


@contextmanager
def short_names_of_constants() -> Iterator[None]:
    """XNNPACK's constants are named by their SHA-256, twice in a file: a twentieth of Pocket's are names."""
    from executorch.backends.xnnpack.operators import node_visitor

    whole = node_visitor.hashlib

    def sha256(data: bytes) -> SimpleNamespace:
        return SimpleNamespace(hexdigest=lambda: whole.sha256(data).hexdigest()[:NAME_LETTERS])

    node_visitor.hashlib = SimpleNamespace(sha256=sha256)
    try:
        yield
    finally:
        node_visitor.hashlib = whole


def partitioner(form: Form) -> Any:
    """What hands a graph to the target's backend."""
    half = form.precision == "fp16"
    if form.target == "coreml":
        from executorch.backends.apple.coreml.compiler.coreml_preprocess import CoreMLBackend, ct
        from executorch.backends.apple.coreml.partition import CoreMLPartitioner

        precision = ct.precision.FLOAT16 if half else ct.precision.FLOAT32
        return CoreMLPartitioner(
            compile_specs=CoreMLBackend.generate_compile_specs(
                minimum_deployment_target=ct.target.iOS17, compute_precision=precision
            )
        )
    if form.target == "vulkan":
        from executorch.backends.vulkan.partitioner.vulkan_partitioner import VulkanPartitioner

        return VulkanPartitioner({"force_fp16": half})
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

    return XnnpackPartitioner()


def facts(source: Source, form: Form) -> str:
    """What the manifest says of where the model comes from, for who has the file alone."""
    checkpoint = source.checkpoint
    return json.dumps({
        "checkpoint": checkpoint.name, "sha256": checkpoint.sha256, "licence": checkpoint.licence,
        "precision": form.precision, "target": form.target,
    })  # fmt: skip


def count(graph_module: GraphModule) -> Delegation:
    """Operators inside and outside the delegates of a lowered graph."""
    delegates = delegated = 0
    outside = []
    for node in graph_module.graph.nodes:
        if str(node.target) == "executorch_call_delegate":
            delegates += 1
            program: Any = getattr(graph_module, node.args[0].target).original_module
            delegated += sum(_computes(inner) for inner in program.graph.nodes)
        elif _computes(node):
            outside.append(node.target.name())
    return Delegation(delegates, delegated, delegated + len(outside), tuple(sorted(set(outside))))


def _computes(node: torch.fx.Node) -> bool:
    return node.op == "call_function" and node.target is not operator.getitem


def require_one_delegate(name: str, delegation: Delegation, allowed: Sequence[str]) -> None:
    """Raises ConversionError: an entry point in several pieces, or an operator outside that is not allowed there."""
    if delegation.delegates != 1 or not set(delegation.exceptions) <= set(allowed):
        raise ConversionError(
            f"{name}: {delegation.delegates} delegates took {delegation.delegated} of {delegation.total} operators and "
            f"left {', '.join(delegation.exceptions) or 'none'}; write the generator with operators that the backend "
            "takes in one piece (conversion/README.md)"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Core ML and Vulkan name every operator."""
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


CONVERTER = Converter(
    format="executorch",
    lower=lower,
    precisions=PRECISIONS["xnnpack"],
    targets=tuple(PRECISIONS),
    ios=("float",),
    runs_here=("xnnpack",),
)


def main(argv: Sequence[str] | None = None) -> int:
    return run(make_parser(__doc__, CONVERTER), lambda args: convert(args, CONVERTER), argv)


if __name__ == "__main__":
    raise SystemExit(main())
