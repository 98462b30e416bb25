"""What each precision is in Core ML: how the kernels of convolutions are stored, and where activations are integers.

Only convolutions are quantized: they hold nearly all weights, and the rest is colour, which stays float. Kernels are
unpacked to float16 before anything is computed; only where their inputs have 8 bits as well (w8a8) may a compute unit
multiply integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coremltools import models, optimize
from coremltools.converters.mil.mil.passes.graph_pass import PassOption
from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY

from conversion.artifact import EntryPoint, Precision, Quantization
from conversion.backends.coreml.palettes import Palettized, with_palettes
from conversion.converter import Form
from conversion.export import ConversionError, Source, inner
from conversion.runtimes import to_layout
from conversion.runtimes.mil import MilProgram
from conversion.runtimes.mil_calibration import Range, ranges
from training.files import workspace

PALETTE_BITS: Mapping[Precision, int] = {"pal6": 6, "pal4": 4}
FLOAT_PRECISIONS = ("fp32", "fp16")
ALL_SIZES = 0  # coremltools leaves kernels of at most 2,048 numbers alone, unless told otherwise


def is_half_in_enhance(operator: Any) -> bool:
    return True


def is_half_in_analyze(operator: Any) -> bool:
    """Convolutions and the sums between them; means, variances, logarithms, exponentials and colours stay float32."""
    if operator.op_type == "add":  # x + relu(convolution(x))
        x, y = operator.x, operator.y
        return x.val is None and y.val is None and x.shape == y.shape and len(x.shape) == 4 and x.shape[1] > 3
    return operator.op_type in ("conv", "relu")


def int8() -> Any:
    """Symmetric, a scale per output channel: what the kernels of quantize_aware.py bear without loss."""
    return optimize.coreml.OpLinearQuantizerConfig(mode="linear_symmetric", dtype="int8", weight_threshold=ALL_SIZES)


def palette_at_hand() -> Any:
    """The numbers that a kernel of `enhancing` has."""
    return optimize.coreml.OpPalettizerConfig(mode="unique", weight_threshold=ALL_SIZES)


def in_palettes(source: Source, form: Form) -> list[str]:
    """Layers of enhance whose kernels are stored as palettes: neither end, where an error shifts colours most."""
    if form.precision not in PALETTE_BITS:
        return []
    outer = 2 if len(source.layers) > 4 else 1
    return [layer for layer in source.layers[outer:-outer] if layer not in form.float_layers]


def enhancing(source: Source, form: Form) -> Palettized:
    """The generator whose enhance is lowered: with palettes, one whose kernels have the values of theirs.

    Raises:
        ConversionError: palettes, and no photos to correct biases on.
    """
    layers = in_palettes(source, form)
    if not layers:
        return Palettized(source.generator)
    if source.calibration is None:
        raise ConversionError(f"{form.precision} needs photos to correct biases on, and there are none")
    bits = dict.fromkeys(layers, PALETTE_BITS[form.precision])
    return with_palettes(source.generator, bits, source.calibration.samples)


def quantize_analyze(program: Any, form: Form) -> Any:
    """8 bits in all precisions below fp16: this is the condition, which sets the tone."""
    if form.precision in FLOAT_PRECISIONS:
        return program
    return quantize_weights(program, dict.fromkeys(convolutions(program).values(), int8()))


def quantize_enhance(program: Any, source: Source, form: Form, point: EntryPoint) -> Any:
    """The convolutions of `source.layers`, but for `form.float_layers`."""
    if form.precision in FLOAT_PRECISIONS:
        return program
    operators = {layer: _convolution_of(layer, program) for layer in source.layers if layer not in form.float_layers}
    if form.precision == "w8a8":
        in_8_bits = [operator for layer, operator in operators.items() if layer in inner(source.layers)]
        program = quantize_activations(program, in_8_bits, calibrated(program, source, point))
    kinds = dict.fromkeys(operators.values(), int8())
    kinds |= {operators[layer]: palette_at_hand() for layer in in_palettes(source, form)}
    return quantize_weights(program, kinds)


def quantize_weights(program: Any, kinds: Mapping[str, Any]) -> Any:
    """kinds: name of a convolution -> `int8` or `palette_at_hand`; kernels of those not in it stay as they are."""
    palettes = {name: kind for name, kind in kinds.items() if isinstance(kind, optimize.coreml.OpPalettizerConfig)}
    integers = {name: kind for name, kind in kinds.items() if name not in palettes}
    for function, chosen in (
        (optimize.coreml.palettize_weights, palettes),
        (optimize.coreml.linear_quantize_weights, integers),
    ):
        if chosen:
            program = function(program, optimize.coreml.OptimizationConfig(op_name_configs=chosen))
    return program


def quantize_activations(program: Any, operators: list[str], found: Mapping[str, Range]) -> Any:
    """The inputs of these convolutions in 8 bits, by coremltools' own graph pass.

    Whole numbers from 0 to 255 and a zero point: what a ReLU made takes all of them, and a photo of 8 bits loses
    nothing. Outputs stay float16, since no convolution follows directly: modulation and a sum come first.
    """
    kind = optimize.coreml.OpLinearQuantizerConfig(mode="linear", dtype="uint8")
    graph_pass = PASS_REGISTRY["compression::insert_prefix_quantize_dequantize_pair"]
    graph_pass.set_options(
        [
            PassOption("config", optimize.coreml.OptimizationConfig(op_name_configs=dict.fromkeys(operators, kind))),
            PassOption("activation_stats", {name: {"rmin": low, "rmax": high} for name, (low, high) in found.items()}),
        ]
    )
    return models.utils._apply_graph_pass(program, graph_pass)


def calibrated(program: Any, source: Source, point: EntryPoint) -> dict[str, Range]:
    """The range of every tensor of enhance over all samples of `source.calibration`."""
    if source.calibration is None:
        raise ConversionError("w8a8 needs photos to find ranges on, and there are none")
    with workspace() as folder:
        package = folder / point.file
        program.save(str(package))
        evaluator = MilProgram.load(package, point.function)
    given = ((sample.tile, *sample.condition) for sample in source.calibration.samples)
    feeds = (
        {spec.name: to_layout(tensor.numpy(), spec) for spec, tensor in zip(point.inputs, tensors, strict=True)}
        for tensors in given
    )
    return ranges(evaluator, feeds)


def convolutions(program: Any) -> dict[str, str]:
    """Name of each kernel, which coremltools makes of the module's path -> name of its convolution."""
    found = {}
    for function in program.get_spec().mlProgram.functions.values():
        for operation in function.block_specializations[function.opset].operations:
            if operation.type == "conv":
                kernel = operation.inputs["weight"].arguments[0].name.removesuffix("_to_fp16")
                found[kernel] = operation.attributes["name"].immediateValue.tensor.strings.values[0]
    return found


def _convolution_of(layer: str, program: Any) -> str:
    """Raises ConversionError: coremltools made something else of this convolution."""
    path = f"_{layer.replace('.', '_')}_weight"
    found = [operator for kernel, operator in convolutions(program).items() if f"_{kernel}".endswith(path)]
    if len(found) != 1:
        raise ConversionError(
            f"{layer}: coremltools made {len(found)} convolutions of it; it cannot be quantized alone"
        )
    return found[0]


def described(source: Source, form: Form) -> Quantization | None:
    """For the manifest."""
    analyze = "statistics float32, convolutions float16"
    if form.precision == "fp32":
        return None
    if form.precision == "fp16":
        return source.quantization(form, "float16", "float16", f"weights float16, {analyze}")
    weights = "int8, symmetric, per output channel"
    if form.precision in PALETTE_BITS:
        bits = PALETTE_BITS[form.precision]
        weights = f"palettes of {bits} bits, per kernel, in {', '.join(in_palettes(source, form))}; elsewhere {weights}"
    activations = "float16"
    if form.precision == "w8a8":
        activations = (
            "inputs of convolutions but the first and the last uint8 with a zero point, calibrated, per tensor; "
            "all else float16"
        )
    return source.quantization(form, weights, activations, f"weights int8, {analyze}")
