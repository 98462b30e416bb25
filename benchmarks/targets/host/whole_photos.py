"""Whole photos from file to file on this machine: how long each stage takes, each photo in a process of its own."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.report.measured import WholePhoto
from benchmarks.targets.host.mosaic import PHOTO_PX, encode, mosaic
from conversion.artifact import Artifact
from training.commandline import UserError, each
from training.photos import PHOTO_SUFFIXES

PHOTO_MP = 12.0  # what PHOTO_PX is called
MEGAPIXELS_MOST = 200.0
RUNS, RUNS_OF_LARGE, LARGE_MP = 3, 1, 20.0


class WholePhotoError(UserError):
    """A whole photo cannot be measured; the message says why."""


def wanted(asked: Sequence[str], folder: Path) -> list[tuple[Path, bool]]:
    """Files, and whether each is a mosaic: a number of megapixels asks for one, which goes to `folder`.

    Raises:
        WholePhotoError: neither a photo nor a sensible number of megapixels.
    """
    found = []
    for text in asked:
        path = Path(text)
        if path.suffix.lower() in PHOTO_SUFFIXES:
            if not path.is_file():
                raise WholePhotoError(f"--whole-photos: {path}: no such photo")
            found.append((path.resolve(), False))
            continue
        try:
            megapixels = float(text)
        except ValueError:
            megapixels = math.nan
        if not 0.01 <= megapixels <= MEGAPIXELS_MOST:
            raise WholePhotoError(
                f"--whole-photos: {text!r:.80} is neither a photo nor 0.01 to {MEGAPIXELS_MOST:g} megapixels"
            )
        height, width = (round(side * math.sqrt(megapixels / PHOTO_MP)) for side in PHOTO_PX)
        path = folder / f"mosaic-{megapixels:g}mp.jpg"
        encode(mosaic(height, width), path)
        found.append((path, True))
    return found


def measure_whole_photos(
    artifact: Artifact, photos: Sequence[tuple[Path, bool]], threads: int, compute_unit: str | None
) -> tuple[WholePhoto, ...]:
    """Medians of three runs, above 20 MP one run, after a tile that does not count.

    Raises:
        WholePhotoError: the process failed; its last words.
    """
    return tuple(
        measure_one(artifact, path, is_mosaic, threads, compute_unit)
        for path, is_mosaic in each(photos, f"{artifact.manifest.name}: whole photos")
    )


def measure_one(artifact: Artifact, path: Path, is_mosaic: bool, threads: int, compute_unit: str | None) -> WholePhoto:
    with tempfile.TemporaryDirectory(prefix="pocket-dslr-") as name:
        folder = Path(name)
        request = {
            "artifact": str(artifact.folder.resolve()),
            "photo": str(path),
            "threads": threads,
            "compute_unit": compute_unit,
            "runs": RUNS,
            "runs_of_large": RUNS_OF_LARGE,
            "large_px": LARGE_MP * 1e6,
        }
        (folder / "request.json").write_text(json.dumps(request))
        command = [sys.executable, "-m", f"{__package__}.whole_photo_process", str(folder)]
        process = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if process.returncode:
            said = (process.stderr.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
            raise WholePhotoError(f"{artifact.folder}: could not enhance {path.name} as a whole: {said}")
        result = json.loads((folder / "result.json").read_text())
    stages = {name: 1e3 * median(samples) for name, samples in result["stages_s"].items()}
    return WholePhoto(
        photo=path.stem[:100] if path.stem.isprintable() else "photo",
        mosaic=is_mosaic,
        height_px=result["height_px"],
        width_px=result["width_px"],
        runs=len(result["stages_s"]["tiles"]),
        decode_ms=stages["decode"],
        analyze_ms=stages["analyze"],
        tiles_ms=stages["tiles"],
        stitch_ms=stages["stitch"],
        encode_ms=stages["encode"],
        peak_memory_mb=result["peak_mb"],
    )
