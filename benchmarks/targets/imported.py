"""Reports that an app made and somebody handed over: read strictly, checked against the artifact, judged anew.

What the app measured has to be taken on trust; what follows from it, what it was measured with, and what it is worth do
not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.bench import artifact_facts
from benchmarks.report import Report
from benchmarks.report.verdict import judge
from conversion.artifact import Artifact
from training.commandline import UserError

CLOCKS_DIFFER = timedelta(days=1)


class ImportedError(UserError):
    """A report from elsewhere is not accepted; the message names the file and says why."""


def accept(path: Path, artifacts: Sequence[Artifact]) -> Report:
    """A report of a device, without the pictures and the verdict that it claims, with our floors.

    Args:
        artifacts: what may have been measured, whole by their checksums.

    Raises:
        ReportError: not a report, or one that contradicts itself.
        ImportedError: not of a device, of another artifact than those at hand, or from the future.
    """
    report = Report.load(path)
    if report.target.kind == "host":
        raise ImportedError(f"{path}: is of a host, not of a device; measure on a host with on_host.py")
    written = datetime.strptime(report.date, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    if written > datetime.now(UTC) + CLOCKS_DIFFER:
        raise ImportedError(f"{path}: is dated {report.date}, in the future; set the clock of the device")
    artifact = find_artifact(path, report, artifacts)
    manifest = artifact.manifest
    from conversion.fidelity import Floor, floor_of  # it brings torch, and scripts parse their arguments first

    floor = floor_of(manifest.format, manifest.precision, manifest.io) or Floor(0.0, 0.0)
    fidelity = replace(
        report.fidelity, psnr_db_mean_floor=float(floor.mean_db), psnr_db_worst_floor=float(floor.worst_db)
    )
    side = manifest.tiling.tile_px
    sizes = {(photo.height_px, photo.width_px) for photo in fidelity.photos}
    if fidelity.scope == "golden tile" and sizes != {(side, side)}:
        raise ImportedError(f"{path}: its golden tile is not {side} x {side} px, as that of {artifact.folder}")
    report = replace(report, artifact=artifact_facts(artifact), fidelity=fidelity, pictures=())
    return replace(report, verdict=judge(report))


def find_artifact(path: Path, report: Report, artifacts: Sequence[Artifact]) -> Artifact:
    """The artifact that was measured, by its name and the checksum of every file."""
    claimed = report.artifact
    for artifact in artifacts:
        facts = artifact_facts(artifact)
        if facts.name != claimed.name:
            continue
        measured = replace(claimed, delegated_nodes=facts.delegated_nodes, total_nodes=facts.total_nodes)
        for name, ours in vars(facts).items():
            if getattr(measured, name) != ours:
                raise ImportedError(f"{path}: was measured with another {claimed.name} than {artifact.folder} "
                                    f"({name} differs); give the artifact that the app embeds")  # fmt: skip
        return artifact
    known = ", ".join(artifact.manifest.name for artifact in artifacts)
    raise ImportedError(f"{path}: is of {claimed.name!r:.100}, which is not among the artifacts given ({known})")
