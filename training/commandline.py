"""How every script starts and ends: errors as one sentence, logs to stderr, the path it made last on stdout.

A terminal shows this project's own lines and one bar; into a pipe go lines alone. `--verbose` shows what other
libraries say, too. A stream that is closed, at the start or on the way, does no harm.
"""

from __future__ import annotations

import argparse
import errno
import logging
import math
import os
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, cast

from training.process import threads

if TYPE_CHECKING:
    from tqdm import tqdm

T = TypeVar("T")
OWN_LOGGERS = ("pocket", "training", "conversion", "benchmarks", "android_demo", "__main__")
MAX_REAL = 1e15  # of a flag: what is larger is a slip
LINE_EVERY_S = 10.0  # of progress, where there is no terminal
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the user's share of it, what a file may have
REFUSED = (
    errno.EACCES,
    errno.EROFS,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ELOOP,
)
EXTRAS = {  # which one brings a module
    "executorch": "executorch", "torchao": "executorch", "litert_torch": "tflite", "ai_edge_quantizer": "tflite",
    "coremltools": "coreml",
}  # fmt: skip
log = logging.getLogger("pocket")


class UserError(Exception):
    """What went wrong and what to do about it, in one sentence that names the file."""


def run(parser: argparse.ArgumentParser, body: Callable[[argparse.Namespace], Path], argv: Sequence[str] | None) -> int:
    """Parse, run `body`, print the path that it made. Returns the exit code: 0 only on success."""
    with _lasting_streams():
        if (command := Path(sys.argv[0]).name).startswith("pocket-"):
            parser.prog = command  # as it was typed
        parser.add_argument("--verbose", action="store_true", help="show what other libraries say, too")
        args = parser.parse_args(argv)
        verbose = vars(args).pop("verbose")  # not a setting of the work, which may be recorded
        threads.let_them_sleep()
        threading.excepthook = _in_a_thread
        _log_to_stderr(verbose)
        try:
            result = body(args)
        except UserError as error:
            return _fail(parser, str(error))
        except OSError as error:
            if is_full(error):
                where = printable(error.filename or "the disk")
                return _fail(parser, f"{where}: no space left; free some or choose another --out")
            if error.errno in REFUSED and error.filename:
                return _fail(parser, f"{printable(error.filename)}: {error.strerror}; choose a path that you can write "
                                     "to and read")  # fmt: skip
            raise
        except ModuleNotFoundError as error:
            return _fail(parser, how_to_install(error.name or str(error)))
        except KeyboardInterrupt:
            return _fail(parser, "stopped; what was finished is kept", code=130)
        print(printable(result))
    return 0


def _log_to_stderr(verbose: bool) -> None:
    """Own messages always; those of other libraries with --verbose, or if they are errors."""
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, format="%(message)s",
                        handlers=[_BesideTheBar()], force=True)  # fmt: skip
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(logging.INFO)
    if not verbose:
        warnings.simplefilter("ignore")


def is_verbose() -> bool:
    """Whether the user wants to see what other libraries say: --verbose was given."""
    return logging.getLogger().level == logging.INFO


class _BesideTheBar(logging.Handler):
    """Writes lines to stderr above a progress bar, where there is one; no name in them moves the cursor."""

    def emit(self, record: logging.LogRecord) -> None:
        text = "\n".join(map(printable, self.format(record).split("\n")))
        if "tqdm" in sys.modules:
            from tqdm import tqdm

            tqdm.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr)


class Progress:
    """How far work is: one bar on a terminal; into a pipe, a line every LINE_EVERY_S.

    Args:
        total: of the work; it may be advanced by fractions.
        unit: what is counted, in the plural, such as "photos".
    """

    def __init__(self, total: float, unit: str):
        self.total, self.unit = total, unit
        self.done, self.label = 0.0, unit
        self._started = self._said = time.monotonic()
        self._bar: tqdm[Any] | None = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            layout = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
            self._bar = tqdm(
                total=total, desc=unit, bar_format=layout, leave=False, dynamic_ncols=True, file=sys.stderr
            )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, label: str) -> None:
        """What is worked on, such as "3 of 500: a.jpg"."""
        self.label = printable(label)
        if self._bar is not None:
            self._bar.set_description_str(self.label)

    def advance(self, amount: float = 1.0) -> None:
        self.done += amount
        if self._bar is not None:
            self._bar.update(min(amount, self.total - self._bar.n))
        elif time.monotonic() - self._said >= LINE_EVERY_S and self.done:
            self._said = time.monotonic()
            left_s = (self._said - self._started) * max(0.0, self.total / self.done - 1)
            log.info("%s: %.0f %%, about %.0f s left", self.label, 100 * self.done / self.total, left_s)


def each(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """The items, with a bar that says how many of `total` are done (default: as many as there are)."""
    total = len(items) if total is None and isinstance(items, Sized) else total or 0
    with Progress(total, what) as progress:
        progress.show(f"{what}: 0 of {total}")
        for number, item in enumerate(items, 1):
            yield item
            progress.show(f"{what}: {number} of {total}")
            progress.advance()


def count(number: int, one: str, many: str = "") -> str:
    """ "1 photo", "2 photos"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


class _Lasting:
    """A stream that may be closed by who reads it, or be full: what is written after that is lost, and nothing else."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            self._give_up()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        """From now on into the void: what is still in a buffer would fail again when the interpreter ends."""
        with suppress(OSError, ValueError):
            void = os.open(os.devnull, os.O_WRONLY)
            os.dup2(void, self._stream.fileno())
            os.close(void)


@contextmanager
def _lasting_streams() -> Iterator[None]:
    """Around a script: streams that were closed before it began go nowhere, those that are closed later do no harm."""
    before = sys.stdout, sys.stderr
    for descriptor in range(3):  # else the next file that is opened gets its number, and what libraries print
        with suppress(OSError):
            os.fstat(descriptor)
            continue
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # by child processes, as the closed one was
    void = None
    if None in before:
        void = Path(os.devnull).open("w")  # noqa: SIM115 (closed when the process ends)
    sys.stdout, sys.stderr = (cast(TextIO, _Lasting(stream or cast(TextIO, void))) for stream in before)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = (stream or cast(TextIO, void) for stream in before)


def whole(minimum: int = 0, maximum: int | None = None) -> Callable[[str], int]:
    """The type of a flag: a whole number from `minimum` to `maximum`. Anything else is refused in a sentence."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text) or not _within(int(text), minimum, maximum):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {_bounds(minimum, maximum)}")
        return int(text)

    return parse


def real(minimum: float = -MAX_REAL, maximum: float = MAX_REAL, *, above: bool = False) -> Callable[[str], float]:
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
    return f"above {minimum:g}" if above else f"of at least {minimum:g}"


def is_full(error: OSError) -> bool:
    """Whether there was no space left. numpy says so in words alone: "27648 requested and 417 written"."""
    return error.errno in FULL or (error.errno is None and str(error).endswith(" written"))


def _in_a_thread(args: threading.ExceptHookArgs) -> None:
    """What a helper's thread dies of is told by the main thread, which meets it next: no need for a traceback."""
    if not (isinstance(args.exc_value, OSError) and is_full(args.exc_value)):
        threading.__excepthook__(args)


def _fail(parser: argparse.ArgumentParser, sentence: str, code: int = 1) -> int:
    print(f"{parser.prog}: {printable(sentence)}", file=sys.stderr)
    return code


def printable(path: Path | str) -> str:
    """A file name for people: control characters and undecodable bytes are replaced."""
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in str(path))


def how_to_install(module: str) -> str:
    """A sentence without its beginning: what is not installed, and how it will be.

    Args:
        module: that could not be imported, such as "torch.nn".
    """
    name = module.partition(".")[0]
    extra = EXTRAS.get(name, "train")
    return f"needs {name}, which is not installed; pip install 'pocket-dslr[{extra}]', in a checkout -e '.[{extra}]'"
