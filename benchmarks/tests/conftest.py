"""Made-up reports: their figures come from a seed, not from a measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.latency import summarize
from benchmarks.report import (
    ArtifactFacts,
    Fidelity,
    PhotoFidelity,
    Pictures,
    Protocol,
    Report,
    Target,
    Timing,
    Verdict,
)

MakeReport = Callable[..., Report]


@pytest.fixture
def make_report() -> MakeReport:
    """(artifact name, photo names, seed) -> a report that holds together, without pictures."""

    def make(
        name: str = "tiny-tflite-fp32", photos: tuple[str, ...] = ("simulated/flower-0",), seed: int = 0
    ) -> Report:
        random = np.random.default_rng(seed)
        measured = tuple(
            PhotoFidelity(photo, True, 40, 60, float(random.uniform(30, 110)), 0.99, 0.5, (0.001, -0.002, 0.0))
            for photo in photos
        )
        psnrs = [photo.psnr_db for photo in measured]
        return Report(
            schema_version=1,
            artifact=ArtifactFacts(name, "tflite", "fp32", 12345, {"model.tflite": "a" * 64}, "b" * 64, 64, 12, 7, 9),
            target=Target("host", "host-x86-64", "a CPU", "an OS", "cpu", "cpu, XNNPACK"),
            protocol=Protocol(3, 20, 2, 0.5),
            timing=Timing(3.5, summarize(random.uniform(1e-4, 2e-4, 20).tolist()),
                          summarize(random.uniform(1e-3, 2e-3, 20).tolist()), 950.25),
            peak_memory_mb=210.5,
            baseline_memory_mb=101.25,
            fidelity=Fidelity(float(np.mean(psnrs)), min(psnrs), 90.0, 90.0, 0.99, 0.5, 0.002, measured),
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
