from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

from benchmarks import on_host
from benchmarks.bench import BenchError, Measurement, Photo
from benchmarks.machine import time_runs
from benchmarks.report import Protocol, Report
from benchmarks.targets.host.whole_photos import WholePhotoError, wanted
from conversion import to_coreml, to_executorch, to_tflite
from conversion.artifact import Artifact
from training.checkpoint import Checkpoint

SCHEMA = Path(__file__).parents[2] / "conversion" / "contract" / "report.schema.json"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with one photo, one file that only claims to be one, and a text."""
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.random.default_rng(2).integers(0, 256, (80, 101, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "photo.png")
    (folder / "truncated.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (folder / "notes.txt").write_text("not a photo")
    return folder


def test_only_runs_after_the_warm_up_are_timed() -> None:
    calls: list[int] = []
    samples = time_runs(lambda: calls.append(1), warm_up_runs=3, runs=5)
    assert len(calls) == 8 and len(samples) == 5 and min(samples) > 0


def test_a_missing_checkpoint_is_named(hollow_artifact: Artifact, photos: Path, tmp_path: Path, capsys) -> None:
    assert on_host.main([str(hollow_artifact.folder), "--photos", str(photos), "--out", str(tmp_path / "out")]) == 1
    assert "was made from tiny" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_failure_is_reported_and_ends_with_exit_code_1(
    hollow_artifact: Artifact, tiny_checkpoint: Checkpoint, photos: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    def grey(artifact: Artifact, photos: list[Photo], protocol: Protocol, **_: object) -> Measurement:
        outputs = tuple(np.full(photo.phone.shape, 0.5, np.float32) for photo in photos)
        return Measurement(outputs, (0.1,), (0.1,), (0.1,) * 20, None, None, "cpu", {})

    monkeypatch.setattr(on_host, "measure", grey)
    checkpoint = tmp_path / "tiny.safetensors"
    tiny_checkpoint.save(checkpoint)
    arguments = [str(hollow_artifact.folder), "--checkpoint", str(checkpoint), "--photos", str(photos)]
    assert on_host.main([*arguments, "--out", str(tmp_path / "reports")]) == 1
    said = capsys.readouterr()
    assert "not all is well: hollow-tflite-fp32 on host-" in said.err and not said.out
    (path,) = (tmp_path / "reports").glob("*.json")
    assert Report.load(path).verdict.fidelity == "fail"


def test_a_runtime_that_refuses_is_one_sentence(hollow_artifact: Artifact) -> None:
    photo = Photo("p", False, np.zeros((70, 70, 3), np.uint8), None)
    with pytest.raises(BenchError, match=r"hollow: its process failed: .*model\.tflite"):
        on_host.measure(hollow_artifact, [photo], Protocol(0, 1, 1, 0.0))


def test_one_artifact_that_cannot_be_measured_does_not_stop_the_others(
    hollow_artifact: Artifact, tiny_checkpoint: Checkpoint, photos: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    calls: list[str] = []

    def crash_once(artifact: Artifact, photos: list[Photo], protocol: Protocol, **_: object) -> Measurement:
        calls.append(artifact.manifest.name)
        raise BenchError(f"crash {len(calls)}")

    monkeypatch.setattr(on_host, "measure", crash_once)
    tiny_checkpoint.save(tmp_path / "tiny.safetensors")
    twice = [str(hollow_artifact.folder)] * 2
    arguments = [*twice, "--checkpoint", str(tmp_path / "tiny.safetensors"), "--photos", str(photos)]
    assert on_host.main([*arguments, "--out", str(tmp_path / "reports")]) == 1
    assert "not all is well: crash 1; crash 2; " in capsys.readouterr().err and not (tmp_path / "reports").exists()


@pytest.mark.parametrize("asked", ["0", "-1", "1e9", "nan", "x", "absent.jpg", "<b>.txt"])
def test_whole_photos_that_make_no_sense_are_one_sentence(asked: str, tmp_path: Path) -> None:
    with pytest.raises(WholePhotoError, match=r"--whole-photos: .*(neither a photo nor|no such photo)"):
        wanted([asked], tmp_path)


def test_twelve_megapixels_are_those_of_a_phone(tmp_path: Path) -> None:
    ((path, is_mosaic),) = wanted(["12"], tmp_path)
    assert is_mosaic and Image.open(path).size == (4032, 3024)


@pytest.mark.slow
@pytest.mark.parametrize("converter", [to_executorch, to_tflite, to_coreml], ids=["executorch", "tflite", "coreml"])
def test_end_to_end(converter, tiny_checkpoint: Checkpoint, tmp_path: Path, photos: Path, capsys) -> None:
    checkpoint = tmp_path / "tiny.safetensors"
    tiny_checkpoint.save(checkpoint)
    assert converter.main(["--checkpoint", str(checkpoint), "--tile", "64", "--out", str(tmp_path / "artifacts")]) == 0
    folder = capsys.readouterr().out.splitlines()[-1]
    arguments = [folder, "--checkpoint", str(checkpoint), "--photos", str(photos), "--runs", "20"]
    arguments += ["--whole-photos", "0.05"]
    assert on_host.main([*arguments, "--out", str(tmp_path / "reports")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "reports")

    (path,) = (tmp_path / "reports").glob("*.json")
    report = Report.load(path)
    jsonschema.validate(json.loads(path.read_text()), json.loads(SCHEMA.read_text()))
    assert report.verdict.fidelity == "pass"
    assert report.fidelity.psnr_db_worst >= report.fidelity.psnr_db_worst_floor > 40
    assert report.artifact.source_checkpoint_sha256 == tiny_checkpoint.sha256
    (pictures,) = report.pictures
    assert np.array(Image.open(path.parent / pictures.after)).shape == (80, 101, 3)
    if converter is to_coreml:
        assert report.verdict.latency == "evaluator: fidelity only"
        assert report.timing is None and report.peak_memory_mb is None and not report.whole_photos
        return
    assert report.verdict.latency in ("unranked", "invalid")  # where the machine is busy, the runs may disagree
    assert report.timing is not None and report.timing.enhance_tile.count == 20
    (whole,) = report.whole_photos
    assert whole.mosaic and (whole.height_px, whole.width_px) == (195, 260) and min(whole.stages.values()) > 0
    assert whole.peak_memory_mb is not None and whole.peak_memory_mb > 10
    assert report.peak_memory_mb is not None and report.baseline_memory_mb is not None
    # The tests' own process, which has loaded every toolchain, must not count.
    assert 10 < report.baseline_memory_mb < report.peak_memory_mb < 1500
