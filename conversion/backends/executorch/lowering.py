"""A checkpoint lowered to ExecuTorch: one `.pte` with the methods analyze and enhance, for one of three backends.

They are the CPU (XNNPACK), Apple's devices (Core ML) and GPUs of Android (Vulkan). A third method,
pocket_dslr_manifest, returns what the file is made of, as JSON.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.fx import GraphModule

from conversion.artifact import Delegation, Quantization
from conversion.backends.executorch import PRECISIONS
from conversion.backends.executorch.graph import export, without_log_and_maximum
from conversion.backends.executorch.half import with_half_convolutions
from conversion.backends.executorch.pocket import about_the_middle
from conversion.converter import Form
from conversion.export import AnalyzeForExport, ConversionError, Lowered, Source, inner, toolchain
from training.generators.pocket import Pocket

MODEL = "model.pte"
FACTS = "pocket_dslr_manifest"
NEEDS_SDK: Mapping[str, str] = {
    "qnn": "Qualcomm's NPU needs the Qualcomm AI Engine Direct SDK (QAIRT), which Qualcomm's developer site has for "
    "registered users; install it, set QNN_SDK_ROOT and use ExecuTorch's QnnPartitioner, or give --target vulkan",
}
SEGMENT_ALIGNMENT_BYTES = 16  # all that XNNPACK asks for; ExecuTorch's default of 128 wastes 2 KB


def lower(source: Source, form: Form, folder: Path) -> Lowered:
    """Raises ConversionError: no toolchain, a target that does not take the precision, an entry point in pieces."""
    require_offered(form)
    with toolchain("executorch"):
        from executorch.exir import ExecutorchBackendConfig, to_edge_transform_and_lower

        from conversion.backends.executorch.delegate import short_names_of_constants
        from conversion.backends.executorch.layout import fewer_transposes

    inputs = {"analyze": (source.thumbnail,), "enhance": (source.tile, *source.condition)}
    graphs, quantization = {"xnnpack": for_xnnpack, "coreml": as_is, "vulkan": for_vulkan}[form.target](source, form)
    with short_names_of_constants(), fewer_transposes():
        edge = to_edge_transform_and_lower(
            {name: torch.export.export(graph, inputs[name]) for name, graph in graphs.items()},
            partitioner={name: [partitioner(form)] for name in graphs},
            constant_methods={FACTS: facts(source, form)},
        )
        delegation = {name: count(edge.exported_program(name).graph_module) for name in graphs}
        for name, taken in delegation.items():
            require_one_delegate(name, taken)
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
    graphs = {
        "analyze": export(with_half_convolutions(source.analyze), (source.thumbnail,)),
        "enhance": export(with_half_convolutions(source.enhance), (source.tile, *source.condition)),
    }
    numbers = "float16 in convolutions of more than one pixel, the rest float32"
    return graphs, source.quantization(form, numbers, numbers, numbers)


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
    from conversion.backends.executorch import delegate

    return delegate.partitioner()


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


def require_one_delegate(name: str, delegation: Delegation) -> None:
    """Raises ConversionError: an entry point in several pieces, or an operator outside."""
    if delegation.delegates != 1 or delegation.exceptions:
        raise ConversionError(
            f"{name}: {delegation.delegates} delegates took {delegation.delegated} of {delegation.total} operators and "
            f"left {', '.join(delegation.exceptions) or 'none'}; write the generator with operators that the backend "
            "takes in one piece (conversion/README.md)"
        )
