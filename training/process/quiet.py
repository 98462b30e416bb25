"""What other libraries print, in a file instead of on the terminal (standard library only)."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path


@contextmanager
def third_party_output_to(log_path: Path, verbose: bool = False) -> Iterator[None]:
    """Whatever is printed meanwhile, by Python, by native code and by child processes, is appended to a file.

    With it go warnings, and the messages of all loggers from INFO on. Standard output stays free for results even when
    it is `verbose`: then all of it goes to standard error instead, and there is no file. Concerns the whole process.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    root, level = logging.getLogger(), logging.getLogger().level
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        if verbose:
            stack.enter_context(redirect_stdout(sys.stderr))
            stack.enter_context(_descriptors_to(2, (1,)))
        else:
            log_path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(log_path.open("a", buffering=1, encoding="utf-8", errors="backslashreplace"))
            stack.enter_context(_descriptors_to(file.fileno(), (1, 2)))
            stack.enter_context(redirect_stdout(file))
            stack.enter_context(redirect_stderr(file))
        warnings.simplefilter("default")
        root.setLevel(logging.INFO)
        stack.callback(root.setLevel, level)
        yield


@contextmanager
def _descriptors_to(target: int, descriptors: tuple[int, ...]) -> Iterator[None]:
    """The file descriptors of the process write where `target` does; what C's stdio still holds is flushed by it."""
    before = [os.dup(descriptor) for descriptor in descriptors]
    for descriptor in descriptors:
        os.dup2(target, descriptor)
    try:
        yield
    finally:
        _flush_native()
        for descriptor, copy in zip(descriptors, before, strict=True):
            os.dup2(copy, descriptor)
            os.close(copy)


def _flush_native() -> None:
    """C's stdout is buffered when it is no terminal: unflushed, it would come out after the descriptors are back."""
    import ctypes

    ctypes.CDLL(None).fflush(None)
