"""Apps on tflite-runtime 2.14, the predecessor of LiteRT, can go on with it: our float files work there."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from conversion.artifact import ArtifactError, Precision
from conversion.converter import Form
from conversion.export import Source
from conversion.fidelity import floor_of
from conversion.runtimes.tflite_old import OldRuntimeError, TfliteOldEngine, environment
from training.checkpoint import Checkpoint
from training.enhancer import Array, TorchEngine, from_planes, thumbnail_planes, to_planes
from training.quality import metrics

TILE_PX = 64


@pytest.fixture(scope="module")
def old_python() -> Path:
    try:
        return environment()
    except OldRuntimeError as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pocket", "dped"])
def test_float_files_load_and_agree(
    name: str, old_python: Path, make_checkpoint: Callable[..., Checkpoint], tmp_path: Path, photo: Array
) -> None:
    pytest.importorskip("litert_torch")
    from conversion.backends.tflite.lowering import lower

    source = Source(make_checkpoint(name), TILE_PX)
    reference = TorchEngine(source.generator)
    tile, thumbnail = to_planes(photo[:TILE_PX, :TILE_PX]), thumbnail_planes(photo, source.generator.thumbnail_px)
    expected = reference.enhance(tile, reference.analyze(thumbnail)).clip(0, 1)
    precisions: tuple[Precision, ...] = ("fp32", "fp16")
    for precision in precisions:
        entry_points = lower(source, Form(precision, "litert"), tmp_path).entry_points
        engine, floor = TfliteOldEngine(old_python, tmp_path, entry_points), floor_of("tflite", precision, "float")
        made = engine.enhance(tile, engine.analyze(thumbnail))
        assert engine.load_s > 0 and engine.peak_mb > engine.baseline_mb > 10
        engine.close()
        assert floor is not None and metrics.psnr(from_planes(made), from_planes(expected)) >= floor.mean_db
    (tmp_path / "model.tflite").write_bytes(b"not a model")
    engine = TfliteOldEngine(old_python, tmp_path, entry_points)
    with pytest.raises(ArtifactError, match="refuses analyze"):
        engine.analyze(thumbnail)
    engine.close()


def test_another_machine_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    with pytest.raises(OldRuntimeError, match="Linux x86-64 only"):
        environment(tmp_path / "old")


def test_no_package_index_is_a_sentence_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(command: list[str], **_: object) -> None:
        raise subprocess.CalledProcessError(1, command, stderr="ERROR: trying\nERROR: No matching distribution\n")

    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("sys.version_info", (3, 11, 0))
    monkeypatch.setattr(platform, "python_implementation", lambda: "CPython")
    monkeypatch.setattr("conversion.runtimes.tflite_old.venv.create", lambda folder, with_pip: folder.mkdir())
    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(OldRuntimeError, match=r"could not install .*: ERROR: No matching distribution"):
        environment(tmp_path / "old")
    assert list(tmp_path.iterdir()) == []
