"""Checkpoints whose weights are random but whose output is a picture, and artifacts that need no toolchain."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conversion.artifact import (
    SCHEMA_VERSION,
    Artifact,
    Delegation,
    Fidelity,
    Manifest,
    ModelFile,
    Provenance,
    TilingSpec,
)
from conversion.export import Source
from conversion.golden import write_golden
from training import generators
from training.checkpoint import Checkpoint

warnings.filterwarnings("ignore", category=DeprecationWarning)
torch.set_num_threads(1)  # small tensors: a second thread costs more than it brings

# Small networks of every kind: a lowering takes seconds.
CONFIGS: dict[str, dict[str, int]] = {
    "pocket": {"channels": 8, "layers": 2, "factor": 4, "thumbnail_px": 32, "analyser_channels": 4, "hidden": 48},
    "dped": {"channels": 8, "blocks": 1, "thumbnail_px": 48},
    "ppcn_student": {"thumbnail_px": 48},
    "ppcn_teacher": {"thumbnail_px": 48},
}

MakeCheckpoint = Callable[..., Checkpoint]


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> MakeCheckpoint:
    """(generator name, config) -> checkpoint that is not the identity, saved as `<tmp_path>/<name>.safetensors`."""

    def make(name: str, config: dict[str, Any] | None = None, seed: int = 0) -> Checkpoint:
        torch.manual_seed(seed)
        generator = generators.build(name, CONFIGS[name] if config is None else config)
        with torch.no_grad():
            for parameter in generator.parameters():
                fan_in = max(1, parameter[0].numel())
                parameter.add_(torch.randn_like(parameter) * 0.3 / fan_in**0.5)
        checkpoint = Checkpoint(generator.eval(), "Apache-2.0", name=name.replace("_", "-"))
        checkpoint.save(tmp_path / f"{checkpoint.name}.safetensors")
        return checkpoint

    return make


@pytest.fixture
def photo() -> np.ndarray:
    """[H, W, 3] in [0, 1], of primes sides, larger than a tile of the tests."""
    rows, columns = np.mgrid[0:101, 0:127].astype(np.float32)
    smooth = np.stack([rows / 100, columns / 126, 0.5 + 0.5 * np.sin(rows * columns / 400)], 2)
    return (0.8 * smooth + 0.2 * np.random.default_rng(0).random(smooth.shape)).astype(np.float32)


@pytest.fixture
def made_artifact(tmp_path: Path, make_checkpoint: MakeCheckpoint, photo: np.ndarray) -> Artifact:
    """A whole artifact in shape of a Core ML one; its model files are not models."""
    source = Source(make_checkpoint("pocket"), tile_px=32)
    folder = tmp_path / "made"
    for package in ("analyze.mlpackage", "enhance.mlpackage"):
        (folder / package / "Data").mkdir(parents=True)
        (folder / package / "Manifest.json").write_text("{}")
        (folder / package / "Data" / "weights.bin").write_bytes(package.encode() * 9)
    points = source.entry_points("NCHW", "float", ("analyze.mlpackage", "main"), ("enhance.mlpackage", "main"))
    golden = write_golden(folder, photo, source.generator, points, tolerance_psnr_db=85.0)
    (folder / "MODEL_CARD.md").write_text("a card")
    tiling = source.generator.tiling
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name="made",
        format="coreml",
        target="ios17",
        precision="fp32",
        quantization=None,
        files=ModelFile.all_in(folder, {"analyze.mlpackage", "enhance.mlpackage"}),
        entry_points=points,
        thumbnail_px=source.generator.thumbnail_px,
        tiling=TilingSpec(source.tile_px, tiling.halo, tiling.align, tiling.border),
        colour="sRGB, encoded",
        delegation={"analyze": None, "enhance": Delegation(1, 10, 10)},
        golden=golden,
        fidelity=Fidelity(1, 120.0, 120.0, 120.0, 120.0, 0.0, 0.0, None, None, None),
        conversion_s=1.0,
        source=Provenance("made", source.checkpoint.sha256, "pocket", dict(CONFIGS["pocket"])),
        tools={"torch": torch.__version__},
        licence="Apache-2.0",
    )
    manifest.save(folder)
    return Artifact(folder, manifest)
