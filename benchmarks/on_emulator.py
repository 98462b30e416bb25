"""python benchmarks/on_emulator.py ARTIFACT_FOLDER... [--cpus cortex-a76 ...] [--out runs/reports]

One report per artifact and CPU from an emulated ARM64 phone: its fidelity, and guest instructions per output pixel by
class. Never its milliseconds, which say nothing about a phone. It is set up on first use, or by `make emulator`.
Exit code 1 if an artifact is below its floor; the reports are written all the same and say so.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.bench import BenchError, Measurement, Photo, bench
from benchmarks.report import Protocol, Report, Target, load_reports
from benchmarks.report.verdict import what_fails
from benchmarks.targets.device.phone_state import facts
from benchmarks.targets.device.session import on_device
from benchmarks.targets.emulator.cpus import CPUS
from benchmarks.targets.emulator.phone import emulated_phone, require_counting_qemu
from benchmarks.targets.references import find_references, read_pairs, read_photos
from conversion.artifact import Artifact, TilingSpec
from training.commandline import run, whole

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="on_emulator.py", description="Artifacts -> reports of fidelity and instructions, on an emulated phone."
    )
    parser.add_argument("artifacts", type=Path, nargs="+", metavar="ARTIFACT_FOLDER",
                        help="what to_executorch.py or to_tflite.py made")  # fmt: skip
    parser.add_argument("--checkpoint", action="append", default=[], metavar="NAME_OR_PATH",
                        help="what the artifacts were made from, for the float reference; releases are found by "
                        "themselves; give it once for each checkpoint")  # fmt: skip
    parser.add_argument("--cpus", nargs="+", choices=CPUS, default=list(CPUS), help="default: all")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--photos", type=Path, metavar="DIR", help="photos to compare (default: the embedded sample)")
    source.add_argument("--pairs", type=Path, metavar="DIR", help="photo pairs, of which the fidelity split is used")
    parser.add_argument(
        "--most-photos", type=whole(1, 10_000), default=1, metavar="N", help="of them (default: %(default)s)"
    )
    parser.add_argument("--no-pictures", action="store_true", help="reports alone")
    parser.add_argument(
        "--warm-up", type=whole(0, 10_000), default=1, metavar="N", help="calls not counted (default: %(default)s)"
    )
    parser.add_argument(
        "--runs", type=whole(1, 10_000), default=3, help="counted calls per entry point (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/reports"), metavar="FOLDER",
                        help="where reports and pictures go (default: %(default)s)")  # fmt: skip
    return run(parser, body, argv)


def body(args: argparse.Namespace) -> Path:
    artifacts = [Artifact.load(folder) for folder in args.artifacts]
    references = find_references(artifacts, args.checkpoint)
    photos = (read_photos(args.photos) if args.photos else read_pairs(args.pairs))[: args.most_photos]
    protocol = Protocol(args.warm_up, args.runs, threads=1, cool_down_s=0.0)
    system = f"Debian 12 under QEMU {require_counting_qemu()}"
    failed: list[str] = []
    for cpu in args.cpus:
        with emulated_phone(cpu) as adb, on_device(adb) as device:
            target = Target("emulated", f"emulated-{cpu}", cpu, system, "cpu", "cpu", facts(adb))

            def measure(artifact: Artifact, cut: Sequence[Photo], protocol: Protocol) -> Measurement:
                return without_times(device.measure(artifact, cut, protocol, counting=True))

            for artifact, reference in zip(artifacts, references, strict=True):
                cut = [crop(photo, artifact.manifest.tiling) for photo in photos]
                report = bench(artifact, reference, cut, target, protocol, measure, args.out, not args.no_pictures)
                failed += what_fails(report)
                log.info("  %s", in_words(report))
    for line in ratios([report for report in load_reports(args.out) if report.instructions]):
        log.info("%s", line)
    if failed:
        raise BenchError(f"{args.out}: what could be measured is written, but not all is well: {'; '.join(failed)}; "
                         "convert again or choose another precision")  # fmt: skip
    return args.out


def crop(photo: Photo, tiling: TilingSpec) -> Photo:
    """The middle of a photo, one tile where they must lie inside it, else two side by side: emulation is slow."""
    high = tiling.tile_px if tiling.border == "shift" else tiling.tile_px - 2 * tiling.halo_px
    height, width = photo.phone.shape[:2]
    top, left = max(0, height - high) // 2, max(0, width - tiling.tile_px) // 2
    middle = (slice(top, top + high), slice(left, left + tiling.tile_px))
    dslr = None if photo.dslr is None else photo.dslr[middle]
    return replace(photo, phone=photo.phone[middle], dslr=dslr)


def without_times(measurement: Measurement) -> Measurement:
    """What an emulator can tell: neither its times nor its memory are a phone's."""
    return replace(measurement, load_s=(), analyze_s=(), enhance_s=(), peak_memory_mb=None, baseline_memory_mb=None)


def in_words(report: Report) -> str:
    counted = report.instructions
    assert counted is not None
    classes = ", ".join(
        f"{kind} {count / counted.enhance_tile.total:.0%}" for kind, count in counted.enhance_tile.by_class.items()
    )
    return (f"{counted.instructions_per_px:.1f} instructions per output pixel ({classes}), "
            f"spread {counted.relative_spread:.1e} over {counted.repetitions} calls")  # fmt: skip


def ratios(reports: Sequence[Report]) -> list[str]:
    """How many times fewer instructions than DPED an artifact takes: same CPU, format and precision."""
    lines = []
    for report in reports:
        for dped in reports:
            alike = [(r.target.name, r.artifact.format, r.artifact.precision) for r in (report, dped)]
            if "dped" in dped.artifact.name and "dped" not in report.artifact.name and alike[0] == alike[1]:
                assert report.instructions and dped.instructions
                mine, theirs = (r.instructions.instructions_per_px for r in (report, dped) if r.instructions)
                lines.append(f"{report.artifact.name}, {report.target.name}: {mine:.1f} instructions per output pixel, "
                             f"{dped.artifact.name}: {theirs:.1f}, {theirs / mine:.0f} times as many")  # fmt: skip
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
