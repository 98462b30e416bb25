"""python benchmarks/studies/fine_tuning.py PHOTOS... --held-out PHOTOS [--minutes 5]

What `train.py --finetune` gains in a few minutes for a camera that the base has never seen. Photos are the DSLR's
side; the camera is SIMULATED and unlike the simulated phone that releases learn from: bright, warm, hazy, soft. The
photos held out are seen by no network: half of them say when to stop, the other half what was gained.
Writes fine-tuning.json and fine-tuning.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.machine import cores, cpu_model, tools
from training.album.inputs import list_photos
from training.checkpoint import Checkpoint
from training.commandline import UserError, each, real, run
from training.data import simulated_phone
from training.data.pairs import DSLR_FOLDER
from training.data.simulated_phone import SimulatedPhone
from training.files import write_text
from training.photos import read_pixels

TRAIN = Path(__file__).parents[2] / "training" / "train.py"
CAMERA = "other"
BAR_DB = 1.0


def draw_camera(seed: int) -> SimulatedPhone:
    """The other camera's look, and this photo's departure from it."""
    random = np.random.default_rng([seed, 4])
    warmth = random.uniform(-0.04, 0.04)
    return SimulatedPhone(
        exposure_ev=random.uniform(0.15, 0.4),
        white_balance=(1.18 + warmth, 1.0, 0.78 - warmth),
        saturation=random.uniform(0.85, 1.0),
        vignetting=random.uniform(0.05, 0.15),
        blur_px=random.uniform(0.9, 1.3),
        full_well_electrons=random.uniform(1000, 2500),
        read_noise_electrons=random.uniform(6, 14),
        black=random.uniform(0.08, 0.14),
        white=random.uniform(0.95, 1.0),
        sharpening=random.uniform(0.0, 0.2),
        jpeg_quality=int(random.integers(75, 88)),
    )


def photograph(photos: Sequence[Path], folder: Path) -> None:
    """Both sides of each photo into folder/{other,canon}/N.png."""
    for side in (CAMERA, DSLR_FOLDER):
        (folder / side).mkdir(parents=True)
    for number, path in enumerate(each(photos, "simulated photos")):
        dslr = read_pixels(path)
        phone = simulated_phone.apply(dslr, draw_camera(number), number)
        for side, pixels in ((CAMERA, phone), (DSLR_FOLDER, dslr)):
            Image.fromarray(pixels).save(folder / side / f"{number}.png")


def fine_tune(base: str, pairs: Path, minutes: float, out: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """gain.json and the rows of log.jsonl of one run with the default flags.

    Raises:
        UserError: train.py failed; it has said why.
    """
    command = [sys.executable, str(TRAIN), "--finetune", base, "--pairs", str(pairs), "--minutes", str(minutes)]
    if subprocess.run([*command, "--out", str(out)], stdout=subprocess.DEVNULL, check=False).returncode:
        raise UserError("train.py failed, as said above; correct it and run the same command again")
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return json.loads((out / "gain.json").read_text(encoding="utf-8")), rows


def table(facts: dict[str, Any]) -> str:
    """fine-tuning.json in Markdown."""
    scores, gain = facts["gain"]["scores"], facts["gain"]
    lines = ["| | PSNR dB, mean of images | MS-SSIM | dE 2000 |", "|---|--:|--:|--:|"]
    for key, name in (("identity", "phone photo, SIMULATED"), ("before", gain["base"]), ("after", "fine-tuned")):
        row = scores[key]
        lines.append(
            f"| {name} | {row['psnr_mean_of_images_db']:.2f} | {row['ms_ssim']:.4f} | {row['delta_e_2000']:.2f} |"
        )
    machine, stopping = facts["machine"], facts["held_out"] - gain["pairs"]
    return "\n".join(lines) + (
        f"\n\nGained in {facts['minutes']:.1f} minutes, {facts['steps']} steps: **{gain['gain_db']:+.2f} dB**; "
        f"{gain['better']} of {gain['pairs']} photos are better, the worst changed by {gain['worst_gain_db']:+.2f} dB."
        f"\nBar: {BAR_DB:g} dB in {facts['minutes_allowed']:g} minutes: **{facts['bar']}**.\n\n"
        f"{facts['photos']} photos to learn from; of {facts['held_out']} that no network has seen, {stopping} said "
        f"when to stop and {gain['pairs']} are scored here.\nThe camera is SIMULATED (`draw_camera` in "
        f"benchmarks/studies/fine_tuning.py) and unlike any that {gain['base']} has seen.\n{machine['cpu']}, "
        f"{machine['cores_available']} cores, load of {machine['load_before']:.1f} before the run.\n"
    )


def measure(args: argparse.Namespace) -> Path:
    photos = [path for folder in args.photos for path in list_photos(folder).photos]
    held_out = list_photos(args.held_out).photos
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="pocket-dslr-") as name:
        folder = Path(name)
        photograph(photos, folder / CAMERA / "training_data")
        photograph(held_out, folder / CAMERA / "test_data" / "patches")
        gain, rows = fine_tune(args.base, folder, args.minutes, folder / "run")
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": {"cpu": cpu_model(), "cores_available": cores(), "load_before": load},
        "tools": tools(["torch", "numpy"]),
        "base_sha256": Checkpoint.load(args.base).sha256,
        "photos": len(photos),
        "held_out": len(held_out),
        "minutes_allowed": args.minutes,
        "minutes": rows[-1]["minutes"],
        "steps": rows[-1]["step"],
        "images_per_s": rows[-1]["images_per_s"],
        "gain": gain,
        "bar": "pass" if gain["gain_db"] >= BAR_DB else "fail",
    }
    write_text(args.out / "fine-tuning.json", json.dumps(facts, indent=1, allow_nan=False) + "\n")
    write_text(args.out / "fine-tuning.md", table(facts))
    print(table(facts))
    return args.out / "fine-tuning.json"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="fine_tuning.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("photos", type=Path, nargs="+", metavar="FOLDER", help="photos to learn from, as the DSLR's side")
    add("--held-out", type=Path, required=True, metavar="FOLDER", help="photos that no network has seen")
    add("--base", default="pocket-iphone", help="what is fine-tuned (default: %(default)s)")
    add("--minutes", type=real(0, 100_000, above=True), default=5.0, help="of learning (default: %(default)s)")
    add("--out", type=Path, default=Path("benchmarks/results"), help="folder of the results (default: %(default)s)")
    return run(parser, measure, argv)


if __name__ == "__main__":
    raise SystemExit(main())
