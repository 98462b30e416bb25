"""An artifact that runs in a process of its own: a runtime that needs another environment, or that may crash."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from conversion.artifact import ArtifactError, EntryPoint
from conversion.runtimes import Array, ArtifactEngine, Tensor, to_layout

# What runs there, after a definition of load(model, signature), which returns a function of arrays by name.
LOOP = """
import json, os, sys, time
import numpy

answers = os.fdopen(os.dup(1), "w")  # runtimes that write to stdout write to stderr instead
os.dup2(2, 1)

def peak_mb():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) * 1024 / 1e6

runners = {}
for line in sys.stdin:
    request = json.loads(line)
    answer = {"baseline_mb": peak_mb()}
    start = time.perf_counter()
    signature = request["signature"]
    if signature not in runners:
        runners[signature] = load(request["model"], signature)
    answer["load_s"] = time.perf_counter() - start
    inputs = dict(numpy.load(request["inputs"]))
    samples = []
    for _ in range(request["runs"]):
        start = time.perf_counter()
        outputs = runners[signature](**inputs)
        samples.append(time.perf_counter() - start)
    numpy.savez(request["outputs"], **outputs)
    print(json.dumps(answer | {"samples_s": samples, "peak_mb": peak_mb()}), file=answers, flush=True)
"""


class ProcessEngine(ArtifactEngine):
    """Entry points of an artifact, in a process that lives as long as the engine.

    load_s: what loading took. baseline_mb, peak_mb: largest resident memory of that process, before the first load and
    so far.

    Args:
        python: the interpreter to run.
        load: Python source that defines load(model, signature).
        runtime: its name in error messages.
        arguments: of the process, sys.argv[1:] of `load`.
        environment: variables of the process; None: those of this one.
    """

    def __init__(
        self,
        python: Path,
        load: str,
        runtime: str,
        folder: Path,
        entry_points: Sequence[EntryPoint],
        *,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ):
        super().__init__(entry_points)
        self.folder, self.runtime = folder, runtime
        self.load_s, self.baseline_mb, self.peak_mb = 0.0, 0.0, 0.0
        self._workspace = TemporaryDirectory()
        self._messages = Path(self._workspace.name, "messages")
        command = [str(python), "-I", "-c", load + LOOP, *arguments]
        with self._messages.open("wb") as messages:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=messages, text=True, env=environment
            )

    def run(self, entry_point: EntryPoint, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        return self._run(entry_point, inputs, runs=1)[0]

    def time_runs(
        self, name: Literal["analyze", "enhance"], inputs: Sequence[Array], warm_up_runs: int, runs: int
    ) -> list[float]:
        """Seconds of `runs` calls of an entry point, after `warm_up_runs` that do not count, inside the process."""
        point = self.entry_points[name]
        feeds = [to_layout(array, spec) for array, spec in zip(inputs, point.inputs, strict=True)]
        return self._run(point, feeds, warm_up_runs + runs)[1][warm_up_runs:]

    def _run(
        self, entry_point: EntryPoint, inputs: Sequence[Tensor], runs: int
    ) -> tuple[Sequence[Tensor], list[float]]:
        model = (self.folder / entry_point.file).resolve()
        paths = {name: Path(self._workspace.name, f"{name}.npz") for name in ("inputs", "outputs")}
        feeds = {spec.name: array for spec, array in zip(entry_point.inputs, inputs, strict=True)}
        np.savez(paths["inputs"], **feeds)  # type: ignore[arg-type]
        request = {"model": str(model), "signature": entry_point.function, "runs": runs}
        answer = self._ask(json.dumps(request | {name: str(path) for name, path in paths.items()}))
        if answer is None:
            last = self._messages.read_text(errors="replace").strip().splitlines()[-1:]
            reason = last[0] if last else f"exit code {self._process.wait()}"
            raise ArtifactError(f"{model}: {self.runtime} refuses {entry_point.function} ({reason})")
        self.baseline_mb = self.baseline_mb or answer["baseline_mb"]
        self.load_s += answer["load_s"]
        self.peak_mb = answer["peak_mb"]
        with np.load(paths["outputs"]) as outputs:
            return [outputs[spec.name] for spec in entry_point.outputs], answer["samples_s"]

    def _ask(self, line: str) -> dict[str, Any] | None:
        assert self._process.stdin and self._process.stdout
        with contextlib.suppress(BrokenPipeError):
            print(line, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        return json.loads(answer) if answer else None

    def close(self) -> None:
        """End the process; the engine is of no use afterwards."""
        self._process.kill()
        self._process.communicate()
        self._workspace.cleanup()
