"""What each convolution costs when it alone is quantized: for the search for mixed precision, and for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from conversion.artifact import Precision
from conversion.calibration import Sample
from conversion.export import Source, inner
from training.quality.metrics import mse_to_psnr
from training.quantization.fake_quantization import fake_quantized

Bits = tuple[int, int | None]  # of weights, of activations
# What a precision does to a convolution, imitated in float: to an inner one, and to the first and the last.
BITS: Mapping[Precision, tuple[Bits, Bits]] = {
    "w8": ((8, None), (8, None)),
    "dyn8": ((8, 8), (8, 8)),
    "w8a8": ((8, 8), (8, None)),
    "pal6": ((6, None), (8, None)),
    "pal4": ((4, None), (8, None)),
}


@torch.no_grad()
def sensitivity(source: Source, precision: Precision, samples: Sequence[Sample]) -> dict[str, float]:
    """Layer -> PSNR in dB of enhance on the samples when only this layer is quantized; the most sensitive first."""

    def run() -> list[torch.Tensor]:
        return [source.generator.enhance(sample.tile, *sample.condition).clamp(0, 1) for sample in samples]

    wanted, found = run(), {}
    of_inner, of_outer = BITS[precision]
    for layer in source.layers:
        bits = of_inner if layer in inner(source.layers) else of_outer
        with fake_quantized(source.generator, [layer], *bits) as state:
            run()
            state.mode = "calibrated"
            errors = [float((a - b).square().mean()) for a, b in zip(run(), wanted, strict=True)]
        found[layer] = mse_to_psnr(float(np.mean(errors)))
    return dict(sorted(found.items(), key=lambda item: item[1]))


def in_words(found: Mapping[str, float]) -> str:
    return ", ".join(f"{layer} {psnr_db:.1f} dB" for layer, psnr_db in found.items())
