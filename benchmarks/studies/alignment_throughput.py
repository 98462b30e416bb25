"""python benchmarks/studies/alignment_throughput.py PHOTOS_OF_8_MP...

How fast align.py is: pairs a minute by one worker and by two, the share of each stage, memory of each worker, and what
that makes of 6,000 pairs. Each photo becomes the DSLR's side, enlarged to 18 MP; the phone's, of about 8 MP, is
SIMULATED. The machine should do nothing else; its load before the run is noted.
Writes alignment-throughput.json and alignment-throughput.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from PIL import Image

from benchmarks.machine import cores, cpu_model, tools
from training.alignment import known_view
from training.alignment.aligned_pair import Record, Settings, align_pair
from training.alignment.pairing import Shots
from training.commandline import UserError, each, run, whole
from training.files import write_text
from training.photos import read_pixels

SETTINGS = Settings("phone")
LARGE_SCALE = 1.5  # DSLR px per phone px: 8 MP against 18
SPEED_UP_BAR, MEMORY_BAR_MB = 1.7, 1500
LARGE_SET = 6000  # pairs, to extrapolate to
QUIET_LOAD = 0.3  # above, before the run, times are not of record


def large_pairs(photos: Sequence[Path], count: int, folder: Path) -> list[Shots]:
    """Files of `count` pairs: each photo enlarged as the DSLR's, and the phone's at about its own size."""
    pairs = []
    for number in each(range(count), "large pairs"):
        pixels = read_pixels(photos[number % len(photos)])
        side = [round(pixels.shape[at] * LARGE_SCALE) for at in (1, 0)]
        dslr = np.asarray(Image.fromarray(pixels).resize((side[0], side[1]), Image.Resampling.LANCZOS))
        view = known_view.draw((dslr.shape[0], dslr.shape[1]), number, (LARGE_SCALE, LARGE_SCALE))
        shots = Shots(folder / f"phone-{number}.jpg", folder / f"dslr-{number}.jpg")
        for path, side_pixels in ((shots.phone, known_view.render(dslr, view, number)), (shots.dslr, dslr)):
            Image.fromarray(side_pixels).save(path, "JPEG", quality=92)
        pairs.append(shots)
    return pairs


def measured(shots: Shots, folder: Path) -> tuple[Record, int, float | None]:
    """Of a pair, in a worker: its record, which process it was, and the peak memory of that so far in 10^6 bytes."""
    record = align_pair(shots, SETTINGS, folder)
    status = Path("/proc/self/status")
    if not status.exists():
        return record, os.getpid(), None
    peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    return record, os.getpid(), int(peak[1]) * 1024 / 1e6 if peak else None


def wake() -> None:
    """Keeps a worker busy for a moment, so that every one starts, and has imported this file."""
    time.sleep(0.5)


def throughput(pairs: Sequence[Shots], jobs: int, folder: Path) -> Record:
    """Pairs per minute by `jobs` workers, the share of each stage in their time, and their peak memory."""
    with Parallel(n_jobs=jobs, batch_size=1) as work:
        work(delayed(wake)() for _ in range(2 * jobs))  # workers start before the clock does
        start = time.perf_counter()
        answers = work(delayed(measured)(shots, folder) for shots in pairs)
        seconds = time.perf_counter() - start
    records = [record for record, _, _ in answers]
    peaks = {process: peak for _, process, peak in answers if peak is not None and process != os.getpid()}
    stages: dict[str, float] = {}
    for record in records:
        for stage, spent in record["seconds"].items():
            stages[stage] = stages.get(stage, 0.0) + spent
    used = [record for record in records if "refused" not in record]
    if not used:
        raise UserError(f"{pairs[0].phone.name}: no pair could be aligned ({records[0]['refused']}); give other photos")
    return {
        "jobs": jobs,
        "pairs": len(pairs),
        "refused": len(records) - len(used),
        "phone_megapixels_mean": float(np.mean([np.prod(record["phone_px"]) for record in used]) / 1e6),
        "dslr_megapixels_mean": float(np.mean([np.prod(record["dslr_px"]) for record in used]) / 1e6),
        "patches_mean": float(np.mean([len(record["patches"]) for record in used])),
        "pairs_per_minute": 60 * len(pairs) / seconds,
        "share_of_time": {stage: spent / sum(stages.values()) for stage, spent in stages.items()},
        "peak_mb_by_worker": sorted(peaks.values()),
    }


def judge(rows: Sequence[Record]) -> Record:
    """Speed-up from the first to the last row, memory, hours for a large set, and whether the bars are kept."""
    first, last = rows[0], rows[-1]
    peaks = [peak for row in rows for peak in row["peak_mb_by_worker"]]
    figures: Record = {
        "speed_up": last["pairs_per_minute"] / first["pairs_per_minute"],
        "peak_mb": max(peaks) if peaks else None,
        "hours_for_6000": LARGE_SET / last["pairs_per_minute"] / 60,
        "bars": {},
    }
    if last["jobs"] == 2 and first["jobs"] == 1:
        figures["bars"][f"speed-up of two workers at least {SPEED_UP_BAR}"] = figures["speed_up"] >= SPEED_UP_BAR
    if peaks:
        figures["bars"][f"at most {MEMORY_BAR_MB} MB per worker"] = figures["peak_mb"] <= MEMORY_BAR_MB
    return figures


def table(facts: dict[str, Any]) -> str:
    """alignment-throughput.json in Markdown."""
    rows, figures, machine = facts["throughput"], facts["figures"], facts["machine"]
    stages = list(rows[0]["share_of_time"])
    lines = [
        f"| workers | pairs a minute | {' | '.join(stages)} | peak MB per worker |",
        "|--:|--:|" + "--:|" * (len(stages) + 1),
    ]
    for row in rows:
        shares = " | ".join(f"{row['share_of_time'].get(stage, 0):.0%}" for stage in stages)
        peaks = ", ".join(f"{peak:.0f}" for peak in row["peak_mb_by_worker"]) or "—"
        lines.append(f"| {row['jobs']} | {row['pairs_per_minute']:.1f} | {shares} | {peaks} |")
    bars = "; ".join(f"{bar}: **{'pass' if kept else 'fail'}**" for bar, kept in figures["bars"].items())
    quiet = "" if machine["load_before"] <= QUIET_LOAD else " **The machine was busy: not of record.**"
    first, last = rows[0], rows[-1]
    return "\n".join(lines) + (
        f"\n\n{first['pairs']} pairs of {first['phone_megapixels_mean']:.1f} MP against "
        f"{first['dslr_megapixels_mean']:.1f} MP, {first['patches_mean']:.0f} patches each; "
        f"the phone's side SIMULATED.\n"
        f"Speed-up {figures['speed_up']:.2f}. At this pace {LARGE_SET:,} pairs take "
        f"{figures['hours_for_6000']:.1f} hours with {last['jobs']} workers.\n"
        f"Bars: {bars}.\n\n"
        f"{machine['cpu']}, {machine['cores_available']} cores, "
        f"load of {machine['load_before']:.1f} before the run.{quiet}\n"
    )


def measure(args: argparse.Namespace) -> Path:
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="pocket-dslr-") as folder:
        pairs = large_pairs(args.photos, args.count, Path(folder))
        rows = [throughput(pairs, jobs, Path(folder, f"by-{jobs}")) for jobs in args.jobs]
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": {"cpu": cpu_model(), "cores_available": cores(), "load_before": load},
        "tools": tools(["opencv-python-headless", "numpy", "pillow", "joblib"]),
        "throughput": rows,
        "figures": judge(rows),
    }
    write_text(args.out / "alignment-throughput.json", json.dumps(facts, indent=1, allow_nan=False) + "\n")
    write_text(args.out / "alignment-throughput.md", table(facts))
    print(table(facts))
    return args.out / "alignment-throughput.json"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="alignment_throughput.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("photos", type=Path, nargs="+", metavar="PHOTO", help="photos of about 8 MP")
    add("--count", type=whole(1, 100_000), default=12, help="pairs to align (default: %(default)s)")
    add("--jobs", type=whole(1, 1024), nargs="+", default=[1, 2], help="workers, one run for each (default: 1 2)")
    add("--out", type=Path, default=Path("benchmarks/results"), help="folder of the results (default: %(default)s)")
    return run(parser, measure, argv)


if __name__ == "__main__":
    raise SystemExit(main())
