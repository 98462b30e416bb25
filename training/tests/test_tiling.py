"""Thumbnail and tile plan: property tests against direct definitions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.tiling import ThumbnailSums, Tiling, plan, read_tile, thumbnail, tile_px_for, to_uint8

POCKET = Tiling(halo=16, align=4, border="clamp")
DPED = Tiling(halo=18, align=1, border="shift")
sides = st.one_of(
    st.integers(1, 300),
    st.sampled_from([1, 2, 97, 127, 128, 129, 255, 256, 257, 287, 288, 289, 3024, 4032, 6048, 8064]),
)


def direct_thumbnail(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """The definition, by exact fractions: overlap of cells and pixels."""
    rows, columns, channels = pixels.shape
    out = np.empty((height, width, channels), np.uint8)

    def overlaps(cell: int, cells: int, length: int) -> list[tuple[int, int]]:
        low, high = Fraction(cell * length, cells), Fraction((cell + 1) * length, cells)
        found = [(p, max(Fraction(0), min(high, p + 1) - max(low, p))) for p in range(length)]
        return [(p, int(share * cells)) for p, share in found if share]

    for y in range(height):
        for x in range(width):
            for c in range(channels):
                total = sum(
                    wy * wx * int(pixels[py, px, c])
                    for py, wy in overlaps(y, height, rows)
                    for px, wx in overlaps(x, width, columns)
                )
                weight = rows * columns
                out[y, x, c] = (total + weight // 2) // weight
    return out


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 13), st.integers(1, 13), st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_thumbnail_is_its_definition(rows: int, columns: int, height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), np.uint8)
    np.testing.assert_array_equal(thumbnail(pixels, height, width), direct_thumbnail(pixels, height, width))


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 90), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_strips_of_any_height_make_the_same_thumbnail(
    data: st.DataObject, rows: int, columns: int, side: int, seed: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), np.uint8)
    sums, top = ThumbnailSums((rows, columns), side, side), 0
    while top < rows:
        bottom = data.draw(st.integers(top + 1, rows))
        sums.add(pixels[top:bottom])
        top = bottom
    np.testing.assert_array_equal(sums.thumbnail(), thumbnail(pixels, side, side))


def test_a_thumbnail_of_part_of_a_photo_is_refused() -> None:
    sums = ThumbnailSums((9, 5), 4, 4)
    sums.add(np.zeros((8, 5, 3), np.uint8))
    with pytest.raises(AssertionError, match="make up the photo"):
        sums.thumbnail()


@given(st.integers(0, 255), st.integers(1, 700), st.integers(1, 40))
def test_thumbnail_of_one_colour_is_that_colour(value: int, rows: int, columns: int) -> None:
    assert (thumbnail(np.full((rows, columns, 3), value, np.uint8), 8, 8) == value).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 60))
def test_thumbnail_turns_and_mirrors_with_the_photo(seed: int, rows: int, columns: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), np.uint8)
    np.testing.assert_array_equal(thumbnail(np.rot90(pixels), 16, 16), np.rot90(thumbnail(pixels, 16, 16)))
    np.testing.assert_array_equal(thumbnail(pixels[:, ::-1], 16, 16), thumbnail(pixels, 16, 16)[:, ::-1])


def test_thumbnail_at_48_megapixels_does_not_overflow() -> None:
    white = np.full((6048, 8064, 1), 255, np.uint8)
    assert (thumbnail(white, 64, 64) == 255).all()


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 4)])
def test_thumbnail_refuses_what_is_no_photo(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="thumbnail needs an image"):
        thumbnail(np.zeros(shape, np.uint8), 8, 8)


@settings(max_examples=60, deadline=None)
@given(sides, sides, st.sampled_from([128, 320, 512]))
def test_clamped_tiles_partition_every_photo_up_to_48_megapixels(height: int, width: int, size: int) -> None:
    check_plan(height, width, size, POCKET)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 150), st.integers(1, 150), st.sampled_from([36, 40, 64]))
def test_clamped_tiles_that_are_mostly_halo_partition_photos(height: int, width: int, size: int) -> None:
    check_plan(height, width, size, POCKET)


@settings(max_examples=60, deadline=None)
@given(sides.map(lambda side: max(side, 256)), sides.map(lambda side: max(side, 256)), st.sampled_from([128, 200, 256]))
def test_shifted_tiles_partition_every_photo_up_to_48_megapixels(height: int, width: int, size: int) -> None:
    check_plan(height, width, size, DPED)


@settings(max_examples=60, deadline=None)
@given(st.integers(64, 200), st.integers(64, 200), st.sampled_from([37, 50, 64]))
def test_shifted_tiles_partition_every_photo_and_stay_inside(height: int, width: int, size: int) -> None:
    check_plan(height, width, size, DPED)
    for tile in plan(height, width, size, DPED):
        assert 0 <= tile.top <= height - size and 0 <= tile.left <= width - size


@settings(deadline=None)
@given(st.integers(100, 5000), st.integers(1, 20), st.sampled_from([POCKET, DPED]))
def test_the_smallest_tile_of_which_so_many_suffice(length: int, parts: int, tiling: Tiling) -> None:
    def across(size: int) -> int:
        return len({tile.x0 for tile in plan(max(length, size), length, size, tiling)})

    size = tile_px_for(length, parts, tiling)
    assert across(size) <= parts
    smaller = size - tiling.align
    assert smaller == 2 * tiling.halo or across(smaller) > parts


def check_plan(height: int, width: int, size: int, tiling: Tiling) -> None:
    covered = 0
    seen_rows: dict[tuple[int, int], int] = {}
    for tile in plan(height, width, size, tiling):
        covered += (tile.y1 - tile.y0) * (tile.x1 - tile.x0)
        assert tile.top % tiling.align == 0 and tile.left % tiling.align == 0
        # A kept pixel is a halo away from the tile's border, or that border is the photo's.
        for low, high, start, length in ((tile.y0, tile.y1, tile.top, height), (tile.x0, tile.x1, tile.left, width)):
            assert start <= low < high <= start + size
            inside = tiling.border == "shift"
            assert low - start >= tiling.halo or (inside and start == 0 and low == 0) or not tiling.halo
            assert start + size - high >= tiling.halo or (inside and start + size == length == high)
        # Rows of tiles follow each other without a gap; so do tiles in a row.
        assert tile.x0 == seen_rows.get((tile.y0, tile.y1), 0)
        seen_rows[(tile.y0, tile.y1)] = tile.x1
    assert covered == height * width
    assert all(end == width for end in seen_rows.values())


@pytest.mark.parametrize(
    ("size", "tiling", "message"),
    [(32, POCKET, "all halo"), (66, POCKET, "multiples of 4"), (64, DPED, "below one tile")],
)
def test_impossible_plans_are_refused(size: int, tiling: Tiling, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(plan(50, 50, size, tiling))
    with pytest.raises(ValueError, match="no pixels"):
        list(plan(0, 5, 128, tiling))


@settings(deadline=None)
@given(st.integers(1, 90), st.integers(1, 90))
def test_reading_tiles_repeats_the_edge(height: int, width: int) -> None:
    photo = np.random.default_rng(0).random((height, width, 3))
    padded = np.pad(photo, ((16, 200), (16, 200), (0, 0)), mode="edge")
    for tile in plan(height, width, 64, POCKET):
        expected = padded[tile.top + 16 :, tile.left + 16 :][:64, :64]
        np.testing.assert_array_equal(read_tile(photo, tile), expected)


def test_rounding_to_8_bit_at_its_corners() -> None:
    values = np.array([-0.08, 1.08, np.nan, 0.5, 127.49 / 255, np.inf, -np.inf], np.float32)
    assert to_uint8(values).tolist() == [0, 255, 0, 128, 127, 255, 0]
