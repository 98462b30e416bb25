"""How far an artifact's output may lie from the clamped float reference, and how far it does.

The one table of floors: converters use it to refuse, benchmarks to report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from conversion.artifact import Fidelity, Format, Precision
from training.enhancer import Array, Engine, TorchEngine, enhance_photo, thumbnail_planes
from training.generators.base import Generator
from training.quality import metrics
from training.tiling import Tile, plan


@dataclass(frozen=True)
class Floor:
    """PSNR in dB, mean over photos and of the worst photo."""

    mean_db: float
    worst_db: float


FLOORS: dict[Precision, Floor | None] = {
    "fp32": Floor(mean_db=90.0, worst_db=85.0),
    "fp16": Floor(mean_db=65.0, worst_db=58.0),
    "w8": Floor(mean_db=48.0, worst_db=42.0),
    "dyn8": Floor(mean_db=48.0, worst_db=42.0),
    "pal6": Floor(mean_db=45.0, worst_db=38.0),
    "w8a8": Floor(mean_db=44.0, worst_db=38.0),
    "pal4": None,  # for the record: four bits are too few for a photo
}
# Where a runtime also computes in float16 if the processor can, sums are rounded to 11 bits, not weights alone; which
# processor converts must not decide. LiteRT's CPU and the evaluator of ML programs compute in float32.
COMPUTES_IN_HALF: tuple[Format, ...] = ("executorch",)
HALF_ARITHMETIC_FLOOR = Floor(mean_db=60.0, worst_db=52.0)
EIGHT_BIT_FLOOR_DB = 50.0  # what rounding to 8 bits leaves of the best output is about 59
COLOUR_SHIFT_MOST = 0.002  # half a grey level
BORDER_STEP_MOST_LEVELS = 0.5
BORDER_STRIP_PX = 8
GOLDEN_LEAST_DB = 20.0  # of a precision without a floor: still a picture of the same scene


def floor_of(
    format_: Format, precision: Precision, io: str, *, mean_db: float | None = None, worst_db: float | None = None
) -> Floor | None:
    """The floor of a precision in a format.

    It is lower where the output has 8 bits, or where the runtime computes in float16; `mean_db` and `worst_db` take its
    place where they are set.
    """
    floor = FLOORS[precision]
    if precision == "fp16" and format_ in COMPUTES_IN_HALF:
        floor = HALF_ARITHMETIC_FLOOR
    if floor is not None and io == "uint8":
        floor = Floor(min(floor.mean_db, EIGHT_BIT_FLOOR_DB), min(floor.worst_db, EIGHT_BIT_FLOOR_DB))
    if mean_db is None and worst_db is None:
        return floor
    floor = floor or Floor(0.0, 0.0)
    return Floor(floor.mean_db if mean_db is None else mean_db, floor.worst_db if worst_db is None else worst_db)


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
    floor: Floor | None = None,
    progress: Callable[[], object] | None = None,
) -> Fidelity:
    """Whole photos end to end, and `enhance` alone under the float condition.

    The reference is the float generator over the same tiles, with the condition of the same thumbnail, clamped.
    (Of a generator with statistics this is not the whole-photo output: an artifact never sees the whole photo.)

    Args:
        photos: [H, W, 3] in [0, 1]; with border rule "shift" at least one tile large.
        floor: what `below_floor` of the result speaks of; None for no floor.
        progress: called after every photo.

    Raises:
        ValueError: no photos.
    """
    reference_engine = TorchEngine(generator)
    whole, alone, delta_e, shift, steps = [], [], [], [], []
    for photo in photos:
        condition = reference_engine.analyze(thumbnail_planes(photo, generator.thumbnail_px))
        reference = enhance_by(reference_engine, photo, generator, tile_px, condition)
        output = enhance_by(engine, photo, generator, tile_px)
        whole.append(metrics.psnr(output, reference))
        alone.append(metrics.psnr(enhance_by(engine, photo, generator, tile_px, condition), reference))
        delta_e.append(metrics.delta_e(output, reference))
        shift.append(max(map(abs, metrics.colour_shift(output, reference))))
        step = border_step(output - reference, list(plan(photo.shape[0], photo.shape[1], tile_px, generator.tiling)))
        if step is not None:
            steps.append(step)
        if progress:
            progress()
    if not whole:
        raise ValueError("fidelity needs at least one photo")
    fidelity = Fidelity(
        photos=len(whole),
        psnr_mean_db=float(np.mean(whole)),
        psnr_worst_db=float(np.min(whole)),
        enhance_psnr_mean_db=float(np.mean(alone)),
        enhance_psnr_worst_db=float(np.min(alone)),
        delta_e_2000_mean=float(np.mean(delta_e)),
        colour_shift_worst=float(np.max(shift)),
        border_step_mean_levels=float(np.mean(steps)) if steps else None,
        border_step_worst_levels=float(np.max(steps)) if steps else None,
        below_floor=None,
    )
    return replace(fidelity, below_floor=below_floor(fidelity, floor))


def border_step(error: Array, tiles: Sequence[Tile]) -> float | None:
    """How much brighter one side of a border between tiles errs than the other, in grey levels of 255.

    The mean over borders and channels of |difference of the mean errors in strips of 8 px on both sides|.

    Args:
        error: output minus reference, [H, W, 3] in units of the range [0, 1].

    Returns:
        None where a photo is one tile.
    """
    steps = []
    for axis, part in ((0, lambda tile: (tile.y0, tile.x0, tile.x1)), (1, lambda tile: (tile.x0, tile.y0, tile.y1))):
        across = error if axis == 0 else error.transpose(1, 0, 2)
        for at, from_, to in map(part, tiles):
            if at:
                strip = across[max(0, at - BORDER_STRIP_PX) : at + BORDER_STRIP_PX, from_:to]
                before = min(at, BORDER_STRIP_PX)
                steps.append(np.abs(strip[:before].mean((0, 1)) - strip[before:].mean((0, 1))).mean())
    return float(np.mean(steps)) * 255 if steps else None


def below_floor(fidelity: Fidelity, floor: Floor | None) -> str | None:
    """What misses its floor, in words, or None. NaN misses every floor."""
    if floor is None:
        return None
    missed = [
        f"{name} {value:.1f} dB (floor {least:g})"
        for name, value, least in (
            ("mean PSNR", fidelity.psnr_mean_db, floor.mean_db),
            ("worst PSNR", fidelity.psnr_worst_db, floor.worst_db),
            ("mean PSNR of enhance alone", fidelity.enhance_psnr_mean_db, floor.mean_db),
            ("worst PSNR of enhance alone", fidelity.enhance_psnr_worst_db, floor.worst_db),
        )
        if not value >= least
    ]
    if not fidelity.colour_shift_worst <= COLOUR_SHIFT_MOST:
        missed.append(f"colour shift {fidelity.colour_shift_worst:.4f} (at most {COLOUR_SHIFT_MOST})")
    step = fidelity.border_step_mean_levels
    if step is not None and not step <= BORDER_STEP_MOST_LEVELS:
        missed.append(f"step across tile borders {step:.2f} levels (at most {BORDER_STEP_MOST_LEVELS})")
    return ", ".join(missed) or None
