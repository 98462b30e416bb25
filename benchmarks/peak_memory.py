"""Peak memory of enhance.py on one photo, as the system counts it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from training.checkpoint import find
from training.commandline import UserError

# In a process of its own, whose only child enhance.py is: on Linux a peak is inherited from whoever starts a process.
LAUNCHER = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def enhance_peak_mb(photo: Path, checkpoint: str, out: Path) -> tuple[float, float]:
    """Peak resident memory of enhance.py on a photo, in 10^6 bytes, torch included, and its seconds.

    Of the largest process, should it start others.

    Raises:
        UserError: it failed; its last words.
    """
    command = [sys.executable, "-c", LAUNCHER, sys.executable, "-m", "training.enhance", str(photo)]
    start = time.perf_counter()
    ran = subprocess.run(
        [*command, "--checkpoint", str(find(checkpoint)), "--out", str(out)],
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    if ran.returncode:
        raise UserError(f"enhance.py failed on {photo.name}: {(ran.stderr.strip().splitlines() or ['silence'])[-1]}")
    peak = int(ran.stdout)
    return (peak if sys.platform == "darwin" else peak * 1024) / 1e6, time.perf_counter() - start
