"""The README's first command, from training to the page, and what it must show."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.report import Report

MIN_GAIN_DB = 3.5


@pytest.mark.slow
def test_make_demo(repository: Path, tmp_path: Path) -> None:
    demo = tmp_path / "demo"
    command = ["make", "--no-print-directory", "--silent", "demo", f"DEMO={demo}"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=2400, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    page = Path(done.stdout.splitlines()[-1])
    assert page == demo / "page" / "index.html" and page.stat().st_size > 100_000
    assert not [path for path in demo.rglob("*") if path.name.startswith(".") or path.suffix == ".part"]

    rows = {row["model"]: row for row in json.loads((demo / "quality" / "quality.json").read_text())}
    assert rows["pocket"]["simulated_images"] == rows["pocket"]["images"] > 1
    gain = rows["pocket"]["psnr_mean_of_images_db"] - rows["identity"]["psnr_mean_of_images_db"]
    assert gain >= MIN_GAIN_DB, "on photos that training did not see"

    reports = [Report.load(path) for path in sorted((demo / "reports").glob("*.json"))]
    assert {report.artifact.format for report in reports} == {"executorch", "tflite", "coreml"}
    for report in reports:
        assert report.verdict.fidelity == "pass"
        assert report.fidelity.psnr_db_worst >= report.fidelity.psnr_db_worst_floor > 40
        assert report.artifact.name in page.read_text()
        if report.target.kind == "host" and report.artifact.format != "coreml":
            sizes = [(photo.height_px, photo.width_px) for photo in report.whole_photos]
            assert sizes == [(3024, 4032), (6048, 8064)] and all(photo.mosaic for photo in report.whole_photos)
