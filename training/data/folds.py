"""Folds of cross-validation by name: "0/5" is the first of five."""

from __future__ import annotations

import argparse
import re


def parse_fold(text: str) -> tuple[int, int]:
    """ "0/5" -> (0, 5), for argparse."""
    match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)
    if match is None or int(match[1]) >= int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no K/N such as 0/5, the first of five parts")
    return int(match[1]), int(match[2])
