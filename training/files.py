"""Files that are whole or absent, folders that one process works in at a time, and checksums (standard library only).

Locks are those of the kernel (flock), so they end with the process that holds them, whatever ends it. By the same locks
the next run knows which temporary files belong to processes that were killed, and removes them.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import logging
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from training.commandline import UserError

MAX_READABLE_BYTES = 100  # of a name that temporary names repeat: with what is added, below what any file system allows
WORKSPACE = "pocket-dslr-work-"
NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)  # what some network drives answer
log = logging.getLogger(__name__)


class LockedError(UserError):
    """Another process works in a folder; the message names it."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place only when the block succeeds.

    Of two processes that write the same file, the last one's stays, whole. It may be read by whom the umask says, or,
    where it replaces a file, by who could read that one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix, suffix = _temporary_name(path)
    _remove_leftovers(path.parent, prefix, suffix)

    def make() -> Path:
        while True:
            temporary = path.with_name(f"{prefix}{secrets.token_hex(4)}{suffix}")
            with suppress(FileExistsError):
                os.close(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
                return temporary

    temporary, handle = _claim(make)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        if path.is_file() and not path.is_symlink():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def workspace(parent: Path | None = None, prefix: str = WORKSPACE) -> Iterator[Path]:
    """A temporary folder in `parent` (default: the system's place for such), gone when the block ends."""
    parent = parent or Path(tempfile.gettempdir())
    parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(parent, prefix)
    folder, handle = _claim(lambda: Path(tempfile.mkdtemp(dir=parent, prefix=prefix)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


@contextmanager
def locked(folder: Path, wait: bool = False) -> Iterator[None]:
    """Make `folder`, and keep every other process that asks for it out of it until the block ends.

    Args:
        wait: for the other process to end, instead of the error.

    Raises:
        LockedError: another process, or another block of this one, is at work there.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(handle)
            raise LockedError(f"{folder}: another run is at work there; wait for its end or choose another --out"
                              ) from None  # fmt: skip
        except OSError as error:
            if error.errno not in NO_LOCKS:
                os.close(handle)
                raise
            log.warning("%s: this disk has no locks, so take care that one run alone works there", folder)
        if _is_at(handle, folder):
            break
        os.close(handle)  # the folder was taken away by the process that held it
    try:
        yield
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> Path:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _temporary_name(path: Path) -> tuple[str, str]:
    """How the names of temporary files beside `path` begin and end; a long name gives way to a hash of it."""
    if len(os.fsencode(path.name)) <= MAX_READABLE_BYTES:
        return f".{path.stem}.", f".part{path.suffix}"
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= MAX_READABLE_BYTES // 2 else ""
    return f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.", f".part{suffix}"


def _claim(make: Callable[[], Path]) -> tuple[Path, int]:
    """Something temporary that `make` makes, and its lock, which says that its owner lives."""
    while True:
        path = make()
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue  # it was taken for a leftover, by another process or thread that begins at the same time
        with suppress(OSError):  # no locks here: then nobody takes it for a leftover
            fcntl.flock(handle, fcntl.LOCK_EX)
        if _is_at(handle, path):
            return path, handle
        os.close(handle)  # the same, between opening and locking


def _remove_leftovers(folder: Path, prefix: str, suffix: str = "") -> None:
    for path in folder.glob(f"{glob.escape(prefix)}*{glob.escape(suffix)}"):
        with suppress(OSError):  # somebody else's, or removed by another process
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            finally:
                os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False
