"""What a benchmark wrote the last time: it keeps what a new run does not measure again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from training.commandline import UserError

T = TypeVar("T")


def read_earlier(path: Path, parse: Callable[[Any], list[T]]) -> list[T]:
    """Rows of a results file; none where there is no such file.

    Args:
        parse: JSON -> rows; what it raises of something else than rows is caught.

    Raises:
        UserError: the file is there, but not what the benchmark writes.
    """
    if not path.exists():
        return []
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not what this command writes ({error}); remove it") from error
