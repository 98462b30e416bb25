"""Runs that are killed, or whose disk is full, at random moments; the same command again must end as if nothing was.

Each run is a fork of one process that has everything imported, so a kill costs the time of a small run and no more.
"""

from __future__ import annotations

import atexit
import importlib
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.figures import read_earlier
from benchmarks.robustness.kill_tasks import TASKS, Task, prepare
from training.album.record import RECORD

ENDLESS_S = 300.0
RESULT, TEMPORARY, LOG = "result", "tmp", "log"
LEAST_BYTES = 300


@dataclass(frozen=True)
class Soaked:
    """What became of a task. refused: ended with one sentence for want of disk; right: the rerun gave the result.

    lost: what should not be, in words. worst_s: the longest of the reruns. killed_at_s: when, within a run of whole_s.
    """

    task: str
    kills: int
    refused: int
    right: int
    lost: tuple[str, ...]
    whole_s: float
    worst_s: float
    total_s: float
    killed_at_s: tuple[float, ...]


def read_soaked(path: Path) -> dict[str, Soaked]:
    """What soak.json says of each task; nothing where there is no such file.

    Raises:
        UserError: it is broken.
    """
    return {row.task: row for row in read_earlier(path, lambda rows: [Soaked(**row) for row in rows])}


def soak(task: str, kills: int, seed: int = 0, say: Callable[[str], object] = print) -> Soaked:
    """`kills` times: start a task, end it at a random moment, run it again, compare. A third by a full disk.

    In a process of its own, with one thread: what is forked must not have worked in threads before.
    """
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VIPS_CONCURRENCY"), "1")
    before = {name: os.environ.get(name) for name in threads}
    os.environ.update(threads)
    try:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            soaked = pool.submit(_soak, task, kills, seed).result()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    say(f"{task}: {soaked.kills} kills, {soaked.right} times the right result, {soaked.total_s:.0f} s")
    for fault in soaked.lost:
        say(f"{task}: {fault}")
    return soaked


def _soak(name: str, kills: int, seed: int) -> Soaked:
    began, random, task = time.monotonic(), np.random.default_rng(seed), TASKS[name]
    for module in (task.module, *task.imports):
        importlib.import_module(module)
    with tempfile.TemporaryDirectory(prefix="pocket-dslr-kills-") as place:
        folder = Path(place)
        given = folder / "given"
        if (child := os.fork()) == 0:  # this process must do no work: threads do not live on in a fork
            prepare(name, given)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            raise RuntimeError(f"what {name} needs could not be made")
        if task.after and (code := _run(TASKS[task.after], given, given / task.after)):
            raise RuntimeError(f"{task.after} fails ({code}): {_last_line(given / task.after)}")
        whole = folder / "whole"
        started = time.monotonic()
        if code := _run(task, given, whole):
            raise RuntimeError(f"{name} fails without being killed ({code}): {_last_line(whole)}")
        whole_s = time.monotonic() - started
        expected = task.result(whole / RESULT)
        caches = {path.name for path in (whole / TEMPORARY).iterdir()}  # of torch: each run leaves them
        largest = max(path.stat().st_size for path in whole.rglob("*") if path.is_file())
        counts, lost, killed_at_s, worst_s = {"refused": 0, "right": 0}, list[str](), list[float](), 0.0
        for number in range(kills):
            run = folder / f"run-{number}"
            if older := task.replaces and number % 2 == 1:
                shutil.copytree(whole / RESULT, run / RESULT)
            try:
                if number % 3 == 2:
                    limit = int(LEAST_BYTES * math.exp(random.uniform(0, math.log(largest / LEAST_BYTES))))
                    moment = f"files of {limit} bytes at most"
                    counts["refused"] += _filled(task, given, run, limit)
                else:
                    killed_at_s.append(random.uniform(0, whole_s))
                    moment = f"killed after {killed_at_s[-1]:.2f} s"
                    _run(task, given, run, killed_at_s[-1])
                if older and task.result(run / RESULT) != expected:
                    raise AssertionError("the older result is gone")
                started = time.monotonic()
                if code := _run(task, given, run):
                    raise AssertionError(f"the rerun ended with {code}: {_last_line(run)}")
                worst_s = max(worst_s, time.monotonic() - started)
                if task.result(run / RESULT) != expected:
                    raise AssertionError("the rerun gave another result")
                if left := [path for path in run.rglob("*") if _is_temporary(path, run, caches)]:
                    raise AssertionError(f"{left[0].relative_to(run)} stayed")
                counts["right"] += 1
            except (AssertionError, OSError, ValueError, KeyError) as error:
                lost.append(f"{moment}: {type(error).__name__}: {error}")
            shutil.rmtree(run, ignore_errors=True)
        return Soaked(name, kills, counts["refused"], counts["right"], tuple(lost), whole_s, worst_s,
                      time.monotonic() - began, tuple(killed_at_s))  # fmt: skip


def _filled(task: Task, given: Path, run: Path, limit: int) -> bool:
    """Whether a run that may write no larger file ends with one sentence, and not, as some may, well."""
    code = _run(task, given, run, limit_bytes=limit)
    text = (run / LOG).read_text(errors="replace")
    if code not in (0, 1) or "Traceback" in text:
        raise AssertionError(f"ended with {code}: {_last_line(run)}")
    return code == 1


def _run(task: Task, given: Path, folder: Path, kill_after_s: float = ENDLESS_S, limit_bytes: int | None = None) -> int:
    """Exit code, or minus the signal that ended it."""
    (folder / TEMPORARY).mkdir(parents=True, exist_ok=True)
    hears, says = os.pipe()  # not into a file, which would be limited as well
    with (folder / LOG).open("ab") as written:
        log = subprocess.Popen(["cat"], stdin=hears, stdout=written)
    os.close(hears)
    if (child := os.fork()) == 0:
        code = 70
        try:
            atexit._clear()  # what is registered from here on belongs to this run
            os.setsid()
            os.dup2(says, 1)
            os.dup2(says, 2)
            os.environ["TMPDIR"], tempfile.tempdir = str(folder / TEMPORARY), None
            if limit_bytes is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing fails, as on a full disk
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
            code = importlib.import_module(task.module).main(task.command(given, folder / RESULT))
        except BaseException as error:
            os.write(2, f"Traceback: {type(error).__name__}: {error}\n".encode())
        finally:
            with suppress(BaseException):
                atexit._run_exitfuncs()
            os._exit(code)
    os.close(says)
    until = time.monotonic() + kill_after_s
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() >= until:
            os.killpg(child, signal.SIGKILL)
            ended = os.waitpid(child, 0)
            break
        time.sleep(0.002)
    log.wait()
    return os.waitstatus_to_exitcode(ended[1])


def _is_temporary(path: Path, run: Path, caches: set[str]) -> bool:
    inside = path.relative_to(run).parts
    if inside[0] == TEMPORARY:
        return len(inside) > 1 and inside[1] not in caches
    return (path.name.startswith(".") and path.name != RECORD) or ".part" in path.name


def _last_line(folder: Path) -> str:
    lines = (folder / LOG).read_text(errors="replace").strip().splitlines()
    return json.dumps(lines[-1][-300:]) if lines else "it said nothing"
