"""Named weights of the losses. No torch here, so that a command line can list them at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PixelWeights:
    """Beside the absolute error. structure: weight; scales: weights of its scales; mse: weight of the squared error."""

    structure: float
    scales: tuple[float, ...]
    mse: float


@dataclass(frozen=True)
class DpedWeights:
    content: float
    texture: float
    colour: float
    tv: float


# "pixel" learns what a picture shows; "scores" goes on to what pictures are scored by. LOG.md has what led to them.
PIXEL_PRESETS = {
    "pixel": PixelWeights(structure=0.3, scales=(1.0,), mse=0),
    "scores": PixelWeights(structure=1, scales=(0.2, 0.3, 0.3, 0.2), mse=10),
    "structure": PixelWeights(structure=4, scales=(0.2, 0.3, 0.3, 0.2), mse=10),
}
# "code" is what the authors' train_model.py uses, "paper" what section 3.1.5 prints.
DPED_PRESETS = {
    "code": DpedWeights(content=10, texture=1, colour=0.5, tv=2000),
    "paper": DpedWeights(content=1, texture=0.4, colour=0.1, tv=400),
}
PRESETS = (*PIXEL_PRESETS, *DPED_PRESETS)
