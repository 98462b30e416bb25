"""Peak memory of enhance.py on one photo, as the system counts it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from training.checkpoint import find
from training.commandline import UserError

# Read at the end of the work, in the process itself: when torch is unloaded at exit, 115 MB come on top that no photo
# has asked for; and getrusage would begin with the size of whoever started the process.
CHILD = """
import re, resource, sys
from pathlib import Path
from training import enhance
code = enhance.main(sys.argv[1:])
status = Path("/proc/self/status")
if status.exists():
    peak_bytes = int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) * 1024
else:
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak_bytes)
sys.exit(code)
"""


def enhance_peak_mb(photo: Path, checkpoint: str, out: Path) -> tuple[float, float]:
    """Peak resident memory of enhance.py on a photo, in 10^6 bytes, torch included, and its seconds.

    Raises:
        UserError: it failed; its last words.
    """
    command = [sys.executable, "-c", CHILD, str(photo), "--checkpoint", str(find(checkpoint)), "--out", str(out)]
    start = time.perf_counter()
    ran = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if ran.returncode:
        raise UserError(f"enhance.py failed on {photo.name}: {(ran.stderr.strip().splitlines() or ['silence'])[-1]}")
    return int(ran.stdout.splitlines()[-1]) / 1e6, time.perf_counter() - start
