"""Any damage to what comes from elsewhere ends in something whole, or in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.report import Report
from benchmarks.robustness.faults_photos import encoded, heic, png16, scene
from conversion.artifact import Manifest
from training.commandline import UserError
from training.photos import read_pixels

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PHOTOS = {
    "jpg": encoded(scene(24, 36), "JPEG"),
    "png": encoded(scene(24, 36), "PNG"),
    "deep.png": png16(scene(24, 36)),
    "tif": encoded(scene(24, 36), "TIFF"),
    "webp": encoded(scene(24, 36), "WEBP"),
    "gif": encoded(scene(24, 36), "GIF"),
    "heic": heic(scene(64, 64)),
    "avif": encoded(scene(24, 36), "AVIF"),
}
CONTRACT = Path(__file__).parents[2] / "conversion" / "contract"
REPORT, MANIFEST = (CONTRACT / f"{name}.example.json" for name in ("report", "manifest"))
PLACES = st.floats(0, 1, exclude_max=True)
EDITS = st.lists(st.tuples(PLACES, st.integers(0, 3), st.binary(max_size=4)), min_size=1, max_size=4)


def edited(whole: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """At each place some bytes are taken out and others put in."""
    for place, out, put_in in edits:
        at = int(place * len(whole))
        whole = whole[:at] + put_in + whole[at + out :]
    return whole


@given(st.sampled_from(list(PHOTOS)), EDITS)
@FUZZ
def test_any_damage_to_a_photo_is_a_photo_or_a_sentence(
    tmp_path: Path, kind: str, edits: list[tuple[float, int, bytes]]
) -> None:
    path = tmp_path / f"photo.{kind}"
    path.write_bytes(edited(PHOTOS[kind], edits))
    try:
        pixels = read_pixels(path)
    except UserError as error:
        assert str(path) in str(error) and str(error).isprintable()
    else:
        assert pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8 and pixels.size


@given(EDITS)
@FUZZ
def test_any_damage_to_a_report_is_a_report_or_a_sentence(
    tmp_path: Path, edits: list[tuple[float, int, bytes]]
) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(edited(REPORT.read_bytes(), edits))
    try:
        report = Report.load(path)
    except UserError as error:
        assert str(path) in str(error) and str(error).isprintable()
    else:
        path.write_text(report.to_json(), encoding="utf-8")
        assert Report.load(path) == report


@given(EDITS)
@FUZZ
def test_any_damage_to_a_manifest_is_a_manifest_or_a_sentence(edits: list[tuple[float, int, bytes]]) -> None:
    try:
        manifest = Manifest.parse(edited(MANIFEST.read_bytes(), edits).decode(errors="surrogateescape"))
    except UserError as error:
        assert str(error).isprintable()
    else:
        assert Manifest.parse(manifest.to_json()) == manifest
