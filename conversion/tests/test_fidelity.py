"""The judge itself: a faithful engine passes, each kind of unfaithful one does not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import pytest

from conversion.artifact import Fidelity, Format, Precision
from conversion.fidelity import (
    FLOORS,
    HALF_ARITHMETIC_FLOOR,
    Floor,
    below_floor,
    border_step,
    enhance_by,
    floor_of,
    measure,
)
from training.checkpoint import Checkpoint
from training.enhancer import Array, TorchEngine
from training.tiling import Tiling, plan

TILE_PX = 48


class Altered(TorchEngine):
    """The float generator with something done to its outputs."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        output: Callable[[Array], Array] = lambda y: y,
        condition: Callable[[Array], Array] = lambda c: c,
    ):
        super().__init__(checkpoint.generator)
        self.output, self.condition = output, condition

    def analyze(self, thumbnail: Array) -> tuple[Array, ...]:
        return tuple(map(self.condition, super().analyze(thumbnail)))

    def enhance(self, tile: Array, condition: tuple[Array, ...]) -> Array:
        return self.output(super().enhance(tile, condition).clip(0, 1))


@pytest.fixture
def judged(make_checkpoint: Callable[..., Checkpoint], photo: Array) -> Callable[..., Fidelity]:
    checkpoint = make_checkpoint("pocket")

    def judge(**alterations: Callable[[Array], Array]) -> Fidelity:
        return measure(Altered(checkpoint, **alterations), checkpoint.generator, [photo, photo[::-1]], TILE_PX)

    return judge


@pytest.mark.parametrize("name", ["pocket", "dped", "ppcn_student", "ppcn_teacher"])
def test_float_agrees_with_itself(make_checkpoint: Callable[..., Checkpoint], photo: Array, name: str) -> None:
    checkpoint = make_checkpoint(name)
    fidelity = measure(TorchEngine(checkpoint.generator), checkpoint.generator, [photo], TILE_PX)
    assert (fidelity.psnr_mean_db, fidelity.psnr_worst_db, fidelity.photos) == (120, 120, 1)
    assert fidelity.colour_shift_worst == 0


def test_a_known_error_measures_as_it_should(judged: Callable[..., Fidelity]) -> None:
    fidelity = judged(output=lambda y: np.where(y > 0.5, y - 0.01, y + 0.01))
    assert fidelity.psnr_mean_db == pytest.approx(40, abs=0.01)  # -20 log10(0.01)
    assert fidelity.enhance_psnr_worst_db == pytest.approx(40, abs=0.01)
    assert fidelity.photos == 2


def test_colour_shift_is_that_of_the_worst_channel(make_checkpoint: Callable[..., Checkpoint], photo: Array) -> None:
    def redder(y: Array) -> Array:
        y = y.copy()
        y[:, 0] += (1 - y[:, 0]) / 4
        return y

    checkpoint = make_checkpoint("pocket")
    reference = enhance_by(TorchEngine(checkpoint.generator), photo, checkpoint.generator, TILE_PX)
    fidelity = measure(Altered(checkpoint, redder), checkpoint.generator, [photo], TILE_PX)
    assert fidelity.colour_shift_worst == pytest.approx((1 - reference[:, :, 0].mean()) / 4, rel=1e-4)
    assert fidelity.delta_e_2000_mean > 0.1


def test_a_wrong_analyze_spares_enhance_alone(judged: Callable[..., Fidelity]) -> None:
    fidelity = judged(condition=lambda c: c * np.float32(1.01))
    assert fidelity.enhance_psnr_worst_db == 120
    assert fidelity.psnr_worst_db < 90
    assert below_floor(fidelity, FLOORS["fp32"]) is not None


@pytest.mark.parametrize("value", [0.0, 1.0, math.nan])
def test_flat_and_broken_pictures_are_below_the_floor(judged: Callable[..., Fidelity], value: float) -> None:
    missed = below_floor(judged(output=lambda y: np.full_like(y, value)), FLOORS["fp32"])
    assert missed is not None and "worst PSNR" in missed


def test_arithmetic_in_half_may_lose_more_than_storage() -> None:
    """By the format, not by the processor that happens to convert."""
    assert floor_of("tflite", "fp16", "float") == floor_of("coreml", "fp16", "float") == Floor(65, 58)
    assert floor_of("executorch", "fp16", "float") == HALF_ARITHMETIC_FLOOR == Floor(60, 52)
    assert floor_of("executorch", "fp16", "uint8") == Floor(50, 50)
    for precision in get_args(Precision):
        if precision != "fp16":
            assert len({floor_of(format_, precision, "float") for format_ in get_args(Format)}) == 1
    assert floor_of("executorch", "fp16", "float", mean_db=63) == Floor(63, 52)
    assert floor_of("coreml", "pal4", "float") is None


def test_every_floor_counts() -> None:
    floor = FLOORS["fp32"]
    at_floor = Fidelity(3, floor.mean_db, floor.worst_db, floor.mean_db, floor.worst_db, 0.0, 0.0, None, None, None)
    assert below_floor(at_floor, floor) is None
    for field in ("psnr_mean_db", "psnr_worst_db", "enhance_psnr_mean_db", "enhance_psnr_worst_db"):
        lowered = replace(at_floor, **{field: getattr(at_floor, field) - 0.01})
        assert below_floor(lowered, floor) is not None, field


@pytest.mark.parametrize("border", ["clamp", "shift"])
def test_the_step_is_that_across_borders(border: Literal["clamp", "shift"]) -> None:
    tiles = list(plan(90, 130, 64, Tiling(halo=8, align=2, border=border)))
    flat, stepped = np.zeros((90, 130, 3), np.float32), np.zeros((90, 130, 3), np.float32)
    for at, tile in enumerate(tiles):
        flat[tile.kept] = 3 / 255
        stepped[tile.kept] = at % 2 * 2 / 255
    assert border_step(flat, tiles) == pytest.approx(0, abs=1e-5)
    assert 0.5 < (border_step(stepped, tiles) or 0) <= 2.001
    assert border_step(flat, tiles[:1]) is None
    columns = [tile for tile in tiles if tile.y0 == 0]
    assert border_step(stepped[:40], columns) == pytest.approx(2, abs=1e-4)


def test_no_photos_is_no_fidelity(make_checkpoint: Callable[..., Checkpoint]) -> None:
    generator = make_checkpoint("pocket").generator
    with pytest.raises(ValueError, match="at least one"):
        measure(TorchEngine(generator), generator, [], TILE_PX)
