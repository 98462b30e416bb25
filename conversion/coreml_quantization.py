"""What each precision is in Core ML: how the kernels of convolutions are stored, and where activations are integers.

Only convolutions are quantized: they hold nearly all weights, and the rest is colour, which stays float. Kernels are
unpacked to float16 before anything is computed; only where their inputs are 8 bits as well (w8a8) may a compute unit
multiply integers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coremltools import PassPipeline, optimize

from conversion.artifact import EntryPoint, Precision, Quantization
from conversion.export import ConversionError, Form, Source
from conversion.runtimes import to_layout
from conversion.runtimes.mil import MilProgram
from conversion.runtimes.mil_calibration import ranges

PALETTE_BITS: Mapping[Precision, int] = {"pal6": 6, "pal4": 4}
FLOAT_PRECISIONS = ("fp32", "fp16")
ALL_SIZES = 0  # coremltools leaves kernels of at most 2,048 numbers alone, unless told otherwise
QUANTIZE_INPUTS = "compression::insert_prefix_quantize_dequantize_pair"
# Kernels of Pocket's analyze that bear fewer than 8 bits: those of small maps.
ANALYZE_PALETTE_BITS = {
    "down_1": 6, "same_1": 6, "down_2": 6, "same_2": 6, "down_3": 6, "same_3": 4,
}  # fmt: skip


def _int8(mode: str) -> Any:
    return optimize.coreml.OpLinearQuantizerConfig(mode=mode, dtype="int8", weight_threshold=ALL_SIZES)


def _palette(bits: int) -> Any:
    return optimize.coreml.OpPalettizerConfig(mode="kmeans", nbits=bits, weight_threshold=ALL_SIZES)


def is_half_in_analyze(operator: Any) -> bool:
    """Convolutions and what lies between them; means, variances, logarithms and exponentials stay float32."""
    if operator.op_type == "add":  # x + relu(convolution(x))
        x, y = operator.x, operator.y
        return x.val is None and y.val is None and x.shape == y.shape and len(x.shape) == 4 and x.shape[2] > 1
    return operator.op_type in ("conv", "relu")


def quantize_analyze(program: Any, form: Form) -> Any:
    """8 bits in every precision below fp16: it is the condition that sets the tone."""
    if form.precision in FLOAT_PRECISIONS:
        return program
    kinds = {}
    for kernel, operator in convolutions(program).items():
        bits = ANALYZE_PALETTE_BITS.get(kernel.removesuffix("_weight"))
        kinds[operator] = _palette(bits) if bits else _int8("linear")
    return quantize_weights(program, kinds)


def quantize_enhance(program: Any, source: Source, form: Form) -> Any:
    if form.precision in FLOAT_PRECISIONS:
        return program
    bits = PALETTE_BITS.get(form.precision)
    kind = _palette(bits) if bits else _int8("linear_symmetric")
    return quantize_weights(program, dict.fromkeys(quantized_convolutions(program, source, form), kind))


def quantize_weights(program: Any, kinds: Mapping[str, Any]) -> Any:
    """kinds: name of a convolution -> how its kernel is stored; of those not in it, as it is."""
    palettes = {name: kind for name, kind in kinds.items() if isinstance(kind, optimize.coreml.OpPalettizerConfig)}
    integers = {name: kind for name, kind in kinds.items() if name not in palettes}
    for function, chosen in (
        (optimize.coreml.palettize_weights, palettes),
        (optimize.coreml.linear_quantize_weights, integers),
    ):
        if chosen:
            program = function(program, optimize.coreml.OptimizationConfig(op_name_configs=chosen))
    return program


def activation_passes(program: Any, source: Source, form: Form, point: EntryPoint) -> Any:
    """Graph passes that quantize the inputs of convolutions, for a second conversion of the module behind `program`.

    Whole numbers from 0 to 255 and a zero point: what a ReLU made takes all of them, and a photo of 8 bits loses
    nothing. Outputs stay float16, since no convolution follows directly: modulation and a sum come first.
    """
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / point.file
        program.save(str(package))
        evaluator = MilProgram.load(package, point.function)
    samples = source.calibration.samples if source.calibration else ()
    found = ranges(
        evaluator,
        (
            {
                spec.name: to_layout(tensor.numpy(), spec)
                for spec, tensor in zip(point.inputs, (sample.tile, *sample.condition), strict=True)
            }
            for sample in samples
        ),
    )
    kind = optimize.coreml.OpLinearQuantizerConfig(mode="linear", dtype="uint8")
    chosen = dict.fromkeys(quantized_convolutions(program, source, form), kind)
    passes = PassPipeline.DEFAULT
    passes.append_pass(QUANTIZE_INPUTS)
    options = {
        "config": optimize.coreml.OptimizationConfig(op_name_configs=chosen),
        "activation_stats": {name: {"rmin": low, "rmax": high} for name, (low, high) in found.items()},
    }
    passes.set_options(QUANTIZE_INPUTS, options)
    return passes


def convolutions(program: Any) -> dict[str, str]:
    """Name of each kernel, which coremltools makes of the module's path -> name of its convolution."""
    found = {}
    for function in program.get_spec().mlProgram.functions.values():
        for operation in function.block_specializations[function.opset].operations:
            if operation.type == "conv":
                kernel = operation.inputs["weight"].arguments[0].name
                found[kernel.removesuffix("_to_fp16")] = operation.attributes[
                    "name"
                ].immediateValue.tensor.strings.values[0]
    return found


def quantized_convolutions(program: Any, source: Source, form: Form) -> list[str]:
    """Names of the convolutions of enhance, but for `form.float_layers`.

    Raises:
        ConversionError: coremltools made something else of a convolution.
    """
    operators = []
    for layer in source.layers:
        path = layer.replace(".", "_") + "_weight"
        found = [
            name for kernel, name in convolutions(program).items() if kernel == path or kernel.endswith(f"_{path}")
        ]
        if len(found) != 1:
            raise ConversionError(f"{layer}: coremltools made {len(found)} convolutions of it, so it is not quantized")
        if layer not in form.float_layers:
            operators += found
    return operators


def described(source: Source, form: Form) -> Quantization | None:
    """For the manifest."""
    if form.precision == "fp32":
        return None
    return source.quantization(form, "float16", "float16", "float16")
