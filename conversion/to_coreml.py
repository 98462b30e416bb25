"""python conversion/to_coreml.py [--checkpoint NAME_OR_PATH]

Convert a checkpoint to Core ML: two ML programs, `analyze.mlpackage` and `enhance.mlpackage`, for iOS 17 or iOS 18.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from conversion.artifact import Delegation
from conversion.backends.coreml.palettes import Palettized
from conversion.backends.coreml.pocket import PocketAnalyze, PocketEnhance
from conversion.convert import artifact_name, convert, make_parser
from conversion.export import Converter, EnhanceForExport, Form, Lowered, Source, toolchain
from training.commandline import run
from training.generators.pocket import Pocket

FUNCTION = "main"  # of every package with a single function


def modules(source: Source, enhancing: Palettized) -> tuple[nn.Module, nn.Module]:
    """analyze of the source and enhance of the generator that stands in for its own, as Core ML takes them best."""
    if isinstance(source.generator, Pocket) and isinstance(enhancing.generator, Pocket):
        return PocketAnalyze(source.generator), PocketEnhance(enhancing.generator, enhancing.scales)
    return source.analyze, EnhanceForExport(enhancing.generator).eval()


def lower(source: Source, form: Form, folder: Path) -> Lowered:
    """Two packages, for iOS 18 as well: one of two functions would share only equal weights, and Pocket has none.

    Raises:
        ConversionError: coremltools is not installed.
    """
    with toolchain("coreml"):
        from conversion.backends.coreml import compact as coreml_compact
        from conversion.backends.coreml import quantization as coreml_quantization
        from conversion.backends.coreml.program import convert_to_program, describe

    logging.getLogger("coremltools").setLevel(logging.WARNING)  # it lists every operator that it removes
    analyze, enhance = points = source.entry_points(
        "NCHW", form.io, analyze=("analyze.mlpackage", FUNCTION), enhance=("enhance.mlpackage", FUNCTION)
    )
    analyze_module, enhance_module = modules(source, coreml_quantization.enhancing(source, form))
    with coreml_compact.small_vectors_in_the_graph():
        analyzing = convert_to_program(
            analyze_module, (source.thumbnail,), analyze, form, coreml_quantization.is_half_in_analyze
        )
        analyzing = coreml_quantization.quantize_analyze(analyzing, form)
        enhancing = convert_to_program(
            enhance_module, (source.tile, *source.condition), enhance, form, coreml_quantization.is_half_in_enhance
        )
        enhancing = coreml_quantization.quantize_enhance(enhancing, source, form, enhance)
    for point, program in zip(points, (analyzing, enhancing), strict=True):
        package = coreml_compact.compact(program)
        describe(package, artifact_name(source.checkpoint.name, CONVERTER, form), point, source, form)
        coreml_compact.save(package, folder / point.file)
    # Only Core ML itself, on an Apple device, says which operators its compute units take.
    unknown: dict[str, Delegation | None] = {"analyze": None, "enhance": None}
    return Lowered(points, unknown, ["coremltools"], coreml_quantization.described(source, form))


CONVERTER = Converter(
    format="coreml",
    lower=lower,
    precisions=("fp16", "w8", "w8a8", "pal6", "pal4", "fp32"),
    targets=("ios17", "ios18"),
    ios=("float", "uint8"),
    runs_here=("ios17", "ios18"),
)


def main(argv: Sequence[str] | None = None) -> int:
    return run(make_parser(__doc__, CONVERTER), lambda args: convert(args, CONVERTER), argv)


if __name__ == "__main__":
    raise SystemExit(main())
