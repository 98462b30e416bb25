"""A checkpoint lowered to Core ML: two ML programs, `analyze.mlpackage` and `enhance.mlpackage`."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from conversion.artifact import Delegation
from conversion.backends.coreml import CONVERTER
from conversion.backends.coreml.palettes import Palettized
from conversion.backends.coreml.pocket import PocketAnalyze, PocketEnhance
from conversion.converter import Form, artifact_name
from conversion.export import EnhanceForExport, Lowered, Source, toolchain
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
