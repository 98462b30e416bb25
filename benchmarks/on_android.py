"""python benchmarks/on_android.py ARTIFACT_FOLDER... [--serial SERIAL] [--sustained 600] [--out runs/reports]

One report per artifact from an Android phone by adb: fidelity, latency, memory, the phone's heat and battery before and
after. The runner and its libraries go to a folder of their own under /data/local/tmp and are gone at the end.
`--sustained SECONDS` goes on enhancing without a pause and keeps the curve; ten minutes show what a warm phone does.
Exit code 1 if an artifact is below its floor; the reports are written all the same and say so.

A program started by adb is not an app in the foreground: the scheduler may keep it on small cores, so an app's own
figures can be better. What says that it is an emulator is not timed.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.bench import BenchError, Measurement, Photo, bench
from benchmarks.report import Kind, Protocol, Target, safe_name
from benchmarks.report.verdict import what_fails
from benchmarks.targets.device.adb import Adb, choose
from benchmarks.targets.device.phone_state import conditions, cool_down, facts, is_emulated, state, thermal_state
from benchmarks.targets.device.session import Device, on_device
from benchmarks.targets.references import add_references, find_references, read_pairs, read_photos
from conversion.artifact import Artifact
from training.commandline import real, run, whole

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="on_android.py", description="Artifacts -> reports from an Android phone.")
    parser.add_argument("artifacts", type=Path, nargs="+", metavar="ARTIFACT_FOLDER",
                        help="what to_executorch.py or to_tflite.py made")  # fmt: skip
    parser.add_argument("--serial", help="of the phone, as `adb devices` lists it (default: the only one)")
    add_references(parser)
    parser.add_argument("--threads", type=whole(1, 1024), default=2, help="of the runtime (default: %(default)s)")
    parser.add_argument(
        "--warm-up", type=whole(0, 10_000), default=3, metavar="N", help="runs not counted (default: %(default)s)"
    )
    parser.add_argument(
        "--runs", type=whole(1, 100_000), default=20, help="timed runs per entry point (default: %(default)s)"
    )
    parser.add_argument("--cool-down", type=real(0, 3600), default=10.0, metavar="S",
                        help="rest before an artifact, more while it is warm (default: %(default)s)")  # fmt: skip
    parser.add_argument("--sustained", type=real(0, 86_400), default=0.0, metavar="S",
                        help="then enhance without a pause for so long, such as 600 (default: not)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("runs/reports"), metavar="FOLDER",
                        help="where reports and pictures go (default: %(default)s)")  # fmt: skip
    return run(parser, body, argv)


def body(args: argparse.Namespace) -> Path:
    artifacts = [Artifact.load(folder) for folder in args.artifacts]
    adb = choose(args.serial)
    references = find_references(artifacts, args.checkpoint)
    photos = read_photos(args.photos) if args.photos else read_pairs(args.pairs)
    protocol = Protocol(args.warm_up, args.runs, args.threads, args.cool_down)
    failed: list[str] = []
    with on_device(adb) as device:
        target = describe(adb)
        if target.kind == "emulated":
            log.warning("%s is an emulator: its times are no phone's, and are left out", adb.serial)

        def measure(artifact: Artifact, photos: Sequence[Photo], protocol: Protocol) -> Measurement:
            return measure_in_state(device, artifact, photos, protocol, args.sustained, target.kind == "emulated")

        for artifact, reference in zip(artifacts, references, strict=True):
            failed += what_fails(bench(artifact, reference, photos, target, protocol, measure, args.out))
    if failed:
        raise BenchError(f"{args.out}: what could be measured is written, but not all is well: {'; '.join(failed)}; "
                         "convert again or choose another precision")  # fmt: skip
    return args.out


def describe(adb: Adb) -> Target:
    """The phone as a target, named after its model."""
    known = facts(adb)
    emulated = is_emulated(adb)
    model = " ".join(known[key] for key in ("manufacturer", "model") if key in known) or "unknown phone"
    kind: Kind = "emulated" if emulated else "physical"
    name = safe_name(f"{'emulated' if emulated else 'android'}-{model}".replace(" ", "-"))
    system = f"Android {known['android']}" if "android" in known else known.get("build", "unknown system")
    return Target(kind, name, known.get("soc", known.get("board", "unknown")), system, "cpu", "cpu", known)


def measure_in_state(
    device: Device,
    artifact: Artifact,
    photos: Sequence[Photo],
    protocol: Protocol,
    sustained_s: float = 0.0,
    emulated: bool = False,
) -> Measurement:
    """A rest until the device is cool, the runs, and its state on both sides of them."""
    before = cool_down(device.adb, protocol.cool_down_s)
    resting = replace(protocol, cool_down_s=0.0)  # that was the rest
    measured = device.measure(
        artifact, photos, resting, sustained_s=sustained_s, thermal=lambda: thermal_state(device.adb)
    )
    measured = replace(measured, conditions=conditions(before, state(device.adb)))
    if not emulated:
        return measured
    return replace(measured, load_s=(), analyze_s=(), enhance_s=(), sustained=None, peak_memory_mb=None,
                   baseline_memory_mb=None)  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
