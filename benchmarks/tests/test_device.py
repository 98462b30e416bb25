"""What comes back from a device, read without one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.bench import Photo
from benchmarks.report import Protocol
from benchmarks.targets.device.results import DeviceError, read_instructions, read_outputs, read_result
from benchmarks.targets.device.session import write_job
from conversion.artifact import Artifact


def test_counts_are_differences_of_marks(hollow_artifact: Artifact, tmp_path: Path) -> None:
    marks = [(1, 100, 40), (1, 130, 50), (2, 200, 60), (2, 1200, 460), (2, 1300, 470), (2, 2302, 870)]
    (tmp_path / "marks").write_text("".join(f"{tag} total={total} vector={vector}\n" for tag, total, vector in marks))
    counted = read_instructions(tmp_path / "marks", hollow_artifact.manifest)
    assert counted.analyze.total == 30 and counted.analyze.by_class == {"vector": 10}
    assert counted.enhance_tile.total == 1000 and counted.enhance_tile.by_class == {"vector": 400}
    spec = hollow_artifact.manifest.tiling
    assert counted.instructions_per_px == 1000 / (spec.tile_px - 2 * spec.halo_px) ** 2
    assert counted.repetitions == 2 and counted.relative_spread == 2 / 1000


def test_marks_of_no_call_are_refused(hollow_artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "marks").write_text("")
    with pytest.raises(DeviceError, match="counted no instructions"):
        read_instructions(tmp_path / "marks", hollow_artifact.manifest)


def test_tiles_are_joined_to_photos(hollow_artifact: Artifact, tmp_path: Path) -> None:
    """A device that gives back what it gets gives back the photos."""
    random = np.random.default_rng(3)
    photos = [Photo(str(at), False, random.integers(0, 256, size, np.uint8), None) for at, size in
              enumerate([(50, 130, 3), (7, 9, 3)])]  # fmt: skip
    counts = write_job(tmp_path, hollow_artifact, photos, Protocol(0, 1, 1, 0.0))
    side = hollow_artifact.manifest.tiling.tile_px
    tiles = np.fromfile(tmp_path / "tiles", np.uint8).reshape(-1, side, side, 3)
    assert len(tiles) == sum(counts) and counts[1] == 1
    planes = np.ascontiguousarray(tiles.transpose(0, 3, 1, 2)) / np.float32(255)
    planes.tofile(tmp_path / "outputs")
    outputs = read_outputs(tmp_path / "outputs", hollow_artifact, photos, counts, planes.nbytes)
    for photo, output in zip(photos, outputs, strict=True):
        assert np.array_equal(np.round(output * 255), photo.phone)
    with pytest.raises(DeviceError, match="bytes of output instead of"):
        read_outputs(tmp_path / "outputs", hollow_artifact, photos, counts, planes.nbytes - 1)


def test_a_result_that_breaks_off_is_refused(hollow_artifact: Artifact, tmp_path: Path) -> None:
    whole = "load_s 0.5\nenhance_s 0.25\nenhance_s 0.5\nbaseline_kib 3\npeak_kib 4\ndone 7\n"
    (tmp_path / "result").write_text(whole)
    read = {"load_s": [0.5], "enhance_s": [0.25, 0.5], "baseline_kib": [3], "peak_kib": [4], "done": [7]}
    assert read_result(tmp_path / "result", hollow_artifact.folder) == read
    (tmp_path / "result").write_text("load_s 0.5\n")
    with pytest.raises(DeviceError, match="breaks off"):
        read_result(tmp_path / "result", hollow_artifact.folder)
