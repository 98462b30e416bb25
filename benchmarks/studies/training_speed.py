"""python benchmarks/studies/training_speed.py

Trains on the embedded sample as `make demo` does, with 1 and 2 threads and with the processor's instruction sets
limited, and says for each what it gains on the held-out photos, how long it takes, and how fast its steps are, on a
quiet machine and beside one busy process. Writes training-speed.json and training-speed.md. Takes half an hour on a
machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import cores, cpu_model, tools
from benchmarks.page.markdown import markdown_table
from training.commandline import UserError, log, run, whole
from training.files import write_text

TRAINING = Path(__file__).parents[2] / "training"
VARIANTS: dict[str, dict[str, str]] = {
    "1 thread": {"OMP_NUM_THREADS": "1"},
    "2 threads": {"OMP_NUM_THREADS": "2"},
    "ATen without vectors": {"ATEN_CPU_CAPABILITY": "default"},
    "ATen with AVX2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "oneDNN with AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
}
SPEED_STEPS = 200  # of a run that is timed alone
MIN_GAIN_DB, MIN_WORST_GAIN_DB = 4.0, 3.5
MIN_BUSY_SHARE = 0.6
DEMO = ("--patch", "64", "--accelerator", "cpu")
SCORE = "psnr_mean_of_images_db"


def script(name: str, environment: Mapping[str, str], *flags: str) -> None:
    command = [sys.executable, str(TRAINING / name), *flags]
    ran = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, check=False)
    if ran.returncode:
        raise UserError(f"{name} failed, as said above; correct it and run the same command again")


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many other processes that compute all the time."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def steps_per_s(environment: Mapping[str, str], beside: int, out: Path) -> float:
    """Of a short run, its validation at the end not counted; `beside` so many busy processes."""
    with busy(beside):
        script("train.py", environment, *DEMO, "--steps", str(SPEED_STEPS), "--validate-every", str(SPEED_STEPS),
               "--out", str(out))  # fmt: skip
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    batch = 16
    return float(rows[-1]["images_per_s"]) / batch


def demo(environment: Mapping[str, str], steps: int, out: Path) -> dict[str, Any]:
    """A whole run, and what its checkpoint gains on the held-out photos."""
    start = time.monotonic()
    script("train.py", environment, *DEMO, "--steps", str(steps), "--out", str(out))
    minutes = (time.monotonic() - start) / 60
    script("evaluate.py", environment, str(out), "--split", "held-out", "--out", str(out / "quality"))
    phone, network = json.loads((out / "quality" / "quality.json").read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    best = max(rows, key=lambda row: row[SCORE])
    return {
        "gain_db": network[SCORE] - phone[SCORE],
        "phone_db": phone[SCORE],
        "minutes": minutes,
        "kept_step": best["step"],
        "last_step": rows[-1]["step"],
        "validation_db": best[SCORE],
        "last_validation_db": rows[-1][SCORE],
    }


def measure(args: argparse.Namespace) -> Path:
    load = os.getloadavg()[0]
    rows = []
    with tempfile.TemporaryDirectory(prefix="pocket-dslr-") as name:
        for number, (title, environment) in enumerate(VARIANTS.items()):
            log.info("%d of %d: %s", number + 1, len(VARIANTS), title)
            folder = Path(name) / str(number)
            quiet, beside = (steps_per_s(environment, count, folder / f"beside-{count}") for count in (0, 1))
            row = {"variant": title, "environment": environment, **demo(environment, args.steps, folder / "demo")}
            rows.append({**row, "steps_per_s": quiet, "steps_per_s_beside_one": beside, "busy_share": beside / quiet})
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": {"cpu": cpu_model(), "cores_available": cores(), "load_before": load},
        "tools": tools(["torch", "numpy"]),
        "bars": {"first_gain_db": MIN_GAIN_DB, "worst_gain_db": MIN_WORST_GAIN_DB, "busy_share": MIN_BUSY_SHARE},
        "variants": rows,
    }
    write_text(args.out / "training-speed.json", json.dumps(facts, indent=1, allow_nan=False) + "\n")
    page = write_text(args.out / "training-speed.md", table(facts))
    if missed := missed_bars(rows):
        raise UserError(f"{page}: {'; '.join(missed)}")
    return page


def missed_bars(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What is below the bars, in words."""
    missed = [f"{rows[0]['variant']} gains {rows[0]['gain_db']:.2f} dB"] * (rows[0]["gain_db"] < MIN_GAIN_DB)
    missed += [f"{row['variant']} gains {row['gain_db']:.2f} dB" for row in rows if row["gain_db"] < MIN_WORST_GAIN_DB]
    return missed + [
        f"{row['variant']} keeps {row['busy_share']:.0%} of its speed beside a busy process"
        for row in rows
        if row["busy_share"] < MIN_BUSY_SHARE
    ]


def table(facts: dict[str, Any]) -> str:
    """training-speed.json in Markdown."""
    columns = [("variant", True), ("gain dB", False), ("kept step", False), ("last step", False), ("minutes", False),
               ("steps a second", False), ("beside a busy process", False)]  # fmt: skip
    rows = [
        [row["variant"], f"{row['gain_db']:.2f}", row["kept_step"], row["last_step"], f"{row['minutes']:.1f}",
         f"{row['steps_per_s']:.1f}", f"{row['steps_per_s_beside_one']:.1f} ({row['busy_share']:.0%})"]
        for row in facts["variants"]
    ]  # fmt: skip
    machine = facts["machine"]
    return f"""{markdown_table(columns, rows)}

Gain: PSNR, mean of images, of the network over the simulated phone photo, on the held-out photos of the embedded
sample. Minutes: train.py from start to end. Steps a second: of {SPEED_STEPS} steps, with photos read and simulated.
{machine["cpu"]}, {machine["cores_available"]} cores, load of {machine["load_before"]:.1f} before the run.
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="training_speed.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=whole(1), default=2000, help="of the whole runs (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder (default: %(default)s)")
    return run(parser, measure, argv)


if __name__ == "__main__":
    raise SystemExit(main())
