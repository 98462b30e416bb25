"""Run a TFLite file with tflite-runtime 2.14, the predecessor of LiteRT that many apps still carry.

It is built against numpy 1, so it lives in an environment of its own, and is called as a process.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from conversion.artifact import ArtifactError, EntryPoint
from conversion.runtimes import ArtifactEngine, Tensor
from training.commandline import UserError

REQUIREMENTS = ("numpy==1.26.4", "tflite-runtime==2.14.0")
INSTALL_S_MAX = 300
WORKER = """
import sys
import numpy
from tflite_runtime.interpreter import Interpreter
model, signature, threads, given, made = sys.argv[1:]
run = Interpreter(model, num_threads=int(threads)).get_signature_runner(signature)
numpy.savez(made, **run(**numpy.load(given)))
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
    """Signatures of one `.tflite`; a process per call, so for tests rather than for speed."""

    def __init__(self, python: Path, folder: Path, entry_points: Sequence[EntryPoint], threads: int = 1):
        super().__init__(entry_points)
        self.python, self.folder, self.threads = python, folder, threads

    def run(self, entry_point: EntryPoint, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        model = self.folder / entry_point.file
        with TemporaryDirectory() as workspace:
            given, made = Path(workspace, "given.npz"), Path(workspace, "made.npz")
            feeds = {spec.name: array for spec, array in zip(entry_point.inputs, inputs, strict=True)}
            np.savez(given, **feeds)  # type: ignore[arg-type]
            arguments = [model.resolve(), entry_point.function, self.threads, given, made]
            command = [str(self.python), "-I", "-c", WORKER, *map(str, arguments)]
            ended = subprocess.run(command, capture_output=True, text=True)
            if ended.returncode:
                last = ended.stderr.strip().splitlines()[-1:] or [f"exit code {ended.returncode}"]
                raise ArtifactError(f"{model}: tflite-runtime refuses {entry_point.function} ({last[0]})")
            with np.load(made) as outputs:
                return [outputs[spec.name] for spec in entry_point.outputs]
