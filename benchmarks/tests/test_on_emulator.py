"""The emulated phone from end to end: both runtimes, float and 8 bits, Pocket and DPED, four CPUs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import on_android, on_emulator
from benchmarks.bench import Photo, Pixels
from benchmarks.report import Protocol, Report, load_reports
from benchmarks.targets.device.adb import Adb, choose
from benchmarks.targets.device.session import on_device
from benchmarks.targets.emulator.cpus import CPUS
from benchmarks.targets.emulator.phone import emulated_phone
from benchmarks.targets.references import read_pairs
from benchmarks.targets.runner.packages import EmulatorError
from conversion import to_executorch, to_tflite
from conversion.artifact import Artifact
from conversion.runtimes import open_artifact
from training.checkpoint import Checkpoint
from training.enhancer import enhance_photo, thumbnail_planes
from training.generators.dped import Dped, DpedConfig
from training.photos import from_samples
from training.tiling import Tiling, to_uint8

CONVERTERS = {"tflite": to_tflite.main, "executorch": to_executorch.main}
NETWORKS = ("pocket-clean", "dped-tiny")
REPORTS = Path(on_emulator.__file__).parent / "reports"

Convert = Callable[..., Artifact]


@pytest.fixture(scope="module", autouse=True)
def can_emulate() -> None:
    try:
        with emulated_phone("cortex-a53"):
            pass
    except EmulatorError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a DPED generator of few channels, untrained but for its seed."""
    made = tmp_path_factory.mktemp("emulated")
    torch.manual_seed(0)
    Checkpoint(Dped(DpedConfig(channels=8, blocks=1, thumbnail_px=32)), "CC0-1.0", name="dped-tiny").save(
        made / "dped-tiny.safetensors"
    )
    return made


@pytest.fixture(scope="module")
def convert(folder: Path) -> Convert:
    def make(network: str, format_: str, precision: str, tile_px: int = 64) -> Artifact:
        made = folder / str(tile_px) / f"{network}-{format_}-{precision}"
        if not made.exists():
            checkpoint = (
                network if network in ("pocket-clean", "pocket-iphone") else str(folder / f"{network}.safetensors")
            )
            given = ["--checkpoint", checkpoint, "--precision", precision, "--tile", str(tile_px), "--judges", "2"]
            assert CONVERTERS[format_]([*given, "--out", str(made.parent), "--allow-below-floor"]) == 0
        return Artifact.load(made)

    return make


def on_host(artifact: Artifact, photo: Photo) -> Pixels:
    """The photo, 8 bits, by the same artifact in the host's own runtime."""
    spec, pixels = artifact.manifest.tiling, from_samples(photo.phone)
    engine = open_artifact(artifact, threads=1)
    condition = engine.analyze(thumbnail_planes(pixels, artifact.manifest.thumbnail_px))
    tiling = Tiling(spec.halo_px, spec.align_px, spec.border)
    return to_uint8(enhance_photo(pixels, engine, tiling, spec.tile_px, condition))


@pytest.mark.slow
def test_reports_of_both_runtimes_on_every_cpu(convert: Convert, folder: Path) -> None:
    artifacts = [convert(n, f, p) for n in NETWORKS for f in CONVERTERS for p in ("fp32", "w8a8")]
    out = folder / "reports"
    given = [str(artifact.folder) for artifact in artifacts]
    code = on_emulator.main([*given, "--checkpoint", str(folder / "dped-tiny.safetensors"), "--out", str(out)])
    assert code == 0, "below its floor on a CPU"
    reports = load_reports(out)
    assert len(reports) == len(artifacts) * len(CPUS)
    found = {(report.artifact.name, report.target.cpu): report for report in reports}
    for artifact in artifacts:
        name, precision = artifact.manifest.name, artifact.manifest.precision
        cut = on_emulator.crop(read_pairs(None)[0], artifact.manifest.tiling)
        host = on_host(artifact, cut).astype(int)
        for cpu in CPUS:
            check(found[name, cpu], cpu, precision)
            if precision == "w8a8":  # integers agree; the float arithmetic around them may round the other way
                after = out / found[name, cpu].pictures[0].after
                off = np.abs(np.array(Image.open(after)).astype(int) - host)
                assert off.max() <= 1 and np.mean(off > 0) < 1e-3, f"{name}, {cpu}: not what the host makes"
    for name in {artifact.manifest.name for artifact in artifacts if artifact.manifest.precision == "w8a8"}:
        most = 0.8 if name.startswith("pocket") else 1  # in TFLite both ends of tiny DPED, most of its work, are float
        assert per_px(found[name, "cortex-a76"]) < most * per_px(found[name, "cortex-a53"]), "no use of dot products"


def check(report: Report, cpu: str, precision: str) -> None:
    """A report of an emulated phone has instructions, and no time whatsoever."""
    assert report.target.kind == "emulated" and report.verdict.fidelity == "pass"
    assert report.timing is None and report.sustained is None and report.peak_memory_mb is None
    assert report.verdict.latency == "unranked"
    counted = report.instructions
    assert counted is not None and counted.repetitions == 3 and counted.relative_spread < 1e-3
    by_class = counted.enhance_tile.by_class
    has_dot, has_i8mm = cpu in ("cortex-a76", "i8mm") and precision == "w8a8", cpu == "i8mm" and precision == "w8a8"
    assert bool(by_class["dot"] + by_class["i8mm"]) == has_dot and (by_class["i8mm"] == 0 or has_i8mm)
    assert by_class["load_store"] and by_class["vector"] and by_class["branch"]


def per_px(report: Report) -> float:
    assert report.instructions
    return report.instructions.instructions_per_px


@pytest.mark.slow
def test_a_committed_report_is_made_again(convert: Convert, folder: Path) -> None:
    """In fp32, which no photo calibrates, so the artifact computes the same wherever it is made."""
    (committed,) = [
        report for report in load_reports(REPORTS) if report.stem == "pocket-clean-executorch-fp32__emulated-cortex-a76"
    ]
    artifact = convert("pocket-clean", "executorch", "fp32", committed.artifact.tile_px)
    out = folder / "again"
    given = [str(artifact.folder), "--cpus", "cortex-a76", "--no-pictures", "--out", str(out)]
    assert on_emulator.main(given) == 0
    (again,) = load_reports(out)
    same = again.artifact.source_checkpoint_sha256 == committed.artifact.source_checkpoint_sha256
    assert same, "other weights: run make emulator-reports"
    assert again.fidelity.psnr_db_worst == pytest.approx(committed.fidelity.psnr_db_worst, abs=0.05)
    assert per_px(again) == pytest.approx(per_px(committed), rel=1e-3)


@pytest.mark.slow
def test_the_same_code_on_a_serial(
    convert: Convert, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """on_android.py by the same adb: an emulator is known as one and not timed; underneath it was."""
    artifact = convert("pocket-clean", "tflite", "dyn8")
    with emulated_phone("cortex-a76") as adb:

        def chosen(serial: str | None) -> Adb:
            return choose(serial, adb.command)

        monkeypatch.setattr(on_android, "choose", chosen)
        out, flags = folder / "android", ["--runs", "10", "--warm-up", "0", "--cool-down", "0"]
        adb.shell("printf '#!/bin/sh\\necho Thermal Status: 2; echo level: 50\\n' > /system/bin/dumpsys")
        adb.shell("chmod 755 /system/bin/dumpsys; printf '#!/bin/sh\\necho 1\\n' > /system/bin/settings")
        photos = read_pairs(None)[:1]
        monkeypatch.setattr(
            on_android, "read_pairs", lambda root: [on_emulator.crop(photos[0], artifact.manifest.tiling)]
        )
        monkeypatch.setattr(on_android, "cool_down", lambda adb, least_s: on_android.state(adb))
        assert on_android.main([str(artifact.folder), *flags, "--out", str(out)]) == 0
        (report,) = load_reports(out)
        assert report.target.kind == "emulated" and report.timing is None and report.verdict.latency == "unranked"
        assert report.conditions and report.conditions.thermal_before == "serious"
        assert report.conditions.battery_after_percent == 50
        assert report.target.facts["abi"] == "arm64-v8a"
        with on_device(adb) as device:
            measured = device.measure(
                artifact, [on_emulator.crop(photos[0], artifact.manifest.tiling)], Protocol(0, 2, 2, 0.0),
                sustained_s=0.5, thermal=lambda: "fair",
            )  # fmt: skip
        assert len(measured.enhance_s) == len(measured.analyze_s) == 2 and min(measured.enhance_s) > 0
        assert measured.sustained and measured.sustained.thermal == ("fair",) * len(measured.sustained.p50_ms)
        assert measured.peak_memory_mb and measured.baseline_memory_mb
        assert measured.peak_memory_mb > measured.baseline_memory_mb > 0
