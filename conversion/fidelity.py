"""How far an artifact's output may lie from the clamped float reference, and how far it does.

The one table of floors: converters use it to refuse, benchmarks to report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from conversion.artifact import Fidelity, Precision
from training import metrics
from training.enhancer import Array, Engine, TorchEngine, enhance_photo, thumbnail_planes
from training.generators.base import Generator


@dataclass(frozen=True)
class Floor:
    """PSNR in dB, mean over photos and of the worst photo."""

    mean_db: float
    worst_db: float


FLOORS: dict[Precision, Floor] = {
    "fp32": Floor(mean_db=90.0, worst_db=85.0),
}


def enhance_by(
    engine: Engine, photo: Array, generator: Generator, tile_px: int, condition: tuple[Array, ...] | None = None
) -> Array:
    """A photo [H, W, 3] in [0, 1] by an engine, tile by tile; its condition from the thumbnail where none is given."""
    if condition is None:
        condition = engine.analyze(thumbnail_planes(photo, generator.thumbnail_px))
    return enhance_photo(photo, engine, generator.tiling, tile_px, condition)


def measure(
    engine: Engine,
    generator: Generator,
    photos: Iterable[Array],
    tile_px: int,
    progress: Callable[[], object] | None = None,
) -> Fidelity:
    """Whole photos end to end, and `enhance` alone under the float condition.

    The reference is the float generator over the same tiles, with the condition of the same thumbnail, clamped.
    (Of a generator with statistics this is not the whole-photo output: an artifact never sees the whole photo.)

    Args:
        photos: [H, W, 3] in [0, 1]; with border rule "shift" at least one tile large.
        progress: called after every photo.

    Raises:
        ValueError: no photos.
    """
    reference_engine = TorchEngine(generator)
    whole, alone, delta_e, shift = [], [], [], []
    for photo in photos:
        condition = reference_engine.analyze(thumbnail_planes(photo, generator.thumbnail_px))
        reference = enhance_by(reference_engine, photo, generator, tile_px, condition)
        output = enhance_by(engine, photo, generator, tile_px)
        whole.append(metrics.psnr(output, reference))
        alone.append(metrics.psnr(enhance_by(engine, photo, generator, tile_px, condition), reference))
        delta_e.append(metrics.delta_e(output, reference))
        shift.append(max(map(abs, metrics.colour_shift(output, reference))))
        if progress:
            progress()
    if not whole:
        raise ValueError("fidelity needs at least one photo")
    return Fidelity(
        photos=len(whole),
        psnr_mean_db=float(np.mean(whole)),
        psnr_worst_db=float(np.min(whole)),
        enhance_psnr_mean_db=float(np.mean(alone)),
        enhance_psnr_worst_db=float(np.min(alone)),
        delta_e_2000_mean=float(np.mean(delta_e)),
        colour_shift_worst=float(np.max(shift)),
    )


def below_floor(fidelity: Fidelity, precision: Precision) -> str | None:
    """What misses its floor, in words, or None. NaN misses every floor."""
    floor = FLOORS[precision]
    figures = [
        ("mean PSNR", fidelity.psnr_mean_db, floor.mean_db),
        ("worst PSNR", fidelity.psnr_worst_db, floor.worst_db),
        ("mean PSNR of enhance alone", fidelity.enhance_psnr_mean_db, floor.mean_db),
        ("worst PSNR of enhance alone", fidelity.enhance_psnr_worst_db, floor.worst_db),
    ]
    missed = [f"{name} {value:.1f} dB (floor {least:g})" for name, value, least in figures if not value >= least]
    return ", ".join(missed) or None
