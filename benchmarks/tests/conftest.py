"""Made-up reports, whose figures come from a seed, and an artifact whose model file no runtime accepts."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.report import ArtifactFacts, Pictures, Protocol, Report, Target, Verdict
from benchmarks.report.latency import summarize
from benchmarks.report.measured import Fidelity, PhotoFidelity, Timing
from conversion.artifact import (
    Artifact,
    Delegation,
    EntryPoint,
    Golden,
    Manifest,
    ModelFile,
    Provenance,
    TensorSpec,
    TilingSpec,
)
from conversion.artifact import Fidelity as ConversionFidelity
from training.checkpoint import Checkpoint
from training.generators.pocket import Pocket, PocketConfig


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """An untrained Pocket generator, small, away from the identity."""
    torch.manual_seed(0)
    generator = Pocket(PocketConfig(channels=8, layers=2, thumbnail_px=32, analyser_channels=4))
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    checkpoint = Checkpoint(generator, "CC0-1.0", name="tiny")
    checkpoint.save(tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors")
    return checkpoint


@pytest.fixture
def hollow_artifact(tiny_checkpoint: Checkpoint, tmp_path: Path) -> Artifact:
    """An artifact that is whole by its manifest; what calls itself its model is a line of text."""
    folder = tmp_path / "hollow"
    folder.mkdir()
    (folder / "model.tflite").write_text("not a model")
    generator = tiny_checkpoint.generator
    tile = TensorSpec("tile", (1, 3, 64, 64), "float32", "NCHW", (0.0, 1.0), "RGB")
    thumbnail = replace(tile, name="thumbnail", shape=(1, 3, 32, 32))
    parts = generator.analyze(torch.zeros(1, 3, 32, 32))
    condition = tuple(
        TensorSpec(name, tuple(part.shape), "float32", "NCHW" if part.ndim == 4 else "NRC", None, None)
        for name, part in zip(generator.condition_names, parts, strict=True)
    )
    output = replace(tile, name="output")
    for spec in (thumbnail, *condition, tile, output):
        np.zeros(spec.shape, "<f4").tofile(folder / f"{spec.name}.f32")
    tiling = generator.tiling
    Manifest(
        schema_version=1,
        name="hollow-tflite-fp32",
        format="tflite",
        target="litert",
        precision="fp32",
        quantization=None,
        files=tuple(ModelFile.of(folder, path.name) for path in sorted(folder.iterdir())),
        entry_points=(
            EntryPoint("analyze", "model.tflite", "analyze", (thumbnail,), condition),
            EntryPoint("enhance", "model.tflite", "enhance", (tile, *condition), (output,)),
        ),
        thumbnail_px=32,
        tiling=TilingSpec(64, tiling.halo, tiling.align, tiling.border),
        colour="sRGB, encoded",
        delegation={"analyze": None, "enhance": Delegation(1, 7, 9)},
        golden=Golden("thumbnail.f32", ("modulation.f32", "matrix.f32", "offset.f32"), "tile.f32", "output.f32", 90.0),
        fidelity=ConversionFidelity(1, 100.0, 100.0, 100.0, 100.0, 0.0, 0.0, None, None, None),
        conversion_s=1.0,
        source=Provenance("tiny", tiny_checkpoint.sha256, "pocket", {}),
        tools={},
        licence="CC0-1.0",
    ).save(folder)
    return Artifact.load(folder)


MakeReport = Callable[..., Report]


@pytest.fixture
def make_report() -> MakeReport:
    """(artifact name, photo names, seed) -> a report that holds together, without pictures."""

    def make(
        name: str = "tiny-tflite-fp32", photos: tuple[str, ...] = ("simulated/flower-0",), seed: int = 0
    ) -> Report:
        random = np.random.default_rng(seed)
        measured = tuple(
            PhotoFidelity(
                photo, True, 40, 60, "c" * 64, float(random.uniform(30, 110)), 0.99, 0.5, (0.001, -0.002, 0.0)
            )
            for photo in photos
        )
        tile = summarize((1e-3 * random.permutation(np.linspace(1.5, 2.0, 20))).tolist())
        psnrs = [photo.psnr_db for photo in measured]
        return Report(
            schema_version=1,
            artifact=ArtifactFacts(name, "tflite", "fp32", 12345, {"model.tflite": "a" * 64}, "b" * 64, 64, 12, 7, 9),
            target=Target("host", "host-x86-64", "a CPU", "an OS", "cpu", "cpu, XNNPACK", {}),
            protocol=Protocol(3, 20, 2, 0.5),
            timing=Timing(3.5, summarize(random.uniform(1e-4, 2e-4, 20).tolist()), tile, tile.p50_ms / 40**2 * 1e6),
            instructions=None,
            sustained=None,
            conditions=None,
            whole_photos=(),
            peak_memory_mb=210.5,
            baseline_memory_mb=101.25,
            fidelity=Fidelity("whole photos", "b" * 64, float(np.mean(psnrs)), min(psnrs), 20.0, 20.0, 0.99, 0.5, 0.002,
                              measured),
            verdict=Verdict("pass", "unranked", ()),
            tool_versions={"ai-edge-litert": "2.3.0"},
            date="2026-01-02T03:04:05Z",
            pictures=(),
        )  # fmt: skip

    return make


@pytest.fixture
def add_pictures() -> Callable[[Report, Path], Report]:
    """Write small pictures for every photo of a report into its folder."""

    def add(report: Report, folder: Path) -> Report:
        random = np.random.default_rng(5)
        added = []
        for at, photo in enumerate(report.fidelity.photos):
            paths = {}
            for role in ("before", "after", "reference", "error_map", "dslr"):
                path = f"{report.stem}/{at}-{role}.png"
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(0, 255, (40, 60, 3), np.uint8)).save(folder / path)
                paths[role] = path
            added.append(Pictures(photo=photo.photo, error_amplification=32, **paths))
        return replace(report, pictures=tuple(added))

    return add


class _Asked(Exception):
    """Carries a script's parser out of its `main`."""


@pytest.fixture(scope="session")
def parser_of() -> Callable[[str], argparse.ArgumentParser]:
    """(path of a script) -> the parser that it hands to `run`."""

    def stop(parser: argparse.ArgumentParser, body: object, argv: object) -> int:
        raise _Asked(parser)

    def parser_of(script: str) -> argparse.ArgumentParser:
        module = importlib.import_module(script.removesuffix(".py").replace("/", "."))
        with pytest.MonkeyPatch.context() as patch, pytest.raises(_Asked) as asked:
            patch.setattr(module, "run", stop)
            module.main([])
        return asked.value.args[0]

    return parser_of
