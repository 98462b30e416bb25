"""Numbers of flags: what is taken, and what is refused in a sentence."""

from __future__ import annotations

import argparse
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.commandline import real, whole


@given(st.integers(-(10**12), 10**12))
def test_whole_numbers_within_bounds_are_taken(number: int) -> None:
    if number < 1:
        with pytest.raises(argparse.ArgumentTypeError, match="of at least 1"):
            whole(1)(str(number))
    else:
        assert whole(1)(str(number)) == number


@pytest.mark.parametrize("text", ["", "1.0", "1e3", "--1", "+-1", "nan", "\u0663", " 1", "9" * 5000])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a whole number"):
        whole(0)(text)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_real_numbers_are_finite_and_within_bounds(number: float) -> None:
    if math.isfinite(number) and 0 < number <= 1:
        assert real(0, 1, above=True)(repr(number)) == number
    else:
        with pytest.raises(argparse.ArgumentTypeError, match="above 0 and at most 1"):
            real(0, 1, above=True)(repr(number))


@pytest.mark.parametrize("text", ["", "one", "nan", "-inf", "1,5", "1e16", "9" * 30])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"is not a number from -1e\+15 to 1e\+15"):
        real()(text)
