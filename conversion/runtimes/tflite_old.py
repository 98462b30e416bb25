"""Run a TFLite file with tflite-runtime 2.14, the predecessor of LiteRT that many apps still carry.

It is built against numpy 1, so it lives in an environment of its own, and is called as a process.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from conversion.artifact import ArtifactError, EntryPoint
from conversion.runtimes import Array, ArtifactEngine, Tensor, to_layout
from training.commandline import UserError

REQUIREMENTS = ("numpy==1.26.4", "tflite-runtime==2.14.0")
INSTALL_S_MAX = 300
WORKER = """
import json, sys, time
import numpy
from tflite_runtime.interpreter import Interpreter

def peak_mb():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) * 1024 / 1e6

def load(model, signature):
    return Interpreter(model, num_threads=int(threads)).get_signature_runner(signature)

threads, runners = sys.argv[1], {}
for line in sys.stdin:
    request = json.loads(line)
    answer = {"baseline_mb": peak_mb()}
    start = time.perf_counter()
    signature = request["signature"]
    if signature not in runners:  # an interpreter each, as signatures of one interpreter share its arena
        runners[signature] = load(request["model"], signature)
    answer["load_s"] = time.perf_counter() - start
    given = dict(numpy.load(request["given"]))
    samples = []
    for _ in range(request["runs"]):
        start = time.perf_counter()
        made = runners[signature](**given)
        samples.append(time.perf_counter() - start)
    numpy.savez(request["made"], **made)
    print(json.dumps(answer | {"samples_s": samples, "peak_mb": peak_mb()}), flush=True)
"""


class OldRuntimeError(UserError):
    """There is no environment for tflite-runtime on this machine; the message says why."""


def environment(folder: Path | None = None) -> Path:
    """The interpreter of an environment with tflite-runtime; made on first use.

    Args:
        folder: where it lies; the user's cache by default.

    Raises:
        OldRuntimeError: no build of tflite-runtime for this interpreter, or pip cannot install it.
    """
    here = (platform.python_implementation(), sys.version_info[:2], sys.platform, platform.machine())
    if here != ("CPython", (3, 11), "linux", "x86_64"):
        raise OldRuntimeError("tflite-runtime 2.14 runs on CPython 3.11, Linux x86-64 only")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = folder or cache / "pocket-dslr" / "tflite-runtime-2.14.0"
    python = folder / "bin" / "python"
    if python.exists():
        return python
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as workspace:
        new = Path(workspace) / "new"
        venv.create(new, with_pip=True)
        command = [str(new / "bin" / "python"), "-m", "pip", "install", "--quiet", *REQUIREMENTS]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S_MAX)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            said = error.stderr if isinstance(error.stderr, str) else ""
            last = said.strip().splitlines()[-1:] or [f"nothing within {INSTALL_S_MAX} s"]
            raise OldRuntimeError(f"pip could not install {' '.join(REQUIREMENTS)}: {last[0]}") from None
        new.rename(folder)  # the packages are found relative to the interpreter
    return python


class TfliteOldEngine(ArtifactEngine):
    """Signatures of one `.tflite`, in a process that lives as long as the engine.

    load_s: what loading took. baseline_mb, peak_mb: largest resident memory of that process, before the first load and
    so far.
    """

    def __init__(self, python: Path, folder: Path, entry_points: Sequence[EntryPoint], threads: int = 1):
        super().__init__(entry_points)
        self.folder = folder
        self.load_s, self.baseline_mb, self.peak_mb = 0.0, 0.0, 0.0
        self._workspace = TemporaryDirectory()
        self._said = Path(self._workspace.name, "said")
        command = [str(python), "-I", "-c", WORKER, str(threads)]
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True
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
        given, made = Path(self._workspace.name, "given.npz"), Path(self._workspace.name, "made.npz")
        feeds = {spec.name: array for spec, array in zip(entry_point.inputs, inputs, strict=True)}
        np.savez(given, **feeds)  # type: ignore[arg-type]
        request = {"model": str(model), "signature": entry_point.function, "runs": runs, "given": str(given)}
        answer = self._ask(json.dumps(request | {"made": str(made)}))
        if answer is None:
            last = self._said.read_text(errors="replace").strip().splitlines()[-1:] or [
                f"exit code {self._process.wait()}"
            ]
            raise ArtifactError(f"{model}: tflite-runtime refuses {entry_point.function} ({last[0]})")
        self.baseline_mb = self.baseline_mb or answer["baseline_mb"]
        self.load_s += answer["load_s"]
        self.peak_mb = answer["peak_mb"]
        with np.load(made) as outputs:
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
