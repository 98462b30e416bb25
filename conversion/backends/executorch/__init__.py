"""ExecuTorch: what its converter offers. The graphs are made in `lowering`, with PyTorch and the toolchain."""

from __future__ import annotations

from collections.abc import Mapping

from conversion.artifact import Precision, Target
from conversion.converter import Converter

# What each backend takes, best first. ExecuTorch's 8 bits for Core ML and Vulkan cannot be checked without a phone.
PRECISIONS: Mapping[Target, tuple[Precision, ...]] = {
    "xnnpack": ("fp16", "w8a8", "fp32"),
    "coreml": ("fp16", "fp32"),
    "vulkan": ("fp16", "fp32"),
}
CONVERTER = Converter(
    format="executorch",
    lowering=f"{__name__}.lowering",
    precisions=PRECISIONS["xnnpack"],
    targets=tuple(PRECISIONS),
    ios=("float",),
    runs_here=("xnnpack",),
)
