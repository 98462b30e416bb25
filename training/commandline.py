"""How every script starts and ends: errors as one sentence, logs to stderr, the path it made last on stdout."""

from __future__ import annotations

import argparse
import errno
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the user's share of it, what a file may have
log = logging.getLogger("pocket")


class UserError(Exception):
    """What went wrong and what to do about it, in one sentence that names the file."""


def run(parser: argparse.ArgumentParser, body: Callable[[argparse.Namespace], Path], argv: Sequence[str] | None) -> int:
    """Parse, run `body`, print the path that it made. Returns the exit code: 0 only on success."""
    args = parser.parse_args(argv)
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
