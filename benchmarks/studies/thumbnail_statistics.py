"""python benchmarks/studies/thumbnail_statistics.py FOLDER [--checkpoint runs/published/dped-iphone.safetensors]

A generator that normalizes with statistics of the whole photo (DPED, PPCN) may take them from a thumbnail instead:
how far is the whole output then from the exact one, per photo and thumbnail height? Writes thumbnail_statistics.json
and thumbnail_statistics.md. The thumbnails here keep the photo's aspect, since this is about their height alone; the
one of the artifacts is square.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.checkpoint import Checkpoint
from training.commandline import UserError, each, run, whole
from training.enhancer import Array, TorchEngine, from_planes, to_planes
from training.enhancer.whole_photo import MOST_PX, Pixels, reduced
from training.files import write_text
from training.generators.statistics import StatisticsGenerator
from training.photos import from_samples, read_folder
from training.quality import metrics
from training.tiling import thumbnail

HEIGHTS_PX = (64, 128, 256, 512)


def study(engine: TorchEngine, pixels: Pixels, heights_px: Sequence[int]) -> dict[str, float | None]:
    """PSNR in dB of the whole output [H, W, 3] against the exact one by height; None where the photo is no higher."""
    height, width = pixels.shape[:2]
    photo = to_planes(from_samples(pixels))

    def output(statistics_of: Array) -> Array:
        return from_planes(engine.enhance(photo, engine.analyze(statistics_of)))

    exact = output(photo)  # `analyze` of the photo itself
    figures: dict[str, float | None] = {}
    for small_px in heights_px:
        small = thumbnail(pixels, small_px, max(1, round(small_px * width / height)))
        figures[str(small_px)] = (
            metrics.psnr(output(to_planes(from_samples(small))), exact) if small_px < height else None
        )
    return figures


def table(rows: Sequence[dict[str, Any]], name: str, heights_px: Sequence[int]) -> str:
    """One row per photo, and their mean and worst, with the protocol below."""

    def line(label: str, megapixels: str, figures: Sequence[float | None]) -> str:
        cells = ["—" if figure is None else f"{figure:.1f}" for figure in figures]
        return f"| {label} | {megapixels} | {' | '.join(cells)} |"

    columns = [[row["psnr_db"][str(height)] for row in rows] for height in heights_px]
    known = [[figure for figure in column if figure is not None] for column in columns]
    lines = [
        f"| photo | MP | {' | '.join(f'{height} px' for height in heights_px)} |",
        "|---|--:|" + "--:|" * len(heights_px),
        *(
            line(f"photo {at}", f"{row['height_px'] * row['width_px'] / 1e6:.2f}", list(row["psnr_db"].values()))
            for at, row in enumerate(rows, 1)
        ),
        line("**mean**", "", [float(np.mean(column)) if column else None for column in known]),
        line("**worst**", "", [min(column, default=None) for column in known]),
    ]
    return "\n".join(lines) + f"""

PSNR in dB of {name}'s whole output, clamped, with statistics from a thumbnail of that height against the output with
the photo's own statistics. Box-averaged 8-bit thumbnails of the photo's aspect, as this is about the height alone; an
artifact's is square. Photos above {MOST_PX / 1e6:g} MP are first reduced to 1/2 (1/3, ...) of their sides. Photos in
the order of their file names, which the JSON has; — where a thumbnail would be no smaller than the photo.
"""  # fmt: skip


def thumbnail_statistics(args: argparse.Namespace) -> Path:
    args.out.mkdir(parents=True, exist_ok=True)  # a path that cannot be written shows before the work
    checkpoint = Checkpoint.load(args.checkpoint)
    if not isinstance(checkpoint.generator, StatisticsGenerator):
        raise UserError(f"{args.checkpoint}: takes no statistics of the photo; give a DPED or PPCN checkpoint")
    engine = TorchEngine(checkpoint.generator)
    rows: list[dict[str, Any]] = []
    for name, full in each(read_folder(args.photos).items(), "thumbnail statistics"):
        pixels, divisor = reduced(full)
        height, width = pixels.shape[:2]
        figures = study(engine, pixels, args.heights)
        rows.append(
            {"photo": name, "height_px": height, "width_px": width, "sides_divided_by": divisor, "psnr_db": figures}
        )
    facts = {"model": checkpoint.name, "checkpoint_sha256": checkpoint.sha256, "photos": rows}
    write_text(args.out / "thumbnail_statistics.json", json.dumps(facts, indent=2, allow_nan=False) + "\n")
    text = table(rows, checkpoint.name, args.heights)
    write_text(args.out / "thumbnail_statistics.md", text)
    print(text)
    return args.out / "thumbnail_statistics.json"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="thumbnail_statistics.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("photos", type=Path, metavar="FOLDER", help="photos to enhance")
    add("--checkpoint", default="runs/published/dped-iphone.safetensors", help="path or name (default: %(default)s)")
    add(
        "--heights",
        type=whole(1, 8192),
        nargs="+",
        default=list(HEIGHTS_PX),
        metavar="PX",
        help="to try (default: %(default)s)",
    )
    add("--out", type=Path, default=Path("benchmarks/results"), help="folder of the results (default: %(default)s)")
    return run(parser, thumbnail_statistics, argv)


if __name__ == "__main__":
    raise SystemExit(main())
