"""The app's path from stored pixels to a file, on the JVM, against `training/`: the same bytes."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from benchmarks.report import Report
from benchmarks.report.verdict import judge
from conversion.artifact import Artifact
from conversion.runtimes import open_artifact
from training.enhancer import Array, Engine, enhance_photo, thumbnail_planes
from training.quality import metrics
from training.tiling import Tiling, to_uint8

pytestmark = pytest.mark.slow
HOST_ENGINE = Path(__file__).with_name("host_engine.py")
ORIENTATION, GPS = 274, 34853


class Identity:
    def analyze(self, thumbnail: Array) -> tuple[Array, ...]:
        return ()

    def enhance(self, tile: Array, condition: tuple[Array, ...]) -> Array:
        return tile


def stitched(pixels: np.ndarray, engine: Engine, artifact: Path, strength: float) -> np.ndarray:
    """What `training/enhance.py` computes: tiles of the artifact's size, blended, rounded once."""
    manifest = Artifact.load(artifact).manifest
    photo = pixels.astype(np.float32) / 255
    tiling = Tiling(manifest.tiling.halo_px, manifest.tiling.align_px, manifest.tiling.border)
    condition = engine.analyze(thumbnail_planes(photo, manifest.thumbnail_px))
    enhanced = enhance_photo(photo, engine, tiling, manifest.tiling.tile_px, condition)
    return to_uint8(photo + np.float32(strength) * (enhanced - photo))


def by_app(
    app_path: Callable[..., str], artifact: Path, stored: np.ndarray, orientation: int, strength: float, folder: Path,
    exif: Path | None = None, host: bool = False,
) -> tuple[bytes, Path]:  # fmt: skip
    """(upright result, encoded file)"""
    raw = folder / "stored.raw"
    raw.write_bytes(stored.tobytes())
    height, width, channels = stored.shape
    runtime = [sys.executable, HOST_ENGINE, artifact] if host else []
    job, out = folder / "job", folder / "out.jpg"
    app_path(
        "enhance", artifact, raw, height, width, channels, orientation, strength, job, out, exif or "-", *runtime
    )  # fmt: skip
    return (job / "result.raw").read_bytes(), out


def test_a_real_8_megapixel_photo(
    artifact: Path, app_path: Callable[..., str], pocket_data: Path, tmp_path: Path
) -> None:
    source = pocket_data / "photos" / "phone_fullres" / "Apple_iPhone_4S.jpg"
    with Image.open(source) as opened:
        orientation = opened.getexif()[ORIENTATION]
        stored = np.asarray(opened.convert("RGB"))
        upright = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    assert orientation == 6 and stored.shape == (2448, 3264, 3)
    same, encoded = by_app(app_path, artifact, stored, orientation, 1.0, tmp_path, source)
    assert same == upright.tobytes()
    with Image.open(encoded) as made:
        assert made.getexif()[ORIENTATION] == 1
        assert made.size == (2448, 3264)
        assert metrics.psnr(np.asarray(made) / 255, upright / 255) > 38
    enhanced, _ = by_app(app_path, artifact, stored, orientation, 0.8, tmp_path, host=True)
    assert enhanced == stitched(upright, open_artifact(artifact, threads=1), artifact, 0.8).tobytes()


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_small_photos_of_every_orientation(
    artifact: Path, app_path: Callable[..., str], tmp_path: Path, orientation: int
) -> None:
    stored = np.random.default_rng(orientation).integers(0, 256, (37, 301, 3), np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = io.BytesIO()
    Image.fromarray(stored).save(file, "png", exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(file)).convert("RGB"))
    result, _ = by_app(app_path, artifact, stored, orientation, 1.0, tmp_path)
    assert result == stitched(upright, Identity(), artifact, 1.0).tobytes() == upright.tobytes()


def test_location_goes_only_when_asked(artifact: Path, app_path: Callable[..., str], tmp_path: Path) -> None:
    pixels = np.full((24, 32, 3), 90, np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = 8
    exif[271] = "a maker"
    exif.get_ifd(GPS)[2] = (47.0, 30.0, 12.0)
    exif.get_ifd(GPS)[29] = "2026:01:02"
    source = tmp_path / "source.jpg"
    Image.fromarray(pixels).save(source, exif=exif)
    assert b"2026:01:02" in source.read_bytes()
    _, kept = by_app(app_path, artifact, pixels, 8, 1.0, tmp_path, source)
    stripped = kept.with_name(kept.name + ".no-location")
    with Image.open(kept) as with_location, Image.open(stripped) as without:
        assert with_location.getexif().get_ifd(GPS)[2] == (47.0, 30.0, 12.0)
        assert not without.getexif().get_ifd(GPS) and GPS not in without.getexif()
        assert with_location.getexif()[271] == without.getexif()[271] == "a maker"
        assert with_location.getexif()[ORIENTATION] == without.getexif()[ORIENTATION] == 1
    assert b"2026:01:02" not in stripped.read_bytes()


def test_the_report_of_the_benchmark_screen_is_one_of_this_project(
    artifact: Path, app_path: Callable[..., str], tmp_path: Path
) -> None:
    target = tmp_path / "report.json"
    app_path("benchmark", artifact, target, sys.executable, HOST_ENGINE, artifact)
    report = Report.load(target)
    assert report.to_json() == target.read_text()
    verdict = judge(report)
    assert (report.verdict.fidelity, report.verdict.latency) == (verdict.fidelity, verdict.latency)
    assert verdict.fidelity == "pass"
    manifest = Artifact.load(artifact).manifest
    shape = manifest.entry_point("enhance").outputs[0].nchw[1:]
    golden = np.fromfile(artifact / manifest.golden.output, "<f4").reshape(shape).transpose(1, 2, 0)
    engine = open_artifact(artifact, threads=1)
    tile = np.fromfile(artifact / manifest.golden.tile, "<f4").reshape(1, *shape)
    condition = engine.analyze(np.fromfile(artifact / manifest.golden.thumbnail, "<f4").reshape(
        manifest.entry_point("analyze").inputs[0].shape))  # fmt: skip
    output = engine.enhance(tile, condition)[0].transpose(1, 2, 0).clip(0, 1)
    (photo,) = report.fidelity.photos
    assert photo.psnr_db == pytest.approx(metrics.psnr(output, golden), abs=1e-4)
    assert photo.ssim == pytest.approx(metrics.ssim(output, golden), abs=1e-6)
    assert photo.delta_e_2000 == pytest.approx(metrics.delta_e(output, golden), abs=1e-4)
    assert json.loads(target.read_text())["target"]["kind"] == "physical"
