from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.bench import Array, BenchError, Measure, Measurement, Photo, bench
from benchmarks.report import Protocol, Report, Target
from conversion.artifact import Artifact, ArtifactError
from conversion.fidelity import FLOORS, enhance_by
from training.checkpoint import Checkpoint
from training.enhancer import TorchEngine
from training.tiling import to_uint8

HOST = Target("host", "host-test", "a CPU", "an OS", "cpu", "cpu", {})
PROTOCOL = Protocol(1, 12, 2, 0.0)


def some_photos() -> list[Photo]:
    random = np.random.default_rng(1)
    phone, dslr = random.integers(0, 256, (2, 90, 70, 3), np.uint8)
    return [Photo("pair", True, phone, dslr), Photo("alone", False, phone[:65], None)]


def reference_of(checkpoint: Checkpoint, photo: Photo) -> Array:
    whole = photo.phone.astype(np.float32) / np.float32(255)
    return enhance_by(TorchEngine(checkpoint.generator), whole, checkpoint.generator, 64)


def measured_with_error(
    checkpoint: Checkpoint, error: float, enhance_s: tuple[float, ...] = (0.002, 0.0016, 0.0024) * 4
) -> Measure:
    """A target whose outputs differ from the reference by `error` everywhere, of either sign by pixel."""

    def measure(artifact: Artifact, photos: Sequence[Photo], protocol: Protocol) -> Measurement:
        outputs = []
        for photo in photos:
            reference = reference_of(checkpoint, photo)
            outputs.append(np.where(reference > 0.5, reference - error, reference + error).astype(np.float32))
        return Measurement(tuple(outputs), (0.004,), (0.0001,) * 12, enhance_s, 120.0, 100.0, "gpu", {"tool": "1"})

    return measure


def test_a_faithful_artifact_passes(hollow_artifact: Artifact, tiny_checkpoint: Checkpoint, tmp_path: Path) -> None:
    measure = measured_with_error(tiny_checkpoint, 1e-5)
    report = bench(hollow_artifact, tiny_checkpoint, some_photos(), HOST, PROTOCOL, measure, tmp_path)
    assert report.verdict.fidelity == "pass" and report.verdict.latency == "unranked" and not report.verdict.reasons
    assert math.isclose(report.fidelity.psnr_db_worst, 100, abs_tol=0.1)
    assert report.target.compute_unit_asked == "cpu" and report.target.compute_unit_actual == "gpu"
    assert report.artifact.bytes == (hollow_artifact.folder / "model.tflite").stat().st_size
    assert (report.artifact.delegated_nodes, report.artifact.total_nodes) == (7, 9)
    assert report.timing is not None and math.isclose(report.timing.enhance_tile.p50_ms, 2)
    kept_px = 64 - 2 * hollow_artifact.manifest.tiling.halo_px
    assert math.isclose(report.timing.enhance_ms_per_megapixel, 2e6 / kept_px**2)
    assert Report.load(tmp_path / "hollow-tflite-fp32__host-test.json").to_json() == report.to_json()


def test_pictures_are_what_was_produced(hollow_artifact: Artifact, tiny_checkpoint: Checkpoint, tmp_path: Path) -> None:
    error = 3 / 255
    measure = measured_with_error(tiny_checkpoint, error)
    photos = some_photos()
    report = bench(hollow_artifact, tiny_checkpoint, photos, HOST, PROTOCOL, measure, tmp_path)

    def picture(path: str) -> np.ndarray:
        return np.array(Image.open(tmp_path / path))

    paired, alone = report.pictures
    reference = reference_of(tiny_checkpoint, photos[0])
    assert np.array_equal(picture(paired.before), photos[0].phone)
    assert paired.dslr and np.array_equal(picture(paired.dslr), photos[0].dslr)
    assert np.array_equal(picture(paired.reference), to_uint8(reference))
    assert np.array_equal(
        picture(paired.after), to_uint8(np.where(reference > 0.5, reference - error, reference + error))
    )
    assert np.abs(picture(paired.error_map).astype(int) - 3 * paired.error_amplification).max() <= 1
    assert alone.dslr is None


def test_below_the_floor_fails_and_says_why(
    hollow_artifact: Artifact, tiny_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    measure = measured_with_error(tiny_checkpoint, 10 ** (-(FLOORS["fp32"].worst_db + 1) / 20))
    report = bench(hollow_artifact, tiny_checkpoint, some_photos(), HOST, PROTOCOL, measure, tmp_path)
    assert report.verdict.fidelity == "fail"
    (reason,) = report.verdict.reasons  # above the floor of the worst photo, below that of the mean
    assert reason.startswith("mean PSNR 86.0") and "floor of 90 dB" in reason
    assert Report.load(tmp_path / f"{report.stem}.json").verdict == report.verdict


def test_not_a_number_fails(hollow_artifact: Artifact, tiny_checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="not finite"):
        bench(hollow_artifact, tiny_checkpoint, some_photos(), HOST, PROTOCOL,
              measured_with_error(tiny_checkpoint, math.nan), tmp_path)  # fmt: skip


def test_an_evaluator_reports_no_time(hollow_artifact: Artifact, tiny_checkpoint: Checkpoint, tmp_path: Path) -> None:
    measure = measured_with_error(tiny_checkpoint, 0, enhance_s=())
    report = bench(hollow_artifact, tiny_checkpoint, some_photos(), HOST, PROTOCOL, measure, tmp_path)
    assert report.verdict.latency == "evaluator: fidelity only"
    assert report.timing is None and report.protocol.runs == 0


def test_another_checkpoint_makes_the_verdict_invalid(
    hollow_artifact: Artifact, tiny_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    other = replace(tiny_checkpoint, sha256="0" * 64)
    measure = measured_with_error(other, 0)
    report = bench(hollow_artifact, other, some_photos(), HOST, PROTOCOL, measure, tmp_path)
    assert report.verdict.fidelity == "invalid"
    (reason,) = report.verdict.reasons
    assert "compared with checkpoint 000000000000, but the artifact was made from" in reason


def test_a_changed_file_is_refused(hollow_artifact: Artifact, tiny_checkpoint: Checkpoint, tmp_path: Path) -> None:
    (hollow_artifact.folder / "model.tflite").write_text("tampered with")
    measure = measured_with_error(tiny_checkpoint, 0)
    with pytest.raises(ArtifactError, match=r"model\.tflite: differs from its checksum"):
        bench(hollow_artifact, tiny_checkpoint, some_photos(), HOST, PROTOCOL, measure, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_photos_below_one_tile_need_the_clamped_border(
    hollow_artifact: Artifact, tiny_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    tiling = replace(hollow_artifact.manifest.tiling, border="shift")
    shifting = replace(hollow_artifact, manifest=replace(hollow_artifact.manifest, tiling=tiling))
    small = [Photo("small", False, np.zeros((63, 200, 3), np.uint8), None)]
    with pytest.raises(BenchError, match="small: is smaller than a tile"):
        bench(shifting, tiny_checkpoint, small, HOST, PROTOCOL, measured_with_error(tiny_checkpoint, 0), tmp_path)
