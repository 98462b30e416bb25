"""python conversion/to_coreml.py [--checkpoint NAME_OR_PATH]

Convert a checkpoint to Core ML: two ML programs, `analyze.mlpackage` and `enhance.mlpackage`, for iOS 17 or iOS 18.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from conversion.artifact import EntryPoint, TensorSpec
from conversion.convert import artifact_name, convert, make_parser
from conversion.coreml_pocket import PocketAnalyze, PocketEnhance
from conversion.export import Converter, Form, Lowered, Source, toolchain
from training.commandline import run
from training.generators.pocket import Pocket

FUNCTION = "main"  # of every package with a single function


class Images(nn.Module):
    """An entry point whose outputs fill images: 0 to 255 instead of [0, 1]."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(output * 255.0 for output in self.module(*inputs))


def lower(source: Source, form: Form, folder: Path) -> Lowered:
    """Two packages, for iOS 18 as well: a single one would share only what both contain, which is next to nothing.

    Raises:
        ConversionError: coremltools is not installed.
    """
    with toolchain("coreml"):
        import coremltools  # noqa: F401
    from conversion import coreml_compact, coreml_quantization

    logging.getLogger("coremltools").setLevel(logging.WARNING)  # it lists every operator that it removes
    analyze, enhance = source.entry_points(
        "NCHW", form.io, analyze=("analyze.mlpackage", FUNCTION), enhance=("enhance.mlpackage", FUNCTION)
    )
    with coreml_compact.small_vectors_in_the_graph():
        for point, program in ((analyze, analyze_program(source, form, analyze)),
                               (enhance, enhance_program(source, form, enhance))):  # fmt: skip
            package = coreml_compact.compact(program)
            describe(package, point, source, form)
            package.save(str(folder / point.file))
    # Only Core ML itself, on an Apple device, says which operators its compute units take.
    unknown = {"analyze": None, "enhance": None}
    return Lowered((analyze, enhance), unknown, ["coremltools"], coreml_quantization.described(source, form))


def analyze_program(source: Source, form: Form, point: EntryPoint) -> Any:
    """Its statistics and logarithms are float32 in every precision, its convolutions float16 but for fp32."""
    from conversion import coreml_quantization

    module: nn.Module = PocketAnalyze(source.generator) if isinstance(source.generator, Pocket) else source.analyze
    program = convert_to_program(module, (source.thumbnail,), point, form, half=coreml_quantization.is_half_in_analyze)
    return coreml_quantization.quantize_analyze(program, form)


def enhance_program(source: Source, form: Form, point: EntryPoint) -> Any:
    from conversion import coreml_quantization

    module: nn.Module = PocketEnhance(source.generator) if isinstance(source.generator, Pocket) else source.enhance
    if form.io == "uint8":
        module = Images(module)
    examples = (source.tile, *source.condition)
    program = convert_to_program(module, examples, point, form, half=lambda operator: True)
    if source.calibration and form.precision == "w8a8":
        passes = coreml_quantization.activation_passes(program, source, form, point)
        program = convert_to_program(module, examples, point, form, half=lambda operator: True, passes=passes)
    return coreml_quantization.quantize_enhance(program, source, form)


def convert_to_program(
    module: nn.Module, examples: Sequence[Tensor], point: EntryPoint, form: Form, half: Any, passes: Any = None
) -> Any:
    """A torch module as an MLModel.

    Args:
        half: which operators compute in float16, unless the precision is fp32.
        passes: coremltools' pipeline of graph passes; its default one if None.
    """
    import coremltools

    precision = coremltools.precision.FLOAT32
    if form.precision != "fp32":
        precision = coremltools.transform.FP16ComputePrecision(op_selector=half)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing turns shapes into constants: on purpose, tiles are fixed
        traced = torch.jit.trace(module.eval(), tuple(examples))  # type: ignore[no-untyped-call]
    return coremltools.convert(
        traced,
        inputs=[_described_input(spec) for spec in point.inputs],
        outputs=[_described_output(spec) for spec in point.outputs],
        convert_to="mlprogram",
        compute_precision=precision,
        minimum_deployment_target={"ios17": coremltools.target.iOS17, "ios18": coremltools.target.iOS18}[form.target],
        pass_pipeline=passes or coremltools.PassPipeline.DEFAULT,
        skip_model_load=True,
    )


def _described_input(spec: TensorSpec) -> Any:
    import coremltools

    if spec.dtype == "uint8":
        return coremltools.ImageType(spec.name, shape=spec.shape, scale=1 / 255, color_layout="RGB")
    # float32 inputs and outputs must be asked for: the default is float16.
    return coremltools.TensorType(spec.name, shape=spec.shape, dtype=np.float32)


def _described_output(spec: TensorSpec) -> Any:
    import coremltools

    if spec.dtype == "uint8":
        return coremltools.ImageType(spec.name, color_layout="RGB")
    return coremltools.TensorType(spec.name, dtype=np.float32)


def describe(package: Any, point: EntryPoint, source: Source, form: Form) -> None:
    """The manifest's facts inside the model, where Xcode shows them."""
    checkpoint, tiling = source.checkpoint, source.generator.tiling
    package.short_description = f"Pocket DSLR: {point.name} of {checkpoint.name}"
    package.license = checkpoint.licence
    package.user_defined_metadata.update(
        {
            "name": artifact_name(checkpoint.name, CONVERTER, form),
            "precision": form.precision,
            "checkpoint_sha256": checkpoint.sha256,
            "tile_px": str(source.tile_px),
            "halo_px": str(tiling.halo),
        }
    )


CONVERTER = Converter(
    format="coreml",
    lower=lower,
    precisions=("w8", "fp16", "w8a8", "pal6", "pal4", "fp32"),
    targets=("ios17", "ios18"),
    ios=("float", "uint8"),
    runs_here=("ios17", "ios18"),
)


def main(argv: Sequence[str] | None = None) -> int:
    return run(make_parser(__doc__, CONVERTER), lambda args: convert(args, CONVERTER), argv)


if __name__ == "__main__":
    raise SystemExit(main())
