"""python benchmarks/studies/peers/cost.py --model pocket-iphone --peer runs/published/dped-iphone.safetensors

What one 12.2 MP photo costs with a model and with its peer, end to end: both converted by this project to fp32 for the
same runtime, each at its own fastest tile size, same threads, same run. And the peak memory of enhance.py on that
photo and on one of four times its pixels. Writes cost.json and cost.md. A report: bars missed are said, not punished.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.machine import cores, cpu_model, time_runs, tools
from benchmarks.studies.peers.contender import Contender
from benchmarks.studies.peers.peak_memory import enhance_peak_mb
from benchmarks.targets.host.mosaic import PHOTO_PX, encode, mosaic
from training.commandline import UserError, real, run, whole
from training.files import write_text
from training.photos import from_samples, read_pixels
from training.tiling import to_uint8

PACKAGES = {"litert": "ai-edge-litert", "executorch": "executorch"}
TILES_ACROSS = (16, 12, 8, 6)
RATIO_BAR, MEMORY_BAR_MB, MEMORY_QUOTIENT_BAR = 100.0, 700.0, 1.3
log = logging.getLogger(__name__)


def make_photo(args: argparse.Namespace, folder: Path) -> tuple[str, Path]:
    """What it is, and its file."""
    if args.photo:
        return "a photo", args.photo
    scale = math.sqrt(args.megapixels * 1e6 / math.prod(PHOTO_PX)) if args.megapixels else 1.0
    height, width = (round(side * scale) for side in PHOTO_PX)
    encode(mosaic(height, width), folder / "photo.jpg")
    return "MOSAIC of the embedded sample", folder / "photo.jpg"


def compare(args: argparse.Namespace, path: Path, folder: Path) -> dict[str, Any]:
    """Both contenders on one photo, their runs interleaved."""
    pixels = read_pixels(path)
    photo, (height, width) = from_samples(pixels), pixels.shape[:2]
    decode_s = time_runs(lambda: from_samples(read_pixels(path)), warm_up_runs=1, runs=3)
    encode_s = time_runs(lambda: encode(to_uint8(photo), folder / "encoded.jpg"), warm_up_runs=1, runs=3)

    model = Contender(args.model, photo, args.across, args.runtime, args.threads, folder / "model")
    peer = Contender(args.peer, photo, args.across, args.runtime, args.threads, folder / "peer")
    before = math.ceil(args.runs / 2)
    with tqdm(total=args.runs + 1, desc="whole photos", unit="photo") as bar:
        for contender in [*before * [model], peer, *(args.runs - before) * [model]]:
            contender.enhance(photo)
            bar.update()
    a, b = model.facts(), peer.facts()
    return {
        "photo": {"height_px": height, "width_px": width, "megapixels": height * width / 1e6},
        "protocol": {
            "runtime": args.runtime,
            "precision": "fp32",
            "threads": args.threads,
            "model_runs": args.runs,
            "peer_runs": 1,
            "order": f"{before} runs of the model, one of its peer, {args.runs - before} of the model; medians",
        },
        "decode_s": median(decode_s),
        "encode_s": median(encode_s),
        "model": a,
        "peer": b,
        "ratio": b["analyze_and_tiles_s"] / a["analyze_and_tiles_s"],
        "ratio_with_thumbnail": (b["analyze_and_tiles_s"] + b["thumbnail_s"])
        / (a["analyze_and_tiles_s"] + a["thumbnail_s"]),
        "ratio_in_runtime": b["in_runtime_s"] / a["in_runtime_s"],
        "ratio_in_cpu_time": b["cpu_s"] / a["cpu_s"],
    }


def memory(checkpoint: str, path: Path, folder: Path) -> dict[str, float]:
    """Peaks of enhance.py on the photo and on two by two of it."""
    pixels = read_pixels(path)
    encode(np.tile(pixels, (2, 2, 1)), folder / "larger.jpg")
    log.info("peak memory of enhance.py")
    peak_mb, seconds = enhance_peak_mb(path, checkpoint, folder / "enhanced")
    larger_peak_mb, larger_seconds = enhance_peak_mb(folder / "larger.jpg", checkpoint, folder / "enhanced")
    return {
        "peak_mb": peak_mb,
        "enhance_py_s": seconds,
        "larger_megapixels": 4 * pixels.shape[0] * pixels.shape[1] / 1e6,
        "larger_peak_mb": larger_peak_mb,
        "larger_enhance_py_s": larger_seconds,
        "quotient": larger_peak_mb / peak_mb,
    }


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All figures, as they stand in cost.json."""
    source, path = make_photo(args, folder)
    facts = compare(args, path, folder)
    facts["photo"]["source"] = source
    peaks = memory(args.model, path, folder)
    bars = {
        f"ratio at least {RATIO_BAR:g}": facts["ratio"] >= RATIO_BAR,
        f"peak memory at most {MEMORY_BAR_MB:g} MB": peaks["peak_mb"] <= MEMORY_BAR_MB,
        f"memory quotient at most {MEMORY_QUOTIENT_BAR:g}": peaks["quotient"] <= MEMORY_QUOTIENT_BAR,
    }
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": {"cpu": cpu_model(), "cores_available": cores()},
        "tools": tools([PACKAGES[args.runtime], "torch", "numpy", "pillow"]),
        **facts,
        "memory": peaks,
        "bars": {bar: "pass" if kept else "fail" for bar, kept in bars.items()},
    }


def table(facts: dict[str, Any]) -> str:
    """cost.json in Markdown."""
    a, b, photo, peaks, protocol = (facts[key] for key in ("model", "peer", "photo", "memory", "protocol"))
    rows = [
        ("MAC/px, halo not counted", "mac_per_px", ",.0f"),
        ("tile with halo, px", "tile_px", "d"),
        ("tiles", "tiles", "d"),
        ("analyze, s", "analyze_s", ".4f"),
        ("all tiles, s", "tiles_s", ".2f"),
        ("of it in the runtime, s", "in_runtime_s", ".2f"),
        ("**analyze + all tiles, s**", "analyze_and_tiles_s", ".2f"),
        ("CPU time of that, s", "cpu_s", ".2f"),
        ("thumbnail, s", "thumbnail_s", ".2f"),
    ]
    lines = [f"| one photo of {photo['megapixels']:.1f} MP | {a['name']} | {b['name']} |", "|---|--:|--:|"]
    lines += [f"| {label} | {a[key]:{form}} | {b[key]:{form}} |" for label, key, form in rows]
    for mine, other in zip(a["tile_sizes_tried"], b["tile_sizes_tried"], strict=True):
        tried = " | ".join(f"{trial['all_tiles_s']:.2f} ({trial['tile_px']} px)" for trial in (mine, other))
        lines.append(f"| tried: {mine['across']} tiles across, all tiles in s | {tried} |")
    bars = "; ".join(f"{bar}: **{outcome}**" for bar, outcome in facts["bars"].items())
    return "\n".join(lines) + f"""

Ratio of analyze + all tiles: **{facts["ratio"]:.1f}**; with the thumbnail, which both need, in both:
{facts["ratio_with_thumbnail"]:.1f}; in the runtime alone: {facts["ratio_in_runtime"]:.1f}; in CPU time:
{facts["ratio_in_cpu_time"]:.1f}, and where this differs much from the first, the machine was busy otherwise and the
first is not to be trusted. Apart from it, decode
{facts["decode_s"]:.2f} s and encode {facts["encode_s"]:.2f} s (JPEG, to and from float).
Peak memory of enhance.py with {a["name"]}, torch included: {peaks["peak_mb"]:.0f} MB at {photo["megapixels"]:.1f} MP,
{peaks["larger_peak_mb"]:.0f} MB at {peaks["larger_megapixels"]:.1f} MP, {peaks["quotient"]:.2f} times as much.
Bars: {bars}.

Photo: {photo["source"]}, {photo["width_px"]} x {photo["height_px"]} px. {protocol["runtime"]} {protocol["precision"]},
{protocol["threads"]} threads, {facts["machine"]["cpu"]}; {protocol["order"]}. Each at its fastest of the tile sizes
tried, by a tile's median time and the number of tiles; sizes are those that cut the width into equal parts. Both with
the condition that their artifact makes of the thumbnail. Host time: it compares models on one machine and says nothing
about a phone.
"""  # fmt: skip


def cost(args: argparse.Namespace) -> Path:
    args.out.mkdir(parents=True, exist_ok=True)  # a path that cannot be written shows before the work
    with tempfile.TemporaryDirectory(prefix="pocket-dslr-") as folder:
        facts = measure(args, Path(folder))
    write_text(args.out / "cost.json", json.dumps(facts, indent=2, allow_nan=False) + "\n")
    text = table(facts)
    write_text(args.out / "cost.md", text)
    print(text)
    return args.out / "cost.json"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="cost.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", default="pocket-iphone", help="the cheap one, path or released name (default: %(default)s)")
    add("--peer", default="runs/published/dped-iphone.safetensors", help="the other (default: %(default)s)")
    add("--runtime", choices=list(PACKAGES), default="litert", help="default: %(default)s")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--photo", type=Path, help="photo to enhance (default: a mosaic of the embedded sample)")
    size.add_argument(
        "--megapixels", type=real(0, 10_000, above=True), help="size of the mosaic (default: 4032x3024 px)"
    )
    add(
        "--across",
        type=whole(1, 1000),
        nargs="+",
        default=list(TILES_ACROSS),
        metavar="N",
        help="tiles to try, so many to a row (default: %(default)s)",
    )
    add("--threads", type=whole(1, 1024), default=2, help="of the runtime (default: %(default)s)")
    add("--runs", type=whole(1, 10_000), default=5, help="of the model; its peer runs once (default: %(default)s)")
    add("--out", type=Path, default=Path("benchmarks/results"), help="folder of the results (default: %(default)s)")
    return run(parser, cost, argv)


if __name__ == "__main__":
    raise SystemExit(main())
