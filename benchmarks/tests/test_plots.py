"""Drawings: what lies where, in units of the drawing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.page.drawings import instruction_classes, latency_strips, photo_bars, sustained_lines
from benchmarks.page.made_up import write_reports
from benchmarks.page.pictures import group_equal_outputs
from benchmarks.page.plots import COSTS, Axis, trade_off, trade_offs
from benchmarks.page.tables import Device, Filters, group_by_kind
from benchmarks.report import Report

SIZE, LATENCY, INSTRUCTIONS = COSTS


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=30))
def test_an_axis_keeps_order_and_has_room_and_ticks(values: list[float]) -> None:
    axis = Axis.over(values, 10, 210)
    places = [axis(value) for value in sorted(values)]
    assert places == sorted(places) and min(places) >= 10 and max(places) <= 210
    assert all(10 <= place <= 210 for place, _ in axis.ticks()) and len(axis.ticks()) <= 12


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[Report]:
    """Of a host, four emulated phones and a physical one, all made up."""
    return write_reports(tmp_path_factory.mktemp("reports"), 60)


@pytest.fixture
def device(reports: list[Report]) -> Callable[[str], Device]:
    groups = group_by_kind(reports, Filters(reports))
    return lambda name: next(device for group in groups for device in group.devices if device.name == name)


def test_a_table_never_mixes_targets(reports: list[Report]) -> None:
    groups = group_by_kind(reports, Filters(reports))
    assert [group.title for group in groups] == ["Physical devices", "Emulated phones", "Host"]
    for group in groups:
        for table in group.devices:
            assert {report.target.name for report in table.reports} == {table.name}
            assert len({report.target.kind for report in table.reports}) == 1
    assert sum(len(table.rows) for group in groups for table in group.devices) == len(reports)


def test_an_emulator_has_instructions_and_no_time(device, reports: list[Report]) -> None:
    emulated = device("made-up emulated a53")
    labels = [label for label, _ in emulated.columns]
    assert "Instructions per px" in labels and not [label for label in labels if "ms" in label]
    classes = instruction_classes(emulated, Filters(reports))
    assert classes and classes.names == ("load store", "vector") and classes.rows[0].cells == ("25.0 %", "50.0 %")
    assert latency_strips(emulated, Filters(reports)) is None and photo_bars(emulated, Filters(reports)) == []
    assert [plot.x_label for plot in trade_offs(emulated, Filters(reports))] == [SIZE.label, INSTRUCTIONS.label]


def test_the_best_lies_top_left_and_on_the_front(device, reports: list[Report]) -> None:
    host = device("made-up host")
    plot = trade_off("t", SIZE, host.reports, Filters(reports))
    assert plot and len(plot.points) == 10
    by_name = dict(zip((report.artifact.name for report in host.reports), plot.points, strict=True))
    small, large = by_name["made-up-coreml-pal4"], by_name["made-up-executorch-fp32"]
    assert small.x < large.x and small.y > large.y, "fidelity grows upwards"
    assert f"H{by_name['made-up-tflite-fp16'].x}" in plot.front and not by_name["made-up-coreml-pal6"].passes


def test_what_was_measured_badly_is_not_on_the_front(make_report, reports: list[Report]) -> None:
    good, bad = make_report("good", seed=1), make_report("bad", seed=2)
    bad = replace(bad, verdict=replace(bad.verdict, latency="invalid"))
    filters = Filters([good, bad])
    latency, size = (trade_off("t", cost, [good, bad], filters) for cost in (LATENCY, SIZE))
    assert latency and [point.passes for point in latency.points] == [True, False]
    assert size and [point.passes for point in size.points] == [True, True]
    assert trade_off("t", LATENCY, [good], filters) is None


def test_every_run_is_drawn_and_shares_add_up(device, reports: list[Report]) -> None:
    phone, filters = device("made-up phone 1"), Filters(reports)
    strips = latency_strips(phone, filters)
    assert strips and all(len(row.samples) == 20 and row.p50 <= row.p90 for row in strips.rows)
    assert [row.p50 for row in strips.rows] == sorted(row.p50 for row in strips.rows), "fastest first"
    for bar in photo_bars(phone, filters):
        assert sum(stage.width for stage in bar.stages) == pytest.approx(100, abs=0.05) and bar.mosaic
    run = sustained_lines(phone, filters)
    assert run and run.last == "10 min" and len(run.lines) == 10 and "1.28 times as long" in run.lines[0].text


def test_equal_outputs_are_one_picture(reports: list[Report]) -> None:
    pictured = [(r.fidelity.photos[0], r, r.pictures[0]) for r in reports if r.artifact.name == "made-up-tflite-dyn8"]
    assert sorted(map(len, group_equal_outputs(pictured))) == [1, 1, 4], "host, phone, and four alike"


def test_a_filter_finds_each_report_once(reports: list[Report], tmp_path: Path) -> None:
    filters = Filters(reports)
    tokens = [filters.of(report) for report in reports]
    assert len(set(tokens)) == 6 * 3 and set(filters.of(*reports).split()) == set(tokens)
