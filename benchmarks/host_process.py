"""python -m benchmarks.host_process FOLDER: run one artifact in a process of its own, so that its memory is its own.

`on_host.py` starts it. FOLDER holds `request.json` and the photos `<n>.npy`, [H, W, 3] uint8; it gains the outputs
`<n>.out.npy`, [H, W, 3] float32, and `result.json`. No torch before memory was read, or it would count torch.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conversion.artifact import Artifact
from conversion.runtimes import open_artifact, open_engine
from training.commandline import UserError
from training.tiling import Tiling, plan, read_tile, thumbnail


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in 10^6 bytes.

    On Linux ru_maxrss starts at what the parent had when it started this process, so the peak of the address space
    is read instead.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        peak_kib = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(peak_kib) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def time_runs(call: Callable[[], Any], warm_up_runs: int, runs: int) -> list[float]:
    """Durations of `runs` calls in seconds, after `warm_up_runs` that do not count."""
    for _ in range(warm_up_runs):
        call()
    samples = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        samples.append(time.perf_counter() - start)
    return samples


def planes(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """[H, W, 3] 8 bit -> [1, 3, H, W] in [0, 1]."""
    values = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
    values /= 255
    return values


def work(folder: Path) -> None:
    request = json.loads((folder / "request.json").read_text())
    photos = [np.load(folder / f"{at}.npy", allow_pickle=False) for at in range(request["photos"])]
    artifact = Artifact.load(Path(request["artifact"]))
    manifest = artifact.manifest
    spec = manifest.tiling
    small = [planes(thumbnail(photo, manifest.thumbnail_px, manifest.thumbnail_px)) for photo in photos]
    tiling = Tiling(spec.halo_px, spec.align_px, spec.border)
    height, width, _ = photos[0].shape
    tile = planes(read_tile(photos[0], next(plan(height, width, spec.tile_px, tiling))))

    baseline_mb = peak_memory_mb()
    engine = open_artifact(artifact, threads=request["threads"])
    result: dict[str, Any] = {"load_s": [], "analyze_s": [], "enhance_s": [], "peak_mb": None, "baseline_mb": None}
    if request["runs"]:
        runs = request["warm_up_runs"], request["runs"]
        result["analyze_s"] = time_runs(lambda: engine.analyze(small[0]), *runs)
        time.sleep(request["cool_down_s"])
        condition = engine.analyze(small[0])
        result["enhance_s"] = time_runs(lambda: engine.enhance(tile, condition), *runs)
        result |= {"peak_mb": peak_memory_mb(), "baseline_mb": baseline_mb}
        del engine  # the runtime's libraries are in memory by now, so this load is the model's alone
        start = time.perf_counter()
        engine = open_engine(manifest.format, artifact.folder, manifest.entry_points, request["threads"])
        result["load_s"] = [time.perf_counter() - start]

    from training.enhancer import enhance_photo  # brings torch

    for at, photo in enumerate(photos):
        condition = engine.analyze(small[at])
        output = enhance_photo(photo.astype(np.float32) / 255, engine, tiling, spec.tile_px, condition)
        np.save(folder / f"{at}.out.npy", output)
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    try:
        work(Path(sys.argv[1]))
    except UserError as error:
        raise SystemExit(str(error)) from None
