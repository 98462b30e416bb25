"""The machine and the tools that figures were made with (standard library only)."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def cpu_model() -> str:
    """As the system names it, such as "Apple M2" or "AMD EPYC 7763 64-Core Processor"."""
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text().splitlines() if cpu_info.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def tools(packages: Sequence[str]) -> dict[str, str]:
    """Versions of Python and of installed packages."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in 10^6 bytes.

    On Linux ru_maxrss starts at what the parent had when it started this process, so the peak of the address space
    is read instead.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        peak_kib = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(peak_kib) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def time_runs(call: Callable[[], Any], warm_up_runs: int, runs: int) -> list[float]:
    """Durations of `runs` calls in seconds, after `warm_up_runs` that do not count."""
    for _ in range(warm_up_runs):
        call()
    samples = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        samples.append(time.perf_counter() - start)
    return samples
