"""What each convolution costs when it alone is quantized, and the search for those that have to stay in float."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from conversion.artifact import Precision
from conversion.calibration import Photos, Sample, calibrate
from conversion.converter import Form
from conversion.export import Source, inner
from training.quality.metrics import mse_to_psnr
from training.quantization.fake_quantization import fake_quantized

Bits = tuple[int, int | None]  # of weights, of activations
SENSITIVITY_TILES = 8
log = logging.getLogger(__name__)
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


def keep_fewest_in_float(wanted: Form, source: Source, photos: Photos, holds: Callable[[Form], bool]) -> None:
    """The most sensitive layers stay float, one more at a time until the floors hold; then, who is not needed does not.

    Args:
        holds: tries a form. The last one tried is the one to take; where none holds, it is the one wanted.
    """

    def try_with(layers: Sequence[str]) -> bool:
        log.info("float stay: %s", ", ".join(layers))
        return holds(replace(wanted, float_layers=tuple(layer for layer in source.layers if layer in layers)))

    order = list(_sensitivity(source, wanted, photos))
    enough = next((count for count in range(1, len(order) + 1) if try_with(order[:count])), None)
    if enough is None:
        holds(wanted)
        return
    kept, tried = order[:enough], order[:enough]
    for layer in order[: enough - 1]:
        tried = [other for other in kept if other != layer]
        if try_with(tried):
            kept = tried
    if tried != kept:
        try_with(kept)


def explain(source: Source, form: Form, photos: Photos) -> None:
    """Log which layers a missed floor is due to."""
    if form.precision in BITS:
        found = _sensitivity(source, form, photos)
        log.warning("PSNR of enhance with one convolution quantized: %s", in_words(found))


def _sensitivity(source: Source, form: Form, photos: Photos) -> dict[str, float]:
    calibration = source.calibration or calibrate(
        photos.calibration or photos.fidelity, source.generator, source.tile_px
    )
    return sensitivity(source, form.precision, calibration.samples[:SENSITIVITY_TILES])
