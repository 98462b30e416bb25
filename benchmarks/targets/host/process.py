"""python -m benchmarks.targets.host.process FOLDER: run one artifact in a process of its own, with memory of its own.

`on_host.py` starts it. FOLDER holds `request.json`, `tile.npy` and per photo `<n>.npy`, [H, W, 3] uint8, and
`<n>.thumbnail.npy`, planes as `analyze` takes them; it gains `<n>.out.npy`, [H, W, 3] float32, and `result.json`.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import peak_memory_mb, time_runs
from conversion.artifact import Artifact
from conversion.runtimes import import_runtime, open_engine
from training.commandline import UserError
from training.tiling import Tiling


def work(folder: Path) -> None:
    request = json.loads((folder / "request.json").read_text())
    artifact = Artifact.load(Path(request["artifact"])).verify()
    manifest = artifact.manifest
    numbers = range(request["photos"])
    small = [np.load(folder / f"{at}.thumbnail.npy", allow_pickle=False) for at in numbers]
    tile = np.load(folder / "tile.npy", allow_pickle=False)
    with contextlib.suppress(ImportError):  # open_engine says it better
        import_runtime(manifest.format)

    baseline_mb = peak_memory_mb()
    start = time.perf_counter()
    engine = open_engine(
        manifest.format, artifact.folder, manifest.entry_points, request["threads"], request["compute_unit"]
    )
    load_s = time.perf_counter() - start
    result: dict[str, Any] = {"load_s": [], "analyze_s": [], "enhance_s": [], "peak_mb": None, "baseline_mb": None}
    result["compute_unit"] = getattr(engine, "compute_unit", None)
    if request["runs"]:
        runs = request["warm_up_runs"], request["runs"]
        condition = engine.analyze(small[0])
        result["analyze_s"] = time_runs(lambda: engine.analyze(small[0]), *runs)
        time.sleep(request["cool_down_s"])
        result["enhance_s"] = time_runs(lambda: engine.enhance(tile, condition), *runs)
        result |= {"load_s": [load_s], "peak_mb": peak_memory_mb(), "baseline_mb": baseline_mb}

    from training.enhancer import enhance_photo  # not before memory is read: it brings torch

    tiling = Tiling(manifest.tiling.halo_px, manifest.tiling.align_px, manifest.tiling.border)
    for at in numbers:
        photo = np.load(folder / f"{at}.npy", allow_pickle=False).astype(np.float32) / np.float32(255)
        output = enhance_photo(photo, engine, tiling, manifest.tiling.tile_px, engine.analyze(small[at]))
        np.save(folder / f"{at}.out.npy", output)
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    try:
        work(Path(sys.argv[1]))
    except UserError as error:
        raise SystemExit(str(error)) from None
