"""python benchmarks/on_host.py ARTIFACT_FOLDER... [--checkpoint NAME_OR_PATH] [--photos DIR] [--out runs/reports]

One report per artifact, measured on this machine, each artifact in a fresh process. ExecuTorch and TFLite are timed; a
Core ML package is timed on a Mac, by Core ML itself, and elsewhere runs in an evaluator of its program, which proves
its fidelity and has no meaningful latency. `--old-tflite`: TFLite artifacts also in tflite-runtime 2.14, in an
environment of its own. `--whole-photos 12 48`: photos of so many megapixels from file to file, too.
Exit code 1 if an artifact is below its floor; the reports are written all the same and say so.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import logging
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.bench import BenchError, Measure, Measurement, Photo, Pixels, bench
from benchmarks.report import Protocol, Target
from benchmarks.report.verdict import what_fails
from benchmarks.targets import host
from benchmarks.targets.host.whole_photos import WholePhotoError, measure_whole_photos, wanted
from benchmarks.targets.references import add_references, find_references, read_pairs, read_photos
from conversion.artifact import Artifact, ArtifactError, Manifest
from conversion.runtimes import RUNTIMES
from conversion.runtimes.tflite_old import REQUIREMENTS, OldRuntimeError, TfliteOldEngine, environment
from training.commandline import run, whole
from training.enhancer import enhance_photo, to_planes
from training.files import workspace
from training.photos import from_samples
from training.tiling import Tiling, plan, read_tile, thumbnail

log = logging.getLogger(__name__)

EVALUATOR = "MIL evaluator in Python"
OLD_TFLITE = "tflite-runtime-2.14"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="on_host.py", description="Artifacts -> reports, measured on this machine.")
    parser.add_argument("artifacts", type=Path, nargs="+", metavar="ARTIFACT_FOLDER", help="what a to_*.py made")
    add_references(parser)
    parser.add_argument("--threads", type=whole(1, 1024), default=2, help="of the runtime (default: %(default)s)")
    parser.add_argument(
        "--warm-up", type=whole(0, 10_000), default=3, metavar="N", help="runs not counted (default: %(default)s)"
    )
    parser.add_argument(
        "--runs", type=whole(1, 100_000), default=20, help="timed runs per entry point (default: %(default)s)"
    )
    parser.add_argument(
        "--whole-photos",
        nargs="+",
        default=[],
        metavar="PHOTO_OR_MP",
        help="time these from file to file: photos, or megapixels of a mosaic of the sample",
    )
    parser.add_argument("--old-tflite", action="store_true", help="TFLite artifacts in tflite-runtime 2.14, too")
    parser.add_argument(
        "--compute-unit",
        choices=["all", "cpu", "gpu", "ane"],
        default="all",
        help="of Core ML, on a Mac (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/reports"), metavar="FOLDER",
                        help="where reports and pictures go (default: %(default)s)")  # fmt: skip
    return run(parser, body, argv)


def body(args: argparse.Namespace) -> Path:
    artifacts = [Artifact.load(folder) for folder in args.artifacts]
    references = find_references(artifacts, args.checkpoint)
    photos = read_photos(args.photos) if args.photos else read_pairs(args.pairs)
    protocol = Protocol(args.warm_up, args.runs, args.threads, cool_down_s=0.0)
    failed: list[str] = []
    with workspace() as folder:
        whole_photos = wanted(args.whole_photos, folder)
        for artifact, reference in zip(artifacts, references, strict=True):
            log.info("%s: %d photos", artifact.manifest.name, len(photos))
            for target, measure_it in ways(artifact, args, whole_photos):
                try:
                    report = bench(artifact, reference, photos, target, protocol, measure_it, args.out)
                except (BenchError, ArtifactError, OldRuntimeError, WholePhotoError) as error:
                    failed.append(str(error))
                    continue
                failed += what_fails(report)
    if failed:
        raise BenchError(f"{args.out}: what could be measured is written, but not all is well: {'; '.join(failed)}; "
                         "convert again or choose another precision")  # fmt: skip
    return args.out


def ways(
    artifact: Artifact, args: argparse.Namespace, whole_photos: Sequence[tuple[Path, bool]]
) -> Iterator[tuple[Target, Measure]]:
    """The targets of this machine on which an artifact runs."""
    format_ = artifact.manifest.format
    unit = args.compute_unit if format_ == "coreml" and sys.platform == "darwin" else None
    yield this_machine(unit or "cpu"), partial(measure, whole_photos=whole_photos, compute_unit=unit)
    if format_ == "tflite" and args.old_tflite:
        here = this_machine("cpu")
        yield replace(here, name=f"{here.name}-{OLD_TFLITE}"), measure_old_tflite


def measure(
    artifact: Artifact,
    photos: Sequence[Photo],
    protocol: Protocol,
    whole_photos: Sequence[tuple[Path, bool]] = (),
    compute_unit: str | None = None,
) -> Measurement:
    """Run an artifact in a process of its own.

    Args:
        whole_photos: files to time from file to file, and whether each is a mosaic; not in the evaluator.
        compute_unit: of Core ML on a Mac; None elsewhere, where the evaluator runs its packages.

    Raises:
        BenchError: the process failed or crashed.
    """
    manifest = artifact.manifest
    evaluated = manifest.format == "coreml" and compute_unit is None
    with workspace() as folder:
        request = {
            "artifact": str(artifact.folder.resolve()),
            "photos": len(photos),
            "threads": protocol.threads,
            "warm_up_runs": protocol.warm_up_runs,
            "runs": 0 if evaluated else protocol.runs,
            "cool_down_s": protocol.cool_down_s,
            "compute_unit": compute_unit,
        }
        (folder / "request.json").write_text(json.dumps(request))
        for at, photo in enumerate(photos):
            np.save(folder / f"{at}.npy", photo.phone)
            small = thumbnail(photo.phone, manifest.thumbnail_px, manifest.thumbnail_px)
            np.save(folder / f"{at}.thumbnail.npy", to_planes(small) / np.float32(255))
        np.save(folder / "tile.npy", to_planes(first_tile(photos[0].phone, manifest)) / np.float32(255))
        command = [sys.executable, "-m", host.__name__ + ".process", str(folder)]
        process = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if process.returncode:
            said = (process.stderr.strip().splitlines() or ["it said nothing"])[-1]
            how = f"crashed by signal {-process.returncode}" if process.returncode < 0 else "failed"
            raise BenchError(f"{artifact.folder}: its process {how}: {said}")
        result = json.loads((folder / "result.json").read_text())
        outputs = tuple(np.load(folder / f"{at}.out.npy", allow_pickle=False) for at in range(len(photos)))
    return Measurement(
        outputs=outputs,
        load_s=tuple(result["load_s"]),
        analyze_s=tuple(result["analyze_s"]),
        enhance_s=tuple(result["enhance_s"]),
        peak_memory_mb=result["peak_mb"],
        baseline_memory_mb=result["baseline_mb"],
        compute_unit=EVALUATOR if evaluated else result["compute_unit"] or "cpu",
        tool_versions=tool_versions(RUNTIMES[manifest.format].package),
        whole_photos=() if evaluated else measure_whole_photos(artifact, whole_photos, protocol.threads, compute_unit),
    )


def measure_old_tflite(artifact: Artifact, photos: Sequence[Photo], protocol: Protocol) -> Measurement:
    """Run a TFLite artifact in tflite-runtime 2.14, the times without what goes to its process and back.

    Raises:
        OldRuntimeError: it cannot be had on this machine.
        ArtifactError: it refuses the model.
    """
    manifest = artifact.manifest
    engine = TfliteOldEngine(environment(), artifact.folder, manifest.entry_points, protocol.threads)
    spec = manifest.tiling
    tiling = Tiling(spec.halo_px, spec.align_px, spec.border)
    try:
        small = [to_planes(thumbnail(photo.phone, *2 * [manifest.thumbnail_px])) / np.float32(255) for photo in photos]
        conditions = [engine.analyze(each) for each in small]
        tile = to_planes(first_tile(photos[0].phone, manifest)) / np.float32(255)
        analyze_s = engine.time_runs("analyze", [small[0]], protocol.warm_up_runs, protocol.runs)
        enhance_s = engine.time_runs("enhance", [tile, *conditions[0]], protocol.warm_up_runs, protocol.runs)
        load_s, peak_mb, baseline_mb = engine.load_s, engine.peak_mb, engine.baseline_mb
        outputs = tuple(
            enhance_photo(from_samples(photo.phone), engine, tiling, spec.tile_px, condition)
            for photo, condition in zip(photos, conditions, strict=True)
        )
    finally:
        engine.close()
    return Measurement(
        outputs=outputs,
        load_s=(load_s,),
        analyze_s=tuple(analyze_s),
        enhance_s=tuple(enhance_s),
        peak_memory_mb=peak_mb,
        baseline_memory_mb=baseline_mb,
        compute_unit="cpu",
        tool_versions=dict(requirement.split("==") for requirement in REQUIREMENTS),
    )


def first_tile(photo: Pixels, manifest: Manifest) -> Pixels:
    """The tile that is timed: [tile_px, tile_px, 3] at the corner of a photo."""
    spec = manifest.tiling
    tiling = Tiling(spec.halo_px, spec.align_px, spec.border)
    return read_tile(photo, next(plan(photo.shape[0], photo.shape[1], spec.tile_px, tiling)))


def tool_versions(runtime: str) -> dict[str, str]:
    packages = {package: importlib.metadata.version(package) for package in (runtime, "numpy", "torch")}
    return {"python": platform.python_version(), **packages}


def this_machine(compute_unit: str) -> Target:
    cpu = platform.processor() or platform.machine()
    system = f"{platform.system()} {platform.release()}"
    if sys.platform == "linux":
        models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        cpu = models[0].partition(":")[2].strip() if models else cpu
        system = platform.freedesktop_os_release().get("PRETTY_NAME", system)
    elif sys.platform == "darwin":
        system = f"macOS {platform.mac_ver()[0]}"
    return Target("host", f"host-{platform.machine()}", cpu, system, compute_unit, compute_unit, {})


if __name__ == "__main__":
    raise SystemExit(main())
