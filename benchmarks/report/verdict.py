"""What a report is worth: `judge` concludes it from the figures alone (standard library only).

Whoever imports a report from elsewhere judges it anew and does not believe the verdict that it brings.
"""

from __future__ import annotations

import logging

from benchmarks.report import ArtifactFacts, FidelityVerdict, LatencyVerdict, Protocol, Report, Target, Verdict
from benchmarks.report.latency import percentile
from benchmarks.report.measured import Conditions, Fidelity, Timing

RUNS_LEAST = 10  # nearest-rank p90 of fewer is their maximum
SPREAD_MOST = 0.5  # (p90 - p10) / p50; beyond it the median says little
DRIFT_MOST = 1.25  # median of the last third of the runs over that of the first third
THROTTLED = ("serious", "critical")
log = logging.getLogger(__name__)


def judge(report: Report) -> Verdict:
    """The verdict that a report deserves; the one that it carries is not looked at."""
    fidelity, why_not_faithful = judge_fidelity(report.artifact, report.fidelity)
    latency, why_not_valid = judge_latency(report.target, report.protocol, report.timing, report.conditions)
    return Verdict(fidelity, latency, (*why_not_faithful, *why_not_valid))


def what_fails(report: Report) -> list[str]:
    """What is wrong with the fidelity of a report, or nothing; the verdict is logged either way."""
    fidelity, verdict, name = report.fidelity, report.verdict, f"{report.artifact.name} on {report.target.name}"
    log.info("%s: fidelity %s, PSNR to float %.2f dB mean, %.2f dB worst; latency %s", name, verdict.fidelity,
             fidelity.psnr_db_mean, fidelity.psnr_db_worst, verdict.latency)  # fmt: skip
    for reason in verdict.reasons:
        log.info("  %s", reason)
    return [] if verdict.fidelity == "pass" else [f"{name} ({'; '.join(verdict.reasons)})"]


def judge_fidelity(artifact: ArtifactFacts, fidelity: Fidelity) -> tuple[FidelityVerdict, list[str]]:
    if fidelity.reference_sha256 != artifact.source_checkpoint_sha256:
        return "invalid", [
            f"compared with checkpoint {fidelity.reference_sha256[:12]}, but the artifact was made from "
            f"{artifact.source_checkpoint_sha256[:12]}"
        ]
    reasons = [
        f"{what} {value:.2f} dB is below the floor of {floor:g} dB"
        for what, value, floor in [
            ("mean PSNR", fidelity.psnr_db_mean, fidelity.psnr_db_mean_floor),
            ("worst PSNR", fidelity.psnr_db_worst, fidelity.psnr_db_worst_floor),
        ]
        if not value >= floor  # so that NaN fails
    ]
    return ("fail" if reasons else "pass"), reasons


def judge_latency(
    target: Target, protocol: Protocol, timing: Timing | None, conditions: Conditions | None
) -> tuple[LatencyVerdict, list[str]]:
    """Valid on a physical device only; an emulator or a host is unranked as a phone, invalid if it measured badly."""
    if timing is None:
        if target.kind == "physical":
            return "invalid", ["no run was timed"]
        return ("unranked" if target.kind == "emulated" else "evaluator: fidelity only"), []
    reasons = []
    if protocol.runs < RUNS_LEAST:
        reasons.append(f"{protocol.runs} timed runs are too few, {RUNS_LEAST} are needed")
    spread = timing.enhance_tile.relative_spread
    if spread > SPREAD_MOST:
        reasons.append(f"the runs spread by {spread:.0%} of their median, at most {SPREAD_MOST:.0%} says something")
    slower = drift(timing.enhance_tile.samples_ms)
    if slower > DRIFT_MOST:
        reasons.append(
            f"the last third of the runs took {slower:.2f} times as long as the first, the device slowed down"
        )
    reasons += throttled(conditions) if conditions else []
    if reasons:
        return "invalid", reasons
    return ("valid" if target.kind == "physical" else "unranked"), []


def drift(samples_ms: tuple[float, ...]) -> float:
    """Median of the last third over median of the first; 1 where there are too few to tell."""
    third = len(samples_ms) // 3
    if third < 3:
        return 1.0
    return percentile(samples_ms[-third:], 50) / percentile(samples_ms[:third], 50)


def throttled(conditions: Conditions) -> list[str]:
    """Why the device was not at its full speed."""
    reasons = [
        f"the device was throttled: thermal state {state} {when} the runs"
        for when, state in [("before", conditions.thermal_before), ("after", conditions.thermal_after)]
        if state in THROTTLED
    ]
    if conditions.low_power_mode:
        reasons.append("the device was in low power mode")
    return reasons
