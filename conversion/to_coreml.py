"""python conversion/to_coreml.py [--checkpoint NAME_OR_PATH]

Convert a checkpoint to Core ML for iOS 17: two ML programs, `analyze.mlpackage` and `enhance.mlpackage`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from conversion.convert import convert, make_parser
from conversion.export import Converter, Form, Lowered, Source, toolchain
from training.commandline import run

FUNCTION = "main"  # of every package with a single function


def lower(source: Source, form: Form, folder: Path) -> Lowered:
    """Raises ConversionError: coremltools is not installed."""
    with toolchain("coreml"):
        import coremltools
    logging.getLogger("coremltools").setLevel(logging.WARNING)  # it lists every operator that it removes

    analyze, enhance = source.entry_points(
        "NCHW", form.io, analyze=("analyze.mlpackage", FUNCTION), enhance=("enhance.mlpackage", FUNCTION)
    )
    for point, module, examples in (
        (analyze, source.analyze, (source.thumbnail,)),
        (enhance, source.enhance, (source.tile, *source.condition)),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing turns shapes into constants: on purpose, tiles are fixed
            traced = torch.jit.trace(module, examples)  # type: ignore[no-untyped-call]
        # float32 inputs and outputs must be asked for: the default is float16.
        package = coremltools.convert(
            traced,
            inputs=[coremltools.TensorType(name=s.name, shape=s.shape, dtype=np.float32) for s in point.inputs],
            outputs=[coremltools.TensorType(name=s.name, dtype=np.float32) for s in point.outputs],
            convert_to="mlprogram",
            compute_precision=coremltools.precision.FLOAT32,
            minimum_deployment_target=coremltools.target.iOS17,
        )
        package.save(str(folder / point.file))
    # Only Core ML itself, on an Apple device, says which operators its compute units take.
    return Lowered((analyze, enhance), {"analyze": None, "enhance": None}, tools=["coremltools"])


CONVERTER = Converter(
    format="coreml",
    lower=lower,
    precisions=("fp32",),
    targets=("ios17",),
    ios=("float",),
    runs_here=("ios17",),
)


def main(argv: Sequence[str] | None = None) -> int:
    return run(make_parser(__doc__, CONVERTER), lambda args: convert(args, CONVERTER), argv)


if __name__ == "__main__":
    raise SystemExit(main())
