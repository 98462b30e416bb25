"""python -m benchmarks.targets.host.whole_photo_process FOLDER: one photo from file to file, in a process of its own.

`whole_photos.py` starts it. FOLDER holds `request.json`; it gains `enhanced.jpg` and `result.json`. The photo and the
result are held as 8-bit samples, one tile at a time is float.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import peak_memory_mb
from benchmarks.targets.host.timed_engine import Timed, tiling
from conversion.artifact import Artifact
from conversion.runtimes import Array, ArtifactEngine, open_engine
from training.commandline import UserError
from training.enhancer import enhance_tiles, to_planes
from training.photos import from_samples, read_pixels
from training.photos.encoding import write_samples
from training.tiling import Tile, plan, read_tile, thumbnail, to_uint8


def enhance_file(artifact: Artifact, engine: ArtifactEngine, source: Path, target: Path) -> dict[str, float]:
    """Seconds by stage, and the size of the photo."""
    manifest = artifact.manifest
    start = time.perf_counter()
    pixels = read_pixels(source)
    decoded = time.perf_counter()
    small = thumbnail(pixels, manifest.thumbnail_px, manifest.thumbnail_px)
    condition = engine.analyze(to_planes(small) / np.float32(255))
    analyzed = time.perf_counter()
    output, timed = np.empty_like(pixels), Timed(engine)

    def keep(tile: Tile, enhanced: Array) -> None:
        output[tile.kept] = to_uint8(enhanced)

    height, width = pixels.shape[:2]
    tiles = plan(height, width, manifest.tiling.tile_px, tiling(manifest.tiling))
    enhance_tiles(tiles, lambda tile: from_samples(read_tile(pixels, tile)), keep, timed, condition)
    enhanced = time.perf_counter()
    write_samples(target, output, b"")
    return {
        "decode": decoded - start,
        "analyze": analyzed - decoded,
        "tiles": timed.enhance_s,
        "stitch": enhanced - analyzed - timed.enhance_s,
        "encode": time.perf_counter() - enhanced,
        "height_px": height,
        "width_px": width,
    }


def work(folder: Path) -> None:
    request = json.loads((folder / "request.json").read_text())
    artifact = Artifact.load(Path(request["artifact"])).verify()
    manifest = artifact.manifest
    engine = open_engine(
        manifest.format, artifact.folder, manifest.entry_points, request["threads"], request["compute_unit"]
    )
    side, thumbnail_px = manifest.tiling.tile_px, manifest.thumbnail_px
    warm_up = engine.analyze(np.zeros((1, 3, thumbnail_px, thumbnail_px), np.float32))
    engine.enhance(np.zeros((1, 3, side, side), np.float32), warm_up)
    source, target = Path(request["photo"]), folder / "enhanced.jpg"
    runs = [enhance_file(artifact, engine, source, target)]
    large = runs[0]["height_px"] * runs[0]["width_px"] > request["large_px"]
    runs += [
        enhance_file(artifact, engine, source, target) for _ in range(1, request["runs_of_large" if large else "runs"])
    ]
    stages = ("decode", "analyze", "tiles", "stitch", "encode")
    result: dict[str, Any] = {"stages_s": {stage: [run[stage] for run in runs] for stage in stages}}
    result |= {"height_px": runs[0]["height_px"], "width_px": runs[0]["width_px"], "peak_mb": peak_memory_mb()}
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    try:
        work(Path(sys.argv[1]))
    except (UserError, ValueError) as error:
        raise SystemExit(str(error)) from None
