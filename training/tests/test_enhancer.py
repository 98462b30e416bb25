"""One condition: tiles add up to the whole photo, at every size, in single and in double precision."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training import generators
from training.checkpoint import Checkpoint
from training.enhancer import Enhancer, TorchEngine, enhance_tiles, float_model, torch_engine
from training.generators.base import Generator
from training.tiling import Tile, plan, read_tile

POCKET_TILE_PX, DPED_TILE_PX = 64, 52  # of which 32 and 16 px are kept
AROUND_A_TILE = [1, 2, 31, 32, 33, 37, 63, 64, 65, 97]


def alive(name: str, **config: int) -> Generator:
    """A generator whose weights all matter: fresh ones are close to the identity."""
    torch.manual_seed(0)
    generator = generators.build(name, config).eval()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.03)
    return generator


class DoubleEngine:
    """In double precision from the tile on."""

    def __init__(self, generator: Generator):
        self.generator = generator.double()

    def analyze(self, thumbnail: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], ...]:
        raise NotImplementedError

    @torch.inference_mode()
    def enhance(
        self, tile: npt.NDArray[np.float32], condition: tuple[npt.NDArray[np.float64], ...]
    ) -> npt.NDArray[np.float64]:
        given = [torch.from_numpy(part) for part in condition]
        return self.generator.enhance(torch.from_numpy(tile).double(), *given).numpy()


def largest_step_in_double(generator: Generator, height: int, width: int, tile_px: int) -> float:
    """The largest difference of tiles under the photo's own condition from `forward` of the whole photo."""
    photo = np.random.default_rng(height * 1000 + width).random((height, width, 3)).astype(np.float32)
    engine = DoubleEngine(generator)
    output = np.full((height, width, 3), np.nan)

    def keep(tile: Tile, enhanced: npt.NDArray[np.float64]) -> None:
        output[tile.kept] = enhanced

    with torch.inference_mode():
        planes = torch.from_numpy(photo).permute(2, 0, 1)[None].double()
        small = torch.rand(1, 3, generator.thumbnail_px, generator.thumbnail_px).double()
        whole = generator(planes, small)[0].permute(1, 2, 0).numpy().clip(0, 1)
        of = planes if generator.tiling.border == "shift" else small
        condition = tuple(part.numpy() for part in generator.analyze(of))
    tiles = plan(height, width, tile_px, generator.tiling)
    enhance_tiles(tiles, lambda tile: read_tile(photo, tile), keep, engine, condition)
    return float(np.abs(output - whole).max())


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(AROUND_A_TILE), st.sampled_from(AROUND_A_TILE), st.sampled_from([36, 64, 88]))
def test_pocket_has_no_seam_in_double_precision(height: int, width: int, tile_px: int) -> None:
    assert largest_step_in_double(alive("pocket"), height, width, tile_px) <= 1e-10


@settings(max_examples=8, deadline=None)
@given(st.sampled_from([52, 53, 67, 71]), st.sampled_from([52, 53, 69]), st.sampled_from([40, 44, 52]))
def test_dped_has_no_seam_in_double_precision(height: int, width: int, tile_px: int) -> None:
    assert largest_step_in_double(alive("dped", channels=4), height, width, tile_px) <= 1e-10


@pytest.mark.parametrize(("name", "config", "tile_px"), [("pocket", {}, POCKET_TILE_PX), ("dped", {"channels": 8}, 52)])
def test_enhancer_has_no_seam_at_any_size(
    name: str, config: dict[str, int], tile_px: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From 1x1 and slivers, by way of one more or less than a tile, to primes."""
    monkeypatch.setattr(torch_engine, "TILE_PX", tile_px)
    model = float_model(Checkpoint(alive(name, **config), licence="test"))
    enhance = Enhancer(model)

    @settings(max_examples=30, deadline=None)
    @given(st.sampled_from([*AROUND_A_TILE, 51, 52, 53]), st.sampled_from([*AROUND_A_TILE, 51, 52, 53]))
    def check(height: int, width: int) -> None:
        photo = np.random.default_rng(height).random((height, width, 3)).astype(np.float32)
        whole = model.float_engine.whole(photo)
        assert np.abs(enhance(photo) - whole).max() <= 1e-5
        assert height * width < 100 or np.abs(whole - photo).max() > 0.01, "the network should do something"

    check()


def test_tiles_side_by_side_are_those_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_engine, "TILE_PX", POCKET_TILE_PX)
    model = float_model(Checkpoint(alive("pocket"), licence="test"))
    photo, done = np.random.default_rng(0).random((150, 170, 3)).astype(np.float32), []
    one = Enhancer(replace(model, threads=1))(photo)
    threads_before = torch.get_num_threads()
    np.testing.assert_array_equal(Enhancer(replace(model, threads=3))(photo, progress=done.append), one)
    assert sum(done) == 150 * 170 and len(done) > 10
    assert torch.get_num_threads() == threads_before


def test_a_failing_tile_stops_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = TorchEngine(alive("pocket"))
    seen: list[Tile] = []

    def read(tile: Tile) -> npt.NDArray[np.float32]:
        seen.append(tile)
        if len(seen) > 1:
            time.sleep(0.01)
        raise OSError("the disk is gone")

    tiles = plan(2000, 2000, 64, engine.generator.tiling)
    with ThreadPoolExecutor(2) as workers, pytest.raises(OSError, match="the disk is gone"):
        enhance_tiles(tiles, read, lambda *_: None, engine, (), workers=workers)
    assert len(seen) < 50
