"""The artifact that the app embeds: the released network that products may use, as ExecuTorch has it by default."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from android_demo.packing.fetch import DEMO
from conversion.artifact import Artifact, ArtifactError
from training.commandline import UserError, log
from training.files import sha256

MODEL = "pocket-clean"
ARTIFACTS = DEMO / "build" / "artifacts"
WEIGHTS = DEMO.parent / "training" / "weights" / f"{MODEL}.safetensors"


def artifact() -> Path:
    """Made by the converter's own script when there is none of the current weights."""
    if made := current():
        return made
    script = DEMO.parent / "conversion" / "to_executorch.py"
    log.info("making the artifact: %s --checkpoint %s", script.name, MODEL)
    done = subprocess.run([sys.executable, script, "--checkpoint", MODEL, "--out", ARTIFACTS], check=False)
    if done.returncode or not (made := current()):
        raise UserError(f"{script} did not make the artifact that the app needs, as said above")
    return made


def current() -> Path | None:
    """The artifact of the weights as they are now."""
    weights = sha256(WEIGHTS)
    for manifest in sorted(ARTIFACTS.glob(f"{MODEL}-executorch-*/manifest.json")):
        try:
            if Artifact.load(manifest.parent).manifest.source.sha256 == weights:
                return manifest.parent
        except ArtifactError as error:
            log.info("%s", error)
    return None
