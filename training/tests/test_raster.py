"""Samples on disk: what is written is what is read, by this project and by others."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from training.enhancer.bands import Bands
from training.photos.encoding import write_samples
from training.photos.raster import Raster, RowsEnded
from training.tiling import STRIP_ROWS, Tiling, plan, read_tile


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 150), st.integers(1, 90), st.sampled_from([3, 4]), st.sampled_from([np.uint8, np.uint16]))
def test_parts_and_tiles_are_those_of_the_array(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, channels: int, dtype: type
) -> None:
    samples = np.random.default_rng(height).integers(0, np.iinfo(dtype).max, (height, width, channels), dtype)
    path = tmp_path_factory.mktemp("raster") / "samples"
    with Raster(path, samples.shape, dtype) as raster:
        for tile in plan(height, width, 40, Tiling(halo=4, align=4, border="clamp")):  # in parts, side by side
            raster.write(tile.y0, tile.x0, samples[tile.kept])
        np.testing.assert_array_equal(raster.read(0, height, 0, width), samples)
        np.testing.assert_array_equal(np.concatenate(list(raster.strips())), samples)
        assert all(strip.shape[0] <= STRIP_ROWS for strip in raster.strips())
    np.testing.assert_array_equal(tifffile.imread(path), samples)


@settings(max_examples=30, deadline=None)
@given(st.integers(64, 200), st.integers(64, 200), st.sampled_from(["clamp", "shift"]), st.booleans())
def test_bands_hold_the_tiles_of_the_photo_and_of_the_result(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, border: Literal["clamp", "shift"], repeat: bool
) -> None:
    samples = np.random.default_rng(height).integers(0, 256, (height, width, 4), np.uint8)
    folder = tmp_path_factory.mktemp("bands")
    tiles = list(plan(height, width, 64, Tiling(halo=16, align=4, border=border)))
    with (
        Raster(folder / "photo", samples.shape, np.uint8) as photo,
        Raster(folder / "result", (height, width, 3), np.uint8) as result,
    ):
        photo.write(0, 0, samples)
        bands = Bands(tiles, photo, result)
        for tile in tiles:
            rows, columns = tile.inside(height, width)
            expected = read_tile(samples, tile) if repeat else samples[rows, columns]
            np.testing.assert_array_equal(bands.tile(tile, repeat), expected)
            np.testing.assert_array_equal(bands.kept(tile), samples[tile.kept])
            bands.put(tile, 255 - samples[tile.kept][..., :3])
            bands.finish()
        np.testing.assert_array_equal(result.read(0, height, 0, width), 255 - samples[..., :3])


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_rows_are_encoded_while_others_are_yet_to_come(tmp_path: Path, name: str) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (1000, 700, 3), np.uint8)
    with Raster(tmp_path / "raster", samples.shape, np.uint8) as raster, ThreadPoolExecutor(1) as thread:
        encoding = thread.submit(write_samples, tmp_path / name, raster, b"")
        for y in range(0, 1000, 100):
            assert not encoding.done() and not (tmp_path / name).exists()
            raster.write(y, 0, samples[y : y + 100])
            raster.rows_written(y + 100)
        encoding.result()
    write_samples(tmp_path / f"whole-{name}", samples, b"")
    assert (tmp_path / name).read_bytes() == (tmp_path / f"whole-{name}").read_bytes()


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
@pytest.mark.parametrize("rows", [0, 100])
def test_a_result_whose_rows_do_not_come_is_not_written(tmp_path: Path, name: str, rows: int) -> None:
    with Raster(tmp_path / "raster", (1000, 700, 3), np.uint8) as raster, ThreadPoolExecutor(1) as thread:
        encoding = thread.submit(write_samples, tmp_path / name, raster, b"")
        raster.rows_written(rows)
        time.sleep(0.05)
        raster.end()
        with pytest.raises(RowsEnded):
            encoding.result()
    assert [path.name for path in tmp_path.iterdir()] == ["raster"]


def test_a_file_that_ends_early_is_no_photo(tmp_path: Path) -> None:
    with Raster(tmp_path / "samples", (10, 8, 3), np.uint8) as raster:
        raster.write(0, 0, np.ones((9, 8, 3), np.uint8))
        with pytest.raises(OSError, match="ends before its last row"):
            raster.read(0, 10, 0, 8)
