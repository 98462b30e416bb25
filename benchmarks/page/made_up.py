"""Made-up reports, to measure and to test what shows reports: nothing in them was measured, and their names say so."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.report import SCHEMA_VERSION, ArtifactFacts, Kind, Pictures, Protocol, Report, Target, Verdict
from benchmarks.report.latency import summarize
from benchmarks.report.measured import (
    Conditions,
    Fidelity,
    InstructionCount,
    Instructions,
    PhotoFidelity,
    Sustained,
    Timing,
    WholePhoto,
)
from benchmarks.report.verdict import judge
from training.data.embedded_sample import SAMPLE
from training.photos import read_pixels

PRECISIONS = {  # format and precision: KB, PSNR in dB, cost relative to the first, floor in dB
    ("executorch", "fp32"): (552, 115, 1.0, 85),
    ("executorch", "fp16"): (299, 69, 0.9, 58),
    ("executorch", "w8a8"): (187, 43.6, 0.7, 38),
    ("tflite", "fp32"): (540, 118, 1.2, 85),
    ("tflite", "fp16"): (271, 72, 1.2, 58),
    ("tflite", "dyn8"): (148, 47.9, 0.8, 42),
    ("coreml", "fp16"): (287, 70, 0.3, 58),
    ("coreml", "w8"): (146, 47.7, 0.3, 42),
    ("coreml", "pal6"): (137, 37.7, 0.3, 38),
    ("coreml", "pal4"): (127, 31.7, 0.3, 0),
}
TILE_PX, HALO_PX, RUNS = 256, 16, 20
KEPT_PX = (TILE_PX - 2 * HALO_PX) ** 2
PHOTOS = ("made-up photo 1", "made-up photo 2")
CHECKPOINT = hashlib.sha256(b"made up").hexdigest()


def devices() -> Iterator[tuple[Kind, str]]:
    yield "host", "made-up host"
    for core in ("a53", "a72", "a76", "i8mm"):
        yield "emulated", f"made-up emulated {core}"
    number = 1
    while True:
        yield "physical", f"made-up phone {number}"
        number += 1


def write_reports(folder: Path, count: int, seed: int = 0) -> list[Report]:
    """`count` reports with pictures of two photos each, written into `folder`."""
    random = np.random.default_rng(seed)
    photos = [read_pixels(sample.path())[:320, :480] for sample in SAMPLE[:2]]
    reports: list[Report] = []
    for kind, device in devices():
        for (format_, precision), (size_kb, psnr_db, cost, floor_db) in PRECISIONS.items():
            if len(reports) == count:
                return reports
            report = make_report(random, kind, device, format_, precision, size_kb, psnr_db, cost, floor_db)
            pictures = [
                write_pictures(folder, f"{report.stem}/{at}", figures, photo)
                for at, (figures, photo) in enumerate(zip(report.fidelity.photos, photos, strict=True))
            ]
            reports.append(replace(report, pictures=tuple(pictures)))
            reports[-1].save(folder)
    raise AssertionError("devices never end")


def make_report(
    random: np.random.Generator,
    kind: Kind,
    device: str,
    format_: str,
    precision: str,
    size_kb: float,
    psnr_db: float,
    cost: float,
    floor_db: float,
) -> Report:
    ms = 12.0 * cost * float(random.uniform(0.5, 3))
    tile = summarize((1e-3 * ms * random.normal(1, 0.03, RUNS).clip(0.8, 1.4)).tolist())
    analyze = summarize((1e-3 * random.uniform(0.5, 0.6, RUNS)).tolist())
    timing = Timing(5.0, analyze, tile, tile.p50_ms / KEPT_PX * 1e6)
    total = int(900 * cost * KEPT_PX * float(random.uniform(0.8, 2)))
    counted = InstructionCount(total, {"load_store": total // 4, "vector": total // 2})
    emulated, heat = kind == "emulated", (1 + 0.3 * (1 - np.exp(-np.arange(60) / 20))).tolist()
    # Formats and precisions answer alike on every device of a kind, as integer arithmetic does.
    answer = hashlib.sha256(f"{format_} {precision} {kind}".encode()).hexdigest()
    figures = tuple(
        PhotoFidelity(photo, True, 320, 480, answer, psnr_db + 2 * at, 0.99, 0.5, (0.001, -0.002, 0.0))
        for at, photo in enumerate(PHOTOS)
    )
    report = Report(
        schema_version=SCHEMA_VERSION,
        artifact=ArtifactFacts(f"made-up-{format_}-{precision}", format_, precision, int(1e3 * size_kb),
                               {"model": "a" * 64}, CHECKPOINT, TILE_PX, HALO_PX, 62, 62),
        target=Target(kind, device, "made-up CPU", "made-up OS", "cpu", "cpu", {"model": device}),
        protocol=Protocol(3, 0 if emulated else RUNS, 1 if emulated else 2, 0.5),
        timing=None if emulated else timing,
        instructions=Instructions(counted, counted, total / KEPT_PX, 3, 0.0) if emulated else None,
        sustained=Sustained(10.0, tuple(ms * step for step in heat), ()) if kind == "physical" else None,
        conditions=Conditions("nominal", str(random.choice(["nominal", "fair", "serious"])), 30.0, 35.0, 80.0,  # type: ignore[arg-type]
                              78.0, False, False) if kind == "physical" else None,
        whole_photos=() if emulated else (WholePhoto("mosaic-12mp", True, 3024, 4032, 3, 200.0, 4.0, 240 * ms, 150.0,
                                                     400.0, 180.0),),
        peak_memory_mb=None if emulated else 210.5,
        baseline_memory_mb=None if emulated else 101.25,
        fidelity=Fidelity("whole photos", CHECKPOINT, psnr_db + 1, psnr_db, floor_db and floor_db + 6, floor_db, 0.99,
                          0.5, 0.002, figures),
        verdict=Verdict("invalid", "invalid", ()),
        tool_versions={"made-up-runtime": "1"},
        date="2026-01-02T03:04:05Z",
        pictures=(),
    )  # fmt: skip
    return replace(report, verdict=judge(report))


def write_pictures(folder: Path, stem: str, figures: PhotoFidelity, photo: npt.NDArray[np.uint8]) -> Pictures:
    """PNG files of a photo, brightened as if it had been enhanced."""
    after = (255 * (photo / 255.0) ** 0.8).astype(np.uint8)
    error = np.abs(np.diff(after, axis=1, prepend=0)).astype(np.uint8)
    shown = {"before": photo, "after": after, "reference": after, "error_map": error}
    paths = {role: f"{stem}-{role}.png" for role in shown}
    for role, pixels in shown.items():
        path = folder / paths[role]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, "PNG", compress_level=1)
    return Pictures(figures.photo, paths["before"], paths["after"], paths["reference"], paths["error_map"], 32, None)
