from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import choose
from benchmarks.page.made_up import write_reports
from benchmarks.page.plots import pareto_front
from benchmarks.report import Report

Points = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda p: (float(p[0]), float(p[1]))), max_size=12
)


@given(Points)
def test_the_front_is_what_no_other_beats(points: list[tuple[float, float]]) -> None:
    front = [points[at] for at in pareto_front(points)]

    def beaten(point: tuple[float, float]) -> bool:
        return any(other[0] <= point[0] and other[1] >= point[1] and other != point for other in points)

    assert sorted(set(front)) == sorted({point for point in points if not beaten(point)})
    assert len(set(front)) == len(front) and front == sorted(front)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up reports of a host and an emulated phone."""
    folder = tmp_path_factory.mktemp("reports")
    write_reports(folder, 20)
    return folder


def reports_of(folder: Path, target: str) -> dict[str, Report]:
    reports = (Report.load(path) for path in folder.glob("*.json"))
    return {report.artifact.name: report for report in reports if report.target.name == target}


def chosen(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.split("ship ")[1].split(":")[0]


def test_the_most_faithful_within_a_size(folder: Path, tmp_path: Path, capsys) -> None:
    arguments = [str(folder), "--target", "made-up host", "--size-kb", "300", "--out", str(tmp_path)]
    assert choose.main(arguments) == 0
    within = {n: r for n, r in reports_of(folder, "made-up host").items() if r.artifact.bytes <= 300e3}
    assert chosen(capsys) == max(within, key=lambda name: within[name].fidelity.psnr_db_worst) == "made-up-tflite-fp16"
    said = (tmp_path / "CHOICE.md").read_text()
    assert "Ship **made-up-tflite-fp16**." in said and "above the budget" in said
    drawing = ET.parse(tmp_path / "pareto.svg").getroot()
    assert len(drawing.findall(".//{*}g[@data-of]")) == 10
    assert [text.text for text in drawing.iter() if (text.text or "").startswith("ship ")] == ["ship fp16"]


def test_the_cheapest_that_is_faithful_enough(folder: Path, tmp_path: Path, capsys) -> None:
    arguments = [str(folder), "--target", "made-up emulated a53", "--psnr-db", "60", "--out", str(tmp_path)]
    assert choose.main(arguments) == 0
    good = {n: r for n, r in reports_of(folder, "made-up emulated a53").items() if r.fidelity.psnr_db_worst >= 60}
    assert chosen(capsys) == min(good, key=lambda name: good[name].instructions.instructions_per_px)


def test_nothing_that_meets_says_by_how_much(folder: Path, tmp_path: Path, capsys) -> None:
    arguments = [str(folder), "--target", "made-up host", "--psnr-db", "60", "--size-kb", "200"]
    assert choose.main([*arguments, "--out", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert (
        "nothing on made-up host meets the budget; nearest: made-up-tflite-dyn8: PSNR of the worst photo 47.9 dB, "
        in (said.err)
    )
    assert "12.1 below the budget" in said.err and not said.out
    assert "Nothing meets the budget" in (tmp_path / "CHOICE.md").read_text() and (tmp_path / "pareto.svg").is_file()


def test_what_fails_or_was_measured_badly_is_not_named(folder: Path, tmp_path: Path, capsys) -> None:
    pal6 = reports_of(folder, "made-up host")["made-up-coreml-pal6"]
    assert pal6.verdict.fidelity == "fail"
    budget = ["--target", "made-up host", "--size-kb", "140", "--psnr-db", "33", "--out", str(tmp_path)]
    assert choose.main([str(folder), *budget]) == 1
    (row,) = [line for line in (tmp_path / "CHOICE.md").read_text().splitlines() if "made-up-coreml-pal6" in line]
    assert "fidelity: fail, mean PSNR 38.70 dB is below the floor of 44 dB" in row
    capsys.readouterr()
    one = tmp_path / "one"
    report = reports_of(folder, "made-up host")["made-up-tflite-fp16"]
    replace(report, verdict=replace(report.verdict, latency="invalid"), pictures=()).save(one)
    assert choose.main([str(one), "--ms-per-mp", "1000000", "--out", str(tmp_path)]) == 1
    assert "no valid latency in its report" in capsys.readouterr().err


def test_targets_are_never_mixed(folder: Path, tmp_path: Path, capsys) -> None:
    assert choose.main([str(folder), "--size-kb", "300", "--out", str(tmp_path)]) == 1
    assert "name one with --target: made-up emulated a53, made-up host" in capsys.readouterr().err
    assert choose.main([str(folder), "--target", "x", "--size-kb", "300", "--out", str(tmp_path)]) == 1
    assert "no report of --target x; targets: made-up emulated a53" in capsys.readouterr().err
    assert choose.main([str(folder), "--target", "made-up host", "--out", str(tmp_path)]) == 1
    assert "give at least one budget: --psnr-db" in capsys.readouterr().err
    assert choose.main([str(tmp_path / "none"), "--size-kb", "300", "--out", str(tmp_path)]) == 1
    assert "no report in it" in capsys.readouterr().err
