from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.report import Report
from benchmarks.report.latency import summarize
from benchmarks.report.measured import Conditions, Timing
from benchmarks.report.verdict import RUNS_LEAST, judge

COOL = Conditions("nominal", "fair", 30.0, 33.5, 80.0, 78.0, False, False)


@pytest.fixture
def phone_report(make_report) -> Report:
    """A report of a phone with which all is well."""
    report = make_report()
    return replace(report, target=replace(report.target, kind="physical", name="a phone"), conditions=COOL)


def timed(report: Report, *samples_ms: float) -> Report:
    assert report.timing
    tile = summarize([sample / 1e3 for sample in samples_ms])
    kept_px = (report.artifact.tile_px - 2 * report.artifact.halo_px) ** 2
    timing = Timing(report.timing.load_time_ms, report.timing.analyze, tile, tile.p50_ms / kept_px * 1e6)
    return replace(report, timing=timing, protocol=replace(report.protocol, runs=len(samples_ms)))


@pytest.mark.parametrize(("kind", "latency"), [("physical", "valid"), ("host", "unranked"), ("emulated", "unranked")])
def test_only_a_physical_device_has_a_valid_latency(kind: Any, latency: str, phone_report: Report) -> None:
    verdict = judge(replace(phone_report, target=replace(phone_report.target, kind=kind)))
    assert (verdict.fidelity, verdict.latency, verdict.reasons) == ("pass", latency, ())


def test_another_checkpoint_is_no_reference(phone_report: Report) -> None:
    verdict = judge(replace(phone_report, fidelity=replace(phone_report.fidelity, reference_sha256="0" * 64)))
    assert verdict.fidelity == "invalid" and verdict.latency == "valid"
    assert verdict.reasons == ("compared with checkpoint 000000000000, but the artifact was made from bbbbbbbbbbbb",)


@pytest.mark.parametrize("floor", ["psnr_db_mean_floor", "psnr_db_worst_floor"])
def test_below_a_floor_fails(floor: str, phone_report: Report) -> None:
    verdict = judge(replace(phone_report, fidelity=replace(phone_report.fidelity, **{floor: 119.0})))
    assert verdict.fidelity == "fail"
    (reason,) = verdict.reasons
    assert f"{floor.split('_')[2]} PSNR" in reason and "below the floor of 119 dB" in reason


def test_too_few_runs_are_invalid(phone_report: Report) -> None:
    few = timed(phone_report, *[1.0] * (RUNS_LEAST - 1))
    assert judge(few).latency == "invalid" and judge(few).reasons == ("9 timed runs are too few, 10 are needed",)
    assert judge(timed(phone_report, *[1.0] * RUNS_LEAST)).latency == "valid"


@pytest.mark.parametrize("when", ["thermal_before", "thermal_after"])
@pytest.mark.parametrize("state", ["serious", "critical"])
def test_a_throttled_device_is_invalid(when: str, state: Any, phone_report: Report) -> None:
    verdict = judge(replace(phone_report, conditions=replace(COOL, **{when: state})))
    assert verdict.latency == "invalid" and f"thermal state {state}" in verdict.reasons[0]


def test_low_power_mode_is_invalid(phone_report: Report) -> None:
    assert judge(replace(phone_report, conditions=replace(COOL, low_power_mode=True))).latency == "invalid"


def test_a_device_that_slows_down_is_invalid_whatever_it_says(phone_report: Report) -> None:
    verdict = judge(timed(phone_report, *[1.0] * 10, *[1.3] * 10))
    assert verdict.latency == "invalid" and "1.30 times as long" in verdict.reasons[0]
    assert judge(timed(phone_report, *[1.0, 1.3] * 10)).latency == "valid"


def test_runs_that_disagree_are_invalid(phone_report: Report) -> None:
    assert judge(timed(phone_report, *[1.0, 2.0] * 10)).latency == "invalid"


def test_a_phone_that_timed_nothing_is_invalid(phone_report: Report) -> None:
    untimed = replace(phone_report, timing=None, protocol=replace(phone_report.protocol, runs=0))
    assert judge(untimed).reasons == ("no run was timed",)
    assert judge(replace(untimed, target=replace(untimed.target, kind="emulated"))).latency == "unranked"


def test_all_that_is_wrong_is_said(phone_report: Report) -> None:
    bad = replace(phone_report, fidelity=replace(phone_report.fidelity, psnr_db_worst_floor=119.0))
    bad = replace(timed(bad, 1.0, 1.0), conditions=replace(COOL, thermal_after="serious"))
    verdict = judge(bad)
    assert (verdict.fidelity, verdict.latency, len(verdict.reasons)) == ("fail", "invalid", 3)


def test_the_verdict_that_a_report_brings_is_not_believed(phone_report: Report) -> None:
    bad = replace(phone_report, fidelity=replace(phone_report.fidelity, psnr_db_worst_floor=119.0))
    assert bad.verdict.fidelity == "pass" and judge(bad).fidelity == "fail"
