"""A checkpoint as artifacts of several tile sizes: the fastest of them enhances whole photos, and the time is kept."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image

from benchmarks.machine import time_runs
from benchmarks.targets.host.timed_engine import Timed, tiling
from conversion.artifact import Artifact, Manifest
from conversion.runtimes import Array, open_artifact
from training.checkpoint import Checkpoint, find
from training.commandline import UserError, each
from training.enhancer import Engine, enhance_photo, thumbnail_planes, to_planes
from training.tiling import plan, read_tile, tile_px_for, to_uint8

CONVERTERS = {"litert": "to_tflite", "executorch": "to_executorch"}
TRIAL_S, TRIAL_RUNS = 1.0, 3  # at least; the first tiles after a pause are slow


@dataclass(frozen=True)
class TileTrial:
    """One tile size: the median time of a tile in the loop, and how many a photo takes, so many of them `across` it."""

    across: int
    tile_px: int
    tile_ms: float
    tiles: int

    @property
    def all_tiles_s(self) -> float:
        return self.tile_ms * self.tiles / 1e3


@dataclass(frozen=True)
class PhotoRun:
    """Seconds of one whole photo.

    tiles_s: cutting, enhancing and stitching; in_runtime_s: the runtime's part of it. cpu_s: of analyze and tiles, what
    the threads of this process really had: where the machine is busy otherwise, it is far below the time by the clock.
    """

    thumbnail_s: float
    analyze_s: float
    tiles_s: float
    in_runtime_s: float
    cpu_s: float

    @property
    def analyze_and_tiles_s(self) -> float:
        return self.analyze_s + self.tiles_s


class Contender:
    """A checkpoint as artifacts of several tile sizes, of which the fastest runs the photo."""

    def __init__(
        self, name_or_path: str, photo: Array, across: Sequence[int], runtime: str, threads: int, folder: Path
    ):
        self.checkpoint = Checkpoint.load(name_or_path)
        self.trials: list[TileTrial] = []
        artifacts: dict[int, Artifact] = {}
        sizes = {parts: tile_px_for(photo.shape[1], parts, self.checkpoint.generator.tiling) for parts in across}
        for parts, tile_px in sizes.items():
            if tile_px > min(photo.shape[:2]):
                raise UserError(f"--across: the photo is below a tile of {tile_px} px; give more than {parts}")
        for parts, tile_px in each(sizes.items(), f"{self.checkpoint.name}: tile sizes"):
            artifacts[parts] = convert(name_or_path, tile_px, photo, runtime, folder / str(parts))
            self.trials.append(try_tiles(artifacts[parts], photo, parts, threads))
        self.best = min(self.trials, key=lambda trial: trial.all_tiles_s)
        self.manifest = artifacts[self.best.across].manifest
        self.engine = open_artifact(artifacts[self.best.across], threads)
        self.runs: list[PhotoRun] = []
        time_runs(tile_call(self.engine, self.manifest, photo), warm_up_runs=1, runs=0)

    def enhance(self, photo: Array) -> Array:
        """The photo, end to end; its time goes to `runs`."""
        start = time.perf_counter()
        small = thumbnail_planes(photo, self.manifest.thumbnail_px)
        cut, cpu = time.perf_counter(), time.process_time()
        condition = self.engine.analyze(small)
        analyzed = time.perf_counter()
        timed = Timed(self.engine)
        output = enhance_photo(photo, timed, tiling(self.manifest.tiling), self.best.tile_px, condition)
        done, cpu_s = time.perf_counter(), time.process_time() - cpu
        self.runs.append(PhotoRun(cut - start, analyzed - cut, done - analyzed, timed.enhance_s, cpu_s))
        return output

    def median_s(self, part: Callable[[PhotoRun], float]) -> float:
        return median(part(run) for run in self.runs)

    def facts(self) -> dict[str, Any]:
        generator = self.checkpoint.generator
        return {
            "name": self.checkpoint.name,
            "checkpoint_sha256": self.checkpoint.sha256,
            "licence": self.checkpoint.licence,
            "mac_per_px": round(generator.mac_per_px(), 1),
            "tile_sizes_tried": [asdict(trial) | {"all_tiles_s": trial.all_tiles_s} for trial in self.trials],
            "tile_px": self.best.tile_px,
            "halo_px": self.manifest.tiling.halo_px,
            "tiles": self.best.tiles,
            "runs": [asdict(run) for run in self.runs],
            "thumbnail_s": self.median_s(lambda run: run.thumbnail_s),
            "analyze_s": self.median_s(lambda run: run.analyze_s),
            "tiles_s": self.median_s(lambda run: run.tiles_s),
            "in_runtime_s": self.median_s(lambda run: run.in_runtime_s),
            "cpu_s": self.median_s(lambda run: run.cpu_s),
            "analyze_and_tiles_s": self.median_s(lambda run: run.analyze_and_tiles_s),
        }


def convert(checkpoint: str, tile_px: int, photo: Array, runtime: str, folder: Path) -> Artifact:
    """By the project's own script, whose check of fidelity gets one tile of the photo.

    Raises:
        UserError: the script failed; its last words.
    """
    (folder / "photo").mkdir(parents=True)
    Image.fromarray(to_uint8(photo[:tile_px, :tile_px])).save(folder / "photo" / "tile.png")
    command = [
        sys.executable, "-m", f"conversion.{CONVERTERS[runtime]}", "--checkpoint", str(find(checkpoint)),
        "--precision", "fp32", "--tile", str(tile_px), "--photos", str(folder / "photo"), "--out", str(folder),
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if ran.returncode:
        said = (ran.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise UserError(f"{checkpoint}: could not be converted with tiles of {tile_px} px ({said})")
    return Artifact.load(Path(ran.stdout.splitlines()[-1]))


def tile_call(engine: Engine, manifest: Manifest, photo: Array) -> Callable[[], Array]:
    """Enhances the first tile of a photo, whose condition and tile are ready."""
    tile = next(plan(photo.shape[0], photo.shape[1], manifest.tiling.tile_px, tiling(manifest.tiling)))
    planes, condition = (
        to_planes(read_tile(photo, tile)),
        engine.analyze(thumbnail_planes(photo, manifest.thumbnail_px)),
    )
    return lambda: engine.enhance(planes, condition)


def try_tiles(artifact: Artifact, photo: Array, across: int, threads: int) -> TileTrial:
    """The median of the tiles of a second, after one that does not count."""
    manifest = artifact.manifest
    tile_px = manifest.tiling.tile_px
    call = tile_call(open_artifact(artifact, threads), manifest, photo)
    samples = time_runs(call, warm_up_runs=1, runs=1)
    while len(samples) < TRIAL_RUNS or sum(samples) < TRIAL_S:
        samples += time_runs(call, warm_up_runs=0, runs=1)
    tiles = sum(1 for _ in plan(photo.shape[0], photo.shape[1], tile_px, tiling(manifest.tiling)))
    return TileTrial(across, tile_px, 1e3 * median(samples), tiles)
