"""artifacts.py: verdicts and bars against the floors, the table, names that want to break it, damaged artifacts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.page.markdown import markdown_table
from benchmarks.studies import artifacts
from conversion.artifact import Artifact, Delegation, Fidelity, Manifest, Quantization
from conversion.fidelity import FLOORS, Floor, below_floor, floor_of

GOOD = Fidelity(24, 100.0, 95.0, 100.0, 95.0, 0.1, 0.001, 0.2, 0.3, None)
WHOLE = {"analyze": Delegation(1, 5, 5), "enhance": Delegation(1, 9, 9)}


@pytest.fixture
def manifest(hollow_artifact: Artifact) -> Manifest:
    return replace(hollow_artifact.manifest, fidelity=GOOD, delegation=WHOLE)


def with_model_of(manifest: Manifest, size_bytes: int) -> Manifest:
    files = tuple(replace(f, bytes=size_bytes) if f.path == "model.tflite" else f for f in manifest.files)
    return replace(manifest, files=files)


def cells(text: str) -> list[list[str]]:
    """Of the lines of a table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_an_artifact_that_keeps_every_bar(manifest: Manifest) -> None:
    row = artifacts.describe(with_model_of(manifest, 600_000))
    assert row["verdict"] == "meets" and row["below_by_db"] is None and row["missed"] is None
    assert row["size_kb"] == 600 and len(row["bars"]) == 8
    assert set(row["bars"].values()) == {"pass"}


@pytest.mark.parametrize(("precision", "bar_kb"), artifacts.SIZE_BARS_KB.items())
def test_the_size_bar_is_of_pocket_only(manifest: Manifest, precision: Any, bar_kb: float) -> None:
    larger = with_model_of(replace(manifest, precision=precision), int(bar_kb * 1000) + 1)
    assert artifacts.describe(larger)["bars"][f"size at most {bar_kb:g} KB"] == "fail"
    assert artifacts.size_bar(artifacts.describe(larger)) == f"{bar_kb:g}, MISSED"
    dped = replace(larger, source=replace(larger.source, generator="dped"))
    assert not any("size" in bar for bar in artifacts.describe(dped)["bars"])
    assert artifacts.size_bar(artifacts.describe(dped)) is None


def test_the_size_bars() -> None:
    assert {artifacts.SIZE_BARS_KB[p] for p in ("w8", "dyn8", "w8a8")} == {150}
    assert (artifacts.SIZE_BARS_KB["fp16"], artifacts.SIZE_BARS_KB["fp32"]) == (300, 600)


@given(
    mean=st.floats(0, 120), worst=st.floats(0, 120), enhance_mean=st.floats(0, 120), enhance_worst=st.floats(0, 120),
    shift=st.floats(0, 0.01), step=st.one_of(st.none(), st.floats(0, 2)),
    precision=st.sampled_from([precision for precision, floor in FLOORS.items() if floor]),
)  # fmt: skip
def test_the_verdict_is_that_of_the_floors(
    mean: float, worst: float, enhance_mean: float, enhance_worst: float, shift: float, step: float | None,
    precision: Any,
) -> None:  # fmt: skip
    fidelity = Fidelity(12, mean, worst, enhance_mean, enhance_worst, 0.0, shift, step, step, None)
    floor = floor_of("tflite", precision, "float")
    assert floor
    verdict, below_by_db = artifacts.judge(fidelity, floor)
    assert (verdict == "meets") == (below_floor(fidelity, floor) is None)
    if below_by_db is not None:  # a floor that much lower would be met, but for shift and step
        lower = Floor(floor.mean_db - below_by_db - 1e-9, floor.worst_db - below_by_db - 1e-9)
        assert "PSNR" not in (below_floor(fidelity, lower) or "")
    elif verdict == "below":
        assert shift > 0.002 or (step is not None and step > 0.5)


def test_what_misses_is_said_by_how_much(manifest: Manifest) -> None:
    poor = replace(GOOD, psnr_mean_db=99.0, enhance_psnr_worst_db=81.25, colour_shift_worst=0.003)
    row = artifacts.describe(replace(manifest, fidelity=poor))
    assert artifacts.verdict(row) == "below by 3.75 dB"
    assert [bar for bar, outcome in row["bars"].items() if outcome == "fail"] == [
        "worst PSNR at least 85 dB", "colour shift at most 0.002",
    ]  # fmt: skip
    (note,) = artifacts.notes([row])
    assert "81.2 dB (floor 85)" in note and "colour shift 0.0030" in note

    shifted = artifacts.describe(replace(manifest, fidelity=replace(GOOD, colour_shift_worst=0.003)))
    assert artifacts.verdict(shifted) == "below" and shifted["below_by_db"] is None


def test_the_floor_of_conversion_does_not_count(manifest: Manifest) -> None:
    """A manifest that was content with less is still below the project's floor, and the other way about."""
    lax = replace(GOOD, psnr_worst_db=60.0, below_floor=None)
    assert artifacts.describe(replace(manifest, fidelity=lax))["verdict"] == "below"
    strict = replace(GOOD, below_floor="mean PSNR 100.0 dB (floor 110)")
    assert artifacts.describe(replace(manifest, fidelity=strict))["verdict"] == "meets"


def test_no_fidelity_and_no_floor(manifest: Manifest) -> None:
    absent = artifacts.describe(replace(manifest, fidelity=None))
    assert artifacts.verdict(absent) == "not measured here"
    assert absent["bars"]["mean PSNR at least 90 dB"] == "not measured"
    free = artifacts.describe(replace(manifest, precision="pal4", fidelity=replace(GOOD, psnr_worst_db=20.0)))
    assert artifacts.verdict(free) == "no floor" and free["missed"] is None
    assert not any("PSNR" in bar for bar in free["bars"])


@pytest.mark.parametrize(
    ("taken", "outcome"),
    [
        (Delegation(1, 9, 9), "pass"),
        (Delegation(2, 9, 9), "fail"),
        (Delegation(1, 8, 9), "fail"),
        (Delegation(1, 8, 9, ("quantize",)), "pass"),
        (Delegation(1, 8, 9, ("CONV_2D",)), "fail"),
        (None, "not measured"),
    ],
)
def test_delegation(manifest: Manifest, taken: Delegation | None, outcome: str) -> None:
    row = artifacts.describe(replace(manifest, delegation={"analyze": taken, "enhance": Delegation(1, 9, 9)}))
    bars = {bar: kept for bar, kept in row["bars"].items() if "delegate" in bar}
    assert list(bars.values()) == [outcome, "pass"]
    told = f"analyze {taken.delegated} of 9 in {taken.delegates}" if taken else "analyze not told"
    assert artifacts.delegation(row) == f"{told}; enhance 9 of 9 in 1"


def test_rows_are_grouped_and_in_order(manifest: Manifest) -> None:
    dped = replace(manifest, source=replace(manifest.source, name="another", generator="dped", sha256="a" * 64))
    dyn8, pal6 = replace(manifest, precision="dyn8"), replace(manifest, precision="pal6", format="coreml")
    rows = sorted((artifacts.describe(m) for m in (dped, pal6, dyn8, manifest)), key=artifacts.order)
    text = artifacts.markdown(rows)
    assert [line for line in text.splitlines() if line.startswith("#")] == ["### tiny", "### another"]
    assert [row["precision"] for row in rows] == ["fp32", "dyn8", "pal6", "fp32"]


HOSTILE = "a|b\n# <script>alert(1)</script> [x](http://evil.example) `code` **bold**"


def test_hostile_text_does_not_break_the_table(manifest: Manifest) -> None:
    hostile = replace(
        manifest,
        source=replace(manifest.source, name=HOSTILE),
        licence=HOSTILE,
        delegation={"analyze": Delegation(1, 1, 2, (HOSTILE,)), "enhance": None},
        quantization=Quantization("w", "a", "f", (HOSTILE,), 0, None),
        tools={HOSTILE: "1"},
    )
    text = artifacts.markdown([artifacts.describe(hostile)])
    assert "<script" not in text and "[x]" not in text and "http://" not in text
    assert [line for line in text.splitlines() if line.startswith("#")] == [text.splitlines()[0]]
    unescaped = [line.replace(r"\|", "") for line in text.splitlines() if line.startswith("|")]
    assert len(unescaped) == 3 and {line.count("|") for line in unescaped} == {len(artifacts.COLUMNS) + 1}


@given(st.lists(st.text(), min_size=2, max_size=2))
def test_any_text_stays_in_its_cell(row: list[str]) -> None:
    lines = markdown_table([("text", True), ("figure", False)], [row]).splitlines()
    assert len(lines) == 3 and lines[2].replace("\\\\", "").replace(r"\|", "").count("|") == 3


def test_end_to_end(hollow_artifact: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results"
    assert artifacts.main([str(hollow_artifact.folder), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == str(out / "artifacts.json")
    assert said.startswith((out / "artifacts.md").read_text())
    (row,) = json.loads((out / "artifacts.json").read_text())
    assert row["name"] == "hollow-tflite-fp32" and row["fidelity"]["psnr_worst_db"] == 100
    assert row["bars"]["at least 12 photos"] == "fail"
    (shown,) = cells(said)
    assert shown[:4] == ["tflite", "litert", "float", "fp32"] and shown[-1] == "meets"
    assert "100.0 (90)" in shown and "analyze not told; enhance 7 of 9 in 1" in shown


def test_a_damaged_artifact_is_refused(
    hollow_artifact: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (hollow_artifact.folder / "model.tflite").write_text("not A model")
    assert artifacts.main([str(hollow_artifact.folder), "--out", str(tmp_path / "results")]) == 1
    assert "model.tflite: differs from its checksum" in capsys.readouterr().err
    assert artifacts.main([str(tmp_path / "absent"), "--out", str(tmp_path / "results")]) == 1
    assert "manifest.json: no such file" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_rows_of_other_artifacts_stay_but_not_of_other_weights(hollow_artifact: Artifact, tmp_path: Path) -> None:
    arguments = [str(hollow_artifact.folder), "--out", str(tmp_path)]
    assert artifacts.main(arguments) == 0
    (mine,) = json.loads((tmp_path / "artifacts.json").read_text())
    (tmp_path / "artifacts.json").write_text(
        json.dumps(
            [
                mine | {"checkpoint": "another", "name": "another"},
                mine | {"precision": "w8", "name": "not given"},
                mine | {"precision": "fp16", "name": "of the last time", "checkpoint_sha256": "0" * 64},
            ]
        )
    )
    assert artifacts.main(arguments) == 0
    rows = json.loads((tmp_path / "artifacts.json").read_text())
    assert sorted((row["checkpoint"], row["precision"]) for row in rows) == sorted(
        [("another", "fp32"), (mine["checkpoint"], "fp32"), (mine["checkpoint"], "w8")]
    )


def test_a_broken_file_of_the_last_time_is_named(
    hollow_artifact: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "artifacts.json").write_text('[{"name": 1}]')
    assert artifacts.main([str(hollow_artifact.folder), "--out", str(tmp_path)]) == 1
    assert "artifacts.json: not what this command writes" in capsys.readouterr().err
