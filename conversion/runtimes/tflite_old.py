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

from conversion.artifact import EntryPoint
from conversion.runtimes.process import ProcessEngine
from training.commandline import UserError

REQUIREMENTS = ("numpy==1.26.4", "tflite-runtime==2.14.0")
INSTALL_S_MAX = 300
LOAD = """
import sys
from tflite_runtime.interpreter import Interpreter

def load(model, signature):  # an interpreter each, as signatures of one interpreter share its arena
    return Interpreter(model, num_threads=int(sys.argv[1])).get_signature_runner(signature)
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


class TfliteOldEngine(ProcessEngine):
    """Signatures of one `.tflite`. python: of an environment with tflite-runtime."""

    def __init__(self, python: Path, folder: Path, entry_points: Sequence[EntryPoint], threads: int = 1):
        super().__init__(python, LOAD, "tflite-runtime", folder, entry_points, arguments=[str(threads)])
