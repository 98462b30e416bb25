"""The three scripts as people run them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from conversion.artifact import MANIFEST, Artifact, ArtifactError
from conversion.golden import golden_psnr
from conversion.runtimes import open_artifact
from training.checkpoint import Checkpoint

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("script", "toolchain", "model"),
    [
        ("to_executorch", "executorch", "model.pte"),
        ("to_tflite", "litert_torch", "model.tflite"),
        ("to_coreml", "coremltools", "enhance.mlpackage/Data/com.apple.CoreML/weights/weight.bin"),
    ],
)
def test_script_makes_an_artifact_that_passes_its_own_test(
    script: str,
    toolchain: str,
    model: str,
    repository: Path,
    tmp_path: Path,
    make_checkpoint: Callable[..., Checkpoint],
) -> None:
    pytest.importorskip(toolchain)
    checkpoint = make_checkpoint("pocket")
    command = [sys.executable, str(repository / "conversion" / f"{script}.py"), "--tile", "128", "--precision", "fp32",
               "--checkpoint", str(tmp_path / "pocket.safetensors"), "--out", str(tmp_path / "out")]  # fmt: skip
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    folder = Path(ran.stdout.splitlines()[-1])
    assert ran.stdout == f"{folder}\n"
    kind = script.removeprefix("to_")
    assert folder == tmp_path / "out" / f"pocket-{kind}-fp32"

    schema = json.loads((repository / "conversion" / "contract" / "manifest.schema.json").read_text())
    jsonschema.validate(json.loads((folder / MANIFEST).read_text()), schema)
    artifact = Artifact.load(folder)
    assert artifact.manifest.source.sha256 == checkpoint.sha256
    assert artifact.manifest.fidelity.psnr_worst_db >= 85
    assert golden_psnr(open_artifact(artifact), artifact) >= 85

    file = folder / model
    whole = file.read_bytes()
    at = int(np.random.default_rng(0).integers(len(whole)))
    file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(ArtifactError, match="differs from its checksum"):
        open_artifact(folder)


@pytest.mark.parametrize("script", ["to_executorch", "to_tflite", "to_coreml"])
def test_bad_checkpoint_is_one_sentence(script: str, repository: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"not a checkpoint")
    command = [sys.executable, str(repository / "conversion" / f"{script}.py"), "--checkpoint", "bad.safetensors"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 1 and ran.stdout == ""
    assert "bad.safetensors" in ran.stderr.splitlines()[-1]
    assert "Traceback" not in ran.stderr
