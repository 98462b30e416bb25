from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import on_ios
from benchmarks.bench import artifact_facts
from benchmarks.report import Report
from benchmarks.report.measured import Conditions
from conversion.artifact import Artifact
from conversion.fidelity import FLOORS

Export = Callable[..., Path]


@pytest.fixture
def export(hollow_artifact: Artifact, make_report, tmp_path: Path) -> Export:
    """What the app would export of `hollow_artifact`, with a golden tile of so many dB and further changes."""

    def make(psnr_db: float = 95.0, name: str = "export.json", **changes: Any) -> Path:
        facts = artifact_facts(hollow_artifact)
        made = make_report(photos=("golden",))
        (photo,) = made.fidelity.photos
        photo = replace(photo, simulated=False, height_px=64, width_px=64, psnr_db=psnr_db)
        fidelity = replace(made.fidelity, scope="golden tile", photos=(photo,), psnr_db_mean=psnr_db,
                           psnr_db_worst=psnr_db, psnr_db_mean_floor=0.0, psnr_db_worst_floor=0.0,
                           reference_sha256=facts.source_checkpoint_sha256)  # fmt: skip
        kept_px = (facts.tile_px - 2 * facts.halo_px) ** 2
        timing = replace(made.timing, enhance_ms_per_megapixel=made.timing.enhance_tile.p50_ms / kept_px * 1e6)
        target = replace(made.target, kind="physical", name="iPhone 99", compute_unit_asked="all",
                         compute_unit_actual="ane 60, cpu 2")  # fmt: skip
        conditions = Conditions("nominal", "nominal", None, None, 80.0, 79.0, False, False)
        report = replace(made, artifact=facts, target=target, fidelity=fidelity, timing=timing, conditions=conditions)
        path = tmp_path / name
        path.write_text(replace(report, **changes).to_json())
        return path

    return make


def take_in(path: Path, artifact: Artifact, out: Path) -> int:
    return on_ios.main([str(path), "--artifacts", str(artifact.folder), "--out", str(out)])


def test_an_export_becomes_a_report(export: Export, hollow_artifact: Artifact, tmp_path: Path, capsys) -> None:
    out = tmp_path / "reports"
    assert take_in(export(), hollow_artifact, out) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    (path,) = out.iterdir()
    report = Report.load(path)
    assert report.verdict.fidelity == "pass" and report.verdict.latency == "valid"
    assert report.target.compute_unit_actual == "ane 60, cpu 2" and path.name.startswith(
        "hollow-tflite-fp32__iPhone-99"
    )


def test_its_verdict_and_its_floors_are_ours(export: Export, hollow_artifact: Artifact, tmp_path: Path, capsys) -> None:
    """The app claims a floor of 0 dB and a pass."""
    assert take_in(export(FLOORS["fp32"].worst_db - 5), hollow_artifact, tmp_path / "reports") == 1
    assert "1 of 1 reports are not well: hollow-tflite-fp32 on iPhone 99 (mean PSNR" in capsys.readouterr().err
    (path,) = (tmp_path / "reports").iterdir()
    report = Report.load(path)
    assert report.verdict.fidelity == "fail" and report.fidelity.psnr_db_worst_floor == FLOORS["fp32"].worst_db


def test_a_throttled_phone_is_said_to_be(export: Export, hollow_artifact: Artifact, tmp_path: Path) -> None:
    hot = Conditions("nominal", "serious", None, None, None, None, None, None)
    assert take_in(export(conditions=hot), hollow_artifact, tmp_path / "reports") == 0
    (path,) = (tmp_path / "reports").iterdir()
    assert Report.load(path).verdict.latency == "invalid"


def test_another_checkpoint_is_said_to_be(export: Export, hollow_artifact: Artifact, tmp_path: Path, capsys) -> None:
    path = export()
    record = json.loads(path.read_text())
    record["fidelity"]["reference_sha256"] = "0" * 64
    path.write_text(json.dumps(record))
    assert take_in(path, hollow_artifact, tmp_path / "reports") == 1
    assert "compared with checkpoint 000000000000" in capsys.readouterr().err
    (path,) = (tmp_path / "reports").iterdir()
    assert Report.load(path).verdict.fidelity == "invalid"


def set_checksum(record: dict[str, Any]) -> None:
    record["artifact"]["sha256"]["model.tflite"] = "0" * 64


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (set_checksum, "another hollow-tflite-fp32 than"),
        (lambda r: r["artifact"].update(bytes=1), "bytes differs"),
        (lambda r: r["artifact"].update(name="other"), "is of 'other', which is not among the artifacts given"),
        (lambda r: r["artifact"].update(name="../../x"), r"is of '../../x', which is not among"),
        (lambda r: r["target"].update(kind="host"), "is of a host"),
        (lambda r: r.update(date="2999-01-01T00:00:00Z"), "in the future"),
        (lambda r: r.update(extra=1), "unknown field 'extra'"),
        (lambda r: r.pop("verdict"), "lacks verdict"),
        (lambda r: r["timing"]["enhance_tile"].update(p50_ms=0.001), "p50_ms is not that of samples_ms"),
        (lambda r: r["fidelity"].update(psnr_db_worst=99.0), "psnr_db_worst is not that of its photos"),
        (lambda r: r["fidelity"]["photos"][0].update(height_px=65), "its golden tile is not 64 x 64 px"),
        (lambda r: r["target"].update(name="a\u001b[2Jb"), "target.name is"),
    ],
)
def test_what_cannot_be_true_is_refused(
    change: Callable[[dict[str, Any]], Any],
    said: str,
    export: Export,
    hollow_artifact: Artifact,
    tmp_path: Path,
    capsys,
) -> None:
    path = export()
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    assert take_in(path, hollow_artifact, tmp_path / "reports") == 1
    error = capsys.readouterr().err
    assert said in error and "export.json" in error and "\u001b" not in error
    assert not (tmp_path / "reports").exists()


def test_hostile_names_stay_in_the_folder(export: Export, hollow_artifact: Artifact, tmp_path: Path) -> None:
    path = export()
    record = json.loads(path.read_text())
    record["target"]["name"] = "../../<script>alert(1)</script>"
    record["pictures"] = [{"photo": "golden", "before": "a.png", "after": "a.png", "reference": "a.png",
                           "error_map": "a.png", "error_amplification": 32, "dslr": None}]  # fmt: skip
    path.write_text(json.dumps(record))
    assert take_in(path, hollow_artifact, tmp_path / "reports") == 0
    (made,) = (tmp_path / "reports").rglob("*")
    assert made.parent == tmp_path / "reports" and "<" not in made.name
    assert Report.load(made).pictures == ()


def test_one_that_is_refused_does_not_stop_the_others(
    export: Export, hollow_artifact: Artifact, tmp_path: Path, capsys
) -> None:
    good, bad = export(), tmp_path / "bad.json"
    bad.write_text("{}")
    arguments = [str(bad), str(good), "--artifacts", str(hollow_artifact.folder), "--out", str(tmp_path / "reports")]
    assert on_ios.main(arguments) == 1
    assert "1 of 2 reports are not well" in capsys.readouterr().err and len(list((tmp_path / "reports").iterdir())) == 1


def test_without_a_mac_it_says_what_to_do(hollow_artifact: Artifact, monkeypatch, tmp_path: Path, capsys) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = ["--artifacts", str(hollow_artifact.folder), "--out", str(tmp_path / "reports")]
    assert on_ios.main(["--destination", "platform=iOS", *arguments]) == 1
    assert "needs a Mac with Xcode; elsewhere give the JSON files" in capsys.readouterr().err
    assert on_ios.main(arguments) == 1
    assert "give either the JSON files" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["", "build", "nothing"])
def test_the_test_target_is_run_and_its_attachments_read(
    fault: str, export: Export, hollow_artifact: Artifact, monkeypatch, tmp_path: Path, capsys
) -> None:
    """With stand-ins for xcodebuild and xcrun, which exist on a Mac only."""
    tools = tmp_path / "tools"
    tools.mkdir()
    copy = "" if fault == "nothing" else f'cp "{export()}" "$7/1A2B.json"'
    build = (
        'echo "error: Signing requires a team" >&2; exit 65'
        if fault == "build"
        else 'case "$*" in *-destination*) ;; *) exit 64;; esac'
    )
    for name, text in [("xcodebuild", build), ("xcrun", f'mkdir -p "$7"; echo "[]" > "$7/manifest.json"\n{copy}')]:
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setattr(on_ios, "APP", tmp_path)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    arguments = ["--destination", "id=1", "--artifacts", str(hollow_artifact.folder), "--out", str(tmp_path / "out")]
    assert on_ios.main(arguments) == (1 if fault else 0)
    said = {"": "", "build": "xcodebuild failed: error: Signing requires a team", "nothing": "attached no report"}[
        fault
    ]
    assert said in capsys.readouterr().err
    assert (tmp_path / "out").exists() == (not fault)
