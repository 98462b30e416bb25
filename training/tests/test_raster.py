"""Samples on disk: what is written is what is read, by this project and by others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from training.photos.raster import Raster
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
        for tile in plan(height, width, 64, Tiling(halo=16, align=4, border="clamp")):
            np.testing.assert_array_equal(raster.read_tile(tile, repeat_edge=True), read_tile(samples, tile))
            inside = samples[max(tile.top, 0) : tile.top + tile.size, max(tile.left, 0) : tile.left + tile.size]
            np.testing.assert_array_equal(raster.read_tile(tile, repeat_edge=False), inside)
    np.testing.assert_array_equal(tifffile.imread(path), samples)


def test_a_file_that_ends_early_is_no_photo(tmp_path: Path) -> None:
    with Raster(tmp_path / "samples", (10, 8, 3), np.uint8) as raster:
        raster.write(0, 0, np.ones((9, 8, 3), np.uint8))
        with pytest.raises(OSError, match="ends before its last row"):
            raster.read(0, 10, 0, 8)
