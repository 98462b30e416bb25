"""TFLite for LiteRT: what its converter offers. The model is made in `lowering`, with PyTorch and the toolchain."""

from __future__ import annotations

from conversion.converter import Converter

CONVERTER = Converter(
    format="tflite",
    lowering=f"{__name__}.lowering",
    precisions=("fp16", "dyn8", "w8", "w8a8", "fp32"),
    targets=("litert",),
    ios=("float", "uint8"),
    runs_here=("litert",),
    runs_on_gpu=True,
)
