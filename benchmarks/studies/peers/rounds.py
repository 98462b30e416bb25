"""Candidates that enhance the same tile, each in a process of its own, taking turns on one machine."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any

import numpy as np

from benchmarks.report.latency import summarize
from benchmarks.studies.peers.tile_process import Tensor
from training.commandline import UserError, each


class CandidateError(UserError):
    """A candidate does not run; the message says which and why."""


@dataclass(frozen=True)
class Candidate:
    """What can enhance a tile.

    runtime: "executorch", "tflite", "eager", "torch.compile" or "onnxruntime".
    model: an artifact's folder, a checkpoint, an ONNX file. inputs: of enhance, in the layout and type that it takes.
    may_fail: its absence is a result, not an error.
    """

    name: str
    runtime: str
    model: Path
    inputs: tuple[Tensor, ...]
    may_fail: bool = False


@dataclass(frozen=True)
class Timed:
    """One candidate's figures.

    tile_ms, tile_cpu_ms: medians over rounds, each the mean of its calls, by the clock and in CPU time of all threads.
    spread: (p90 - p10) / p50 of the rounds. peak_mb: resident memory at most, in 10^6 bytes; baseline_mb: the same with
    the runtime imported and no model loaded. output: of the tile, in the candidate's own layout and type.
    """

    tile_ms: float
    tile_cpu_ms: float
    spread: float
    calls: int
    peak_mb: float
    baseline_mb: float
    output: Tensor


class TileProcess:
    """A candidate's process, with its model loaded and its first tile done."""

    def __init__(self, candidate: Candidate, threads: int, folder: Path):
        self.candidate, self.folder = candidate, folder
        folder.mkdir(parents=True)
        request = {
            "runtime": candidate.runtime,
            "model": str(candidate.model.resolve()),
            "threads": threads,
            "inputs": len(candidate.inputs),
        }
        (folder / "request.json").write_text(json.dumps(request))
        for at, array in enumerate(candidate.inputs):
            np.save(folder / f"{at}.npy", array)
        self.errors = (folder / "errors.txt").open("w")
        command = [sys.executable, "-m", "benchmarks.studies.peers.tile_process", str(folder)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True
        )

    def __enter__(self) -> TileProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                assert pipe
                pipe.close()
        self.errors.close()

    def answer(self) -> dict[str, Any]:
        """Raises CandidateError: the process ended; its last words."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        code = self.process.wait()
        said = (self.folder / "errors.txt").read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        how = f"crashed by signal {-code}" if code < 0 else "failed"
        raise CandidateError(f"{self.candidate.name}: its process {how}: {said[-1]}")

    def round(self, seconds: float) -> dict[str, Any]:
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):  # `answer` says what it died of
            print(seconds, file=self.process.stdin, flush=True)
        return self.answer()


def take_turns(
    candidates: Sequence[Candidate], threads: int, rounds: int, round_s: float, folder: Path
) -> list[Timed | str]:
    """Figures of every candidate, or why there are none. All load first; a round more than counted warms up.

    Args:
        threads: of each runtime.
        round_s: what one candidate's turn lasts at least, and one call in any case.
        folder: for what is handed to the processes.

    Raises:
        CandidateError: one that must run does not.
    """
    results: dict[int, Timed | str] = {}
    with ExitStack() as stack:
        running: dict[int, tuple[TileProcess, float]] = {}
        for at, candidate in enumerate(each(candidates, "loading")):
            process = stack.enter_context(TileProcess(candidate, threads, folder / str(at)))
            try:
                running[at] = process, process.answer()["baseline_mb"]
            except CandidateError as error:
                if not candidate.may_fail:
                    raise
                results[at] = str(error)
        answers: dict[int, list[dict[str, Any]]] = {at: [] for at in running}
        for _ in each(range(rounds + 1), "rounds"):
            for at, (process, _) in running.items():
                answers[at].append(process.round(round_s))
    for at, (process, baseline_mb) in running.items():
        counted = answers[at][1:]
        wall = summarize([answer["wall_s"] for answer in counted])
        results[at] = Timed(
            tile_ms=1e3 * median(answer["wall_s"] for answer in counted),
            tile_cpu_ms=1e3 * median(answer["cpu_s"] for answer in counted),
            spread=wall.relative_spread,
            calls=sum(answer["calls"] for answer in counted),
            peak_mb=counted[-1]["peak_mb"],
            baseline_mb=baseline_mb,
            output=np.load(process.folder / "output.npy", allow_pickle=False),
        )
    return [results[at] for at in range(len(candidates))]
