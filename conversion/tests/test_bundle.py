"""What is given out: whole, the same for the same artifact, and never below its floor."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from conversion import bundle
from conversion.artifact import Artifact


def test_an_archive_is_the_artifact(made_artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "package.whl").write_text("made by somebody else")
    assert bundle.main([str(made_artifact.folder), "--out", str(tmp_path / "dist")]) == 0
    shutil.unpack_archive(tmp_path / "dist" / "made.zip", tmp_path / "unpacked")
    assert Artifact.load(tmp_path / "unpacked" / "made").verify().manifest == made_artifact.manifest
    subprocess.run(["sha256sum", "--check", "--strict", bundle.SUMS], cwd=tmp_path / "dist", check=True)
    listed = [line.split("  ")[1] for line in (tmp_path / "dist" / bundle.SUMS).read_text().splitlines()]
    assert listed == ["made.zip", "package.whl"]


def test_equal_artifacts_become_equal_files(made_artifact: Artifact, tmp_path: Path) -> None:
    copy = shutil.copytree(made_artifact.folder, tmp_path / "copy")
    for path in copy.rglob("*"):
        os.utime(path, (1e9, 1e9))
    one, other = bundle.bundle(made_artifact, tmp_path / "one"), bundle.bundle(Artifact.load(copy), tmp_path / "other")
    assert one.read_bytes() == other.read_bytes()
    assert {entry.date_time for entry in zipfile.ZipFile(one).infolist()} == {bundle.NO_TIME}


def test_what_must_not_be_given_out(
    made_artifact: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = made_artifact.manifest
    replace(manifest, fidelity=replace(manifest.fidelity, below_floor="mean PSNR 30.0 dB (floor 48)")).save(
        made_artifact.folder
    )
    assert bundle.main([str(made_artifact.folder), "--out", str(tmp_path / "dist")]) == 1
    assert "below its floor and not given out: mean PSNR 30.0 dB" in capsys.readouterr().err
    assert not (tmp_path / "dist").exists()
