"""The artifact that the app embeds: the released network that products may use, as ExecuTorch has it by default."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from android_demo.packing.fetch import DEMO
from training.commandline import UserError, log

MODEL = "pocket-clean"
ARTIFACTS = DEMO / "build" / "artifacts"


def artifact() -> Path:
    """The released network as its default ExecuTorch artifact; made by the converter's own script when absent."""
    made = sorted(ARTIFACTS.glob(f"{MODEL}-executorch-*/manifest.json"))
    if not made:
        script = DEMO.parent / "conversion" / "to_executorch.py"
        log.info("making the artifact: %s --checkpoint %s", script.name, MODEL)
        done = subprocess.run([sys.executable, script, "--checkpoint", MODEL, "--out", ARTIFACTS], check=False)
        if done.returncode:
            raise UserError(f"{script} failed, as said above; the app needs its artifact")
        made = sorted(ARTIFACTS.glob(f"{MODEL}-executorch-*/manifest.json"))
    return made[-1].parent
