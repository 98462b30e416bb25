"""Memory of a process whose work comes in pieces of one size. Standard library only.

glibc gives large pieces back to the system when they are freed, and asks for them again: pages that are new to the
process took a sixth of the CPU time of enhance.py. It also keeps a heap for each thread.
"""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h of glibc
MAX_KEPT_BYTES = 64 * 2**20


def keep_freed_memory() -> None:
    """For this process: up to MAX_KEPT_BYTES, in one heap for all threads that begin later. Elsewhere nothing."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for name, value in (
            (M_TRIM_THRESHOLD, MAX_KEPT_BYTES),
            (M_MMAP_THRESHOLD, MAX_KEPT_BYTES // 2),  # the most that it may be
            (M_ARENA_MAX, 1),
        ):
            libc.mallopt(name, value)
