"""Core ML: what its converter offers. The packages are made in `lowering`, with PyTorch and the toolchain."""

from __future__ import annotations

from conversion.converter import Converter

CONVERTER = Converter(
    format="coreml",
    lowering=f"{__name__}.lowering",
    precisions=("fp16", "w8", "w8a8", "pal6", "pal4", "fp32"),
    targets=("ios17", "ios18"),
    ios=("float", "uint8"),
    runs_here=("ios17", "ios18"),
)
