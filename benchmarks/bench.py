"""The path that all targets share: verify, measure, judge, write the report and what the artifact produced.

A target supplies `measure(artifact, photos, protocol) -> Measurement`, all else is here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.report import SCHEMA_VERSION, ArtifactFacts, Pictures, Protocol, Report, Target, Verdict
from benchmarks.report.latency import summarize
from benchmarks.report.measured import Conditions, Fidelity, Instructions, PhotoFidelity, Sustained, Timing, WholePhoto
from benchmarks.report.verdict import judge
from conversion.artifact import Artifact
from training.commandline import UserError, each
from training.files import locked, replacing
from training.tiling import to_uint8

if TYPE_CHECKING:
    from conversion.fidelity import Floor
    from training.checkpoint import Checkpoint

Array = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
ERROR_WHITE_PERCENTILE = 99.9  # of the errors of a picture: this one and those above are shown white
MAX_AMPLIFICATION = 1 << 20


class BenchError(UserError):
    """An artifact cannot be measured; the message names it and the remedy."""


@dataclass(frozen=True)
class Photo:
    """An oriented sRGB photo [H, W, 3] uint8, and its DSLR partner where there is one."""

    name: str
    simulated: bool
    phone: Pixels
    dslr: Pixels | None


@dataclass(frozen=True)
class Measurement:
    """What a target hands back.

    outputs: per photo [H, W, 3] float32 in [0, 1].
    load_s, analyze_s, enhance_s: samples in seconds, empty where the target has no meaningful time.
    compute_unit: what did the work. memory in 10^6 bytes, resident. What is None or empty, the target cannot tell.
    """

    outputs: tuple[Array, ...]
    load_s: tuple[float, ...]
    analyze_s: tuple[float, ...]
    enhance_s: tuple[float, ...]
    peak_memory_mb: float | None
    baseline_memory_mb: float | None
    compute_unit: str
    tool_versions: dict[str, str]
    instructions: Instructions | None = None
    sustained: Sustained | None = None
    conditions: Conditions | None = None
    whole_photos: tuple[WholePhoto, ...] = ()


Measure = Callable[[Artifact, Sequence[Photo], Protocol], Measurement]


def bench(
    artifact: Artifact,
    reference: Checkpoint,
    photos: Sequence[Photo],
    target: Target,
    protocol: Protocol,
    measure: Measure,
    folder: Path,
    with_pictures: bool = True,
) -> Report:
    """Measure one artifact on one target; writes `<artifact>__<target>.json` and pictures into `folder`.

    Args:
        reference: the checkpoint that the artifact was made from; with another, the verdict on fidelity is invalid.

    Raises:
        BenchError: a photo is too small for the artifact, or an output is no picture.
        ArtifactError: a file differs from its checksum.
    """
    manifest = artifact.verify().manifest
    _refuse_small(photos, artifact)
    measurement = measure(artifact, photos, protocol)
    _refuse_no_pictures(photos, measurement.outputs, artifact)
    references = _references(photos, reference, manifest.tiling.tile_px)
    fidelity = compare(photos, measurement.outputs, references, _floor(artifact), reference.sha256)
    if not measurement.enhance_s:
        protocol = replace(protocol, warm_up_runs=0, runs=0)
    report = Report(
        schema_version=SCHEMA_VERSION,
        artifact=artifact_facts(artifact),
        target=replace(target, compute_unit_actual=measurement.compute_unit),
        protocol=protocol,
        timing=timing(measurement, manifest.tiling.tile_px - 2 * manifest.tiling.halo_px),
        instructions=measurement.instructions,
        sustained=measurement.sustained,
        conditions=measurement.conditions,
        whole_photos=measurement.whole_photos,
        peak_memory_mb=measurement.peak_memory_mb,
        baseline_memory_mb=measurement.baseline_memory_mb,
        fidelity=fidelity,
        verdict=Verdict("invalid", "invalid", ()),  # until it is judged
        tool_versions=measurement.tool_versions,
        date=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        pictures=(),
    )
    report = replace(report, verdict=judge(report))
    with locked(folder, wait=True):  # so that report and pictures are of one run
        pictures = [
            write_pictures(folder, f"{report.stem}/{at}", *shown)
            for at, shown in enumerate(zip(photos, measurement.outputs, references, strict=True))
            if with_pictures
        ]
        report = replace(report, pictures=tuple(pictures))
        report.save(folder)
    return report


def _refuse_small(photos: Sequence[Photo], artifact: Artifact) -> None:
    tiling = artifact.manifest.tiling
    for photo in photos:
        if tiling.border == "shift" and min(photo.phone.shape[:2]) < tiling.tile_px:
            raise BenchError(
                f"{photo.name}: is smaller than a tile of {artifact.folder} ({tiling.tile_px} px); give larger photos"
            )


def _refuse_no_pictures(photos: Sequence[Photo], outputs: Sequence[Array], artifact: Artifact) -> None:
    for photo, output in zip(photos, outputs, strict=True):
        if output.shape != photo.phone.shape or not np.isfinite(output).all():
            raise BenchError(
                f"{artifact.folder}: its output for {photo.name} is not finite or of another size; convert again"
            )


def _references(photos: Sequence[Photo], reference: Checkpoint, tile_px: int) -> list[Array]:
    """What the float network makes of the photos, over the same tiles."""
    from conversion.fidelity import enhance_by  # here, since it brings torch, and scripts parse first
    from training.enhancer import TorchEngine
    from training.photos import from_samples

    engine = TorchEngine(reference.generator)
    return [
        enhance_by(engine, from_samples(photo.phone), reference.generator, tile_px)
        for photo in each(photos, "float reference")
    ]


def _floor(artifact: Artifact) -> Floor | None:
    from conversion.fidelity import floor_of

    manifest = artifact.manifest
    return floor_of(manifest.format, manifest.precision, manifest.io)


def artifact_facts(artifact: Artifact) -> ArtifactFacts:
    manifest = artifact.manifest
    models = {point.file for point in manifest.entry_points}
    delegation = manifest.delegation.get("enhance")
    return ArtifactFacts(
        name=manifest.name,
        format=manifest.format,
        precision=manifest.precision,
        bytes=sum(file.bytes for file in manifest.files if file.path in models),
        sha256={file.path: file.sha256 for file in manifest.files},
        source_checkpoint_sha256=manifest.source.sha256,
        tile_px=manifest.tiling.tile_px,
        halo_px=manifest.tiling.halo_px,
        delegated_nodes=delegation.delegated if delegation else None,
        total_nodes=delegation.total if delegation else None,
    )


def compare(
    photos: Sequence[Photo],
    outputs: Sequence[Array],
    references: Sequence[Array],
    floor: Floor | None,
    reference_sha256: str,
) -> Fidelity:
    """Outputs against references, whole photos [H, W, 3] in [0, 1]."""
    from conversion.fidelity import Floor
    from training.quality import metrics

    compared = tuple(
        PhotoFidelity(
            photo=photo.name,
            simulated=photo.simulated,
            height_px=photo.phone.shape[0],
            width_px=photo.phone.shape[1],
            output_sha256=hashlib.sha256(to_uint8(output).tobytes()).hexdigest(),
            psnr_db=metrics.psnr(output, reference),
            ssim=metrics.ssim(output, reference),
            delta_e_2000=metrics.delta_e(output, reference),
            colour_shift=metrics.colour_shift(output, reference),
        )
        for photo, output, reference in zip(photos, outputs, references, strict=True)
    )
    floor = floor or Floor(0.0, 0.0)
    return Fidelity(
        scope="whole photos",
        reference_sha256=reference_sha256,
        psnr_db_mean=float(np.mean([photo.psnr_db for photo in compared])),
        psnr_db_worst=min(photo.psnr_db for photo in compared),
        psnr_db_mean_floor=float(floor.mean_db),
        psnr_db_worst_floor=float(floor.worst_db),
        ssim_mean=float(np.mean([photo.ssim for photo in compared])),
        delta_e_2000_mean=float(np.mean([photo.delta_e_2000 for photo in compared])),
        colour_shift_worst=max(abs(part) for photo in compared for part in photo.colour_shift),
        photos=compared,
    )


def timing(measurement: Measurement, kept_px: int) -> Timing | None:
    """Figures of a measurement whose tiles keep kept_px x kept_px; None where it was not timed."""
    if not measurement.enhance_s:
        return None
    enhance = summarize(measurement.enhance_s)
    return Timing(
        load_time_ms=summarize(measurement.load_s).p50_ms,
        analyze=summarize(measurement.analyze_s),
        enhance_tile=enhance,
        enhance_ms_per_megapixel=enhance.p50_ms / (kept_px**2 / 1e6),
    )


def write_pictures(folder: Path, stem: str, photo: Photo, output: Array, reference: Array) -> Pictures:
    """PNG files `<stem>-<role>.png` below `folder`."""
    error = np.abs(output - reference)
    amplification = error_amplification(error)
    shown = {
        "before": photo.phone,
        "after": to_uint8(output),
        "reference": to_uint8(reference),
        "error_map": to_uint8(error * amplification),
    }
    if photo.dslr is not None:
        shown["dslr"] = photo.dslr
    paths = {role: f"{stem}-{role}.png" for role in shown}
    for role, pixels in shown.items():
        with replacing(folder / paths[role]) as temporary:
            Image.fromarray(pixels).save(temporary, "PNG")
    return Pictures(photo.name, paths["before"], paths["after"], paths["reference"], paths["error_map"],
                    amplification, paths.get("dslr"))  # fmt: skip


def error_amplification(error: Array) -> int:
    """What shows the errors of a picture best: the power of two that brings the largest ones near white."""
    largest = float(np.percentile(error, ERROR_WHITE_PERCENTILE))
    return 1 << int(np.clip(np.floor(np.log2(1 / largest)), 0, 20)) if largest > 0 else MAX_AMPLIFICATION
