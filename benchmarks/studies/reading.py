"""python benchmarks/studies/reading.py --pairs PATH/dped

Whether reading keeps up with learning: images a second of training batches from files that are opened for every patch
and step, from packed arrays and from shards, and the share of its time that train.py waits for data from each.
Writes reading.json and reading.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import cores, cpu_model, tools
from training.commandline import UserError, log, real, run
from training.data import batches
from training.data.batches import Batches
from training.data.pairs import find_pairs, usable
from training.data.photo_pair import PhotoPair
from training.data.shards import Samples, load_samples
from training.files import write_text

SCRIPTS = Path(__file__).parents[2] / "training"
PATCH_PX, THUMBNAIL_PX, BATCH = 100, 64, 50  # the paper's patches and batch
SHARD_MB = 8
SIZES: dict[str, Any] = {
    "steps": 10**9, "batch": BATCH, "patch_px": PATCH_PX, "thumbnail_px": THUMBNAIL_PX, "seed": 0,
}  # fmt: skip
TRAIN_STEPS = 20
WARM_UP_STEPS = 3


def images_per_s(source: Batches, seconds: float) -> float:
    """Of batches one after the other, for about that long, after a few that do not count."""
    for step in range(WARM_UP_STEPS):
        source[step]
    start, step = time.perf_counter(), WARM_UP_STEPS
    while time.perf_counter() - start < seconds:
        source[step]
        step += 1
    return (step - WARM_UP_STEPS) * BATCH / (time.perf_counter() - start)


def opened_each_time(pairs: Sequence[PhotoPair]) -> Batches:
    """Batches that open both files of a pair for every sample, as a plain data set class does."""
    source = Batches(pairs, **SIZES)
    source._cached_bytes = batches.CACHE_BYTES  # full from the beginning
    return source


def from_samples(samples: Samples) -> Batches:
    return Batches([], **SIZES, packed=[samples], packed_share=1.0)


def script(name: str, *flags: str) -> None:
    command = [sys.executable, str(SCRIPTS / name), *flags]
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
        raise UserError(f"{name} failed, as said above; correct it and run the same command again")


def waiting(pairs: Path, flags: Sequence[str], out: Path) -> dict[str, float]:
    """Share of its time that train.py waits for data, and its images a second, over a few steps of Pocket."""
    always = ["--pairs", str(pairs), "--patch", str(PATCH_PX), "--batch", str(BATCH), "--steps", str(TRAIN_STEPS)]
    script("train.py", *always, *flags, "--validate-every", str(TRAIN_STEPS), "--out", str(out))
    row = json.loads((out / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    return {"waiting_share": row["waiting_share"], "training_images_per_s": row["images_per_s"]}


def table(facts: dict[str, Any]) -> str:
    """reading.json in Markdown."""
    lines = ["| read from | images a second | ratio | share of training spent waiting |", "|---|--:|--:|--:|"]
    plain = facts["sources"][0]["images_per_s"]
    for row in facts["sources"]:
        waited = f"{row['waiting_share']:.1%}" if "waiting_share" in row else "—"
        lines.append(f"| {row['name']} | {row['images_per_s']:,.0f} | {row['images_per_s'] / plain:.1f} | {waited} |")
    machine = facts["machine"]
    return "\n".join(lines) + (
        f"\n\n{facts['pairs']} pairs of {PATCH_PX} px, batches of {BATCH}, one process; an image is a phone patch with "
        f"its DSLR patch and thumbnail, mirrored or not, as a tensor.\n"
        f"Waiting: train.py with the Pocket generator on CPU, {TRAIN_STEPS} steps; a generator on a GPU waits more.\n"
        f"{machine['cpu']}, {machine['cores_available']} cores, "
        f"load of {machine['load_before']:.1f} before the run.\n"
    )


def measure(args: argparse.Namespace) -> Path:
    load = os.getloadavg()[0]
    pairs = usable(find_pairs(args.pairs, args.phone).train, log.warning)
    with tempfile.TemporaryDirectory(prefix="pocket-dslr-") as name:
        folder = Path(name)
        pack = ["--pairs", str(args.pairs), "--phone", args.phone, "--patch", str(PATCH_PX)]
        script("data/pack.py", *pack, "--out", str(folder / "arrays"))
        script("data/pack.py", *pack, "--shard-mb", str(SHARD_MB), "--out", str(folder / "shards"))
        packed = {kind: ["--packed", str(folder / kind), "--packed-share", "1"] for kind in ("arrays", "shards")}
        sources: list[tuple[str, Batches, list[str] | None]] = [
            ("one file per patch and step", opened_each_time(pairs), None),
            ("files, kept in memory up to 1 GiB", Batches(pairs, **SIZES), []),
            *((f"packed {kind}", from_samples(load_samples(folder / kind, PATCH_PX, THUMBNAIL_PX, 0)), packed[kind])
              for kind in packed),
        ]  # fmt: skip
        rows = []
        for number, (title, source, flags) in enumerate(sources):
            row: dict[str, Any] = {"name": title, "images_per_s": images_per_s(source, args.seconds)}
            if flags is not None:
                row |= waiting(args.pairs, [*flags, "--phone", args.phone], folder / f"run-{number}")
            rows.append(row)
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": {"cpu": cpu_model(), "cores_available": cores(), "load_before": load},
        "tools": tools(["torch", "numpy", "pillow", "webdataset"]),
        "pairs": len(pairs),
        "sources": rows,
    }
    write_text(args.out / "reading.json", json.dumps(facts, indent=1, allow_nan=False) + "\n")
    write_text(args.out / "reading.md", table(facts))
    print(table(facts))
    return args.out / "reading.json"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="reading.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--pairs", type=Path, required=True, help="DPED root, or a folder with <phone>/ and canon/")
    add("--phone", default="iphone", help="which phone of a DPED root (default: %(default)s)")
    add("--seconds", type=real(0, above=True), default=5.0, help="of reading from each source (default: %(default)s)")
    add("--out", type=Path, default=Path("benchmarks/results"), help="folder of the results (default: %(default)s)")
    return run(parser, measure, argv)


if __name__ == "__main__":
    raise SystemExit(main())
