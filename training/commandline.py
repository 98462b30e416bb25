"""How every script starts and ends: errors as one sentence, logs to stderr, the path it made last on stdout."""

from __future__ import annotations

import argparse
import errno
import logging
import math
import re
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from training import threads

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the user's share of it, what a file may have
log = logging.getLogger("pocket")


class UserError(Exception):
    """What went wrong and what to do about it, in one sentence that names the file."""


def run(parser: argparse.ArgumentParser, body: Callable[[argparse.Namespace], Path], argv: Sequence[str] | None) -> int:
    """Parse, run `body`, print the path that it made. Returns the exit code: 0 only on success."""
    args = parser.parse_args(argv)
    threads.let_them_sleep()
    threading.excepthook = _in_a_thread
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    try:
        made = body(args)
    except UserError as error:
        return _fail(parser, str(error))
    except OSError as error:
        if is_full(error):
            return _fail(parser, f"{error.filename or 'the disk'}: no space left; free some or choose another --out")
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
            return _fail(parser, f"{error.filename}: {error.strerror}; choose a path that you can write to and read")
        raise
    except KeyboardInterrupt:
        return _fail(parser, "stopped; what was finished is kept", code=130)
    print(made)
    return 0


def whole(minimum: int = 0, maximum: int | None = None) -> Callable[[str], int]:
    """The type of a flag: a whole number from `minimum` to `maximum`. Anything else is refused in a sentence."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text) or not _within(int(text), minimum, maximum):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {_bounds(minimum, maximum)}")
        return int(text)

    return parse


def real(minimum: float = -math.inf, maximum: float | None = None, *, above: bool = False) -> Callable[[str], float]:
    """The type of a flag: a finite number from `minimum` to `maximum`, or `above` the minimum."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or not _within(number, minimum, maximum) or (above and number == minimum):
            raise argparse.ArgumentTypeError(f"{text!r} is not a number {_bounds(minimum, maximum, above)}")
        return number

    return parse


def _within(number: float, minimum: float, maximum: float | None) -> bool:
    return minimum <= number and (maximum is None or number <= maximum)


def _bounds(minimum: float, maximum: float | None, above: bool = False) -> str:
    if maximum is not None:
        return f"{'above' if above else 'from'} {minimum:g} {'and at most' if above else 'to'} {maximum:g}"
    if minimum == -math.inf:
        return "that is finite"
    return f"above {minimum:g}" if above else f"of at least {minimum:g}"


def is_full(error: OSError) -> bool:
    """Whether there was no space left. numpy says so in words alone: "27648 requested and 417 written"."""
    return error.errno in FULL or (error.errno is None and str(error).endswith(" written"))


def _in_a_thread(args: threading.ExceptHookArgs) -> None:
    """What a helper's thread dies of is told by the main thread, which meets it next: no need for a traceback."""
    if not (isinstance(args.exc_value, OSError) and is_full(args.exc_value)):
        threading.__excepthook__(args)


def _fail(parser: argparse.ArgumentParser, sentence: str, code: int = 1) -> int:
    print(f"{parser.prog}: {sentence}", file=sys.stderr)
    return code


def printable(path: Path | str) -> str:
    """A file name for people: control characters and undecodable bytes are replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(path))
