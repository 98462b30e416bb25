"""python benchmarks/studies/file_speed.py [--before 9294443] [--folder 50]

What people wait for: enhance.py as it is typed, JPEG to JPEG, beside enhance.py of an earlier commit in the same run;
its CPU time and memory, at 13 and 48 MP; the thumbnail beside the network; a folder beside its tiles alone; and how far
results are from those of the float generator. Writes file-speed.json and file-speed.md. A report: bars missed are said,
not punished. Times are of a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.machine import cores, cpu_model, tools
from benchmarks.targets.host.mosaic import encode, mosaic
from training.commandline import UserError, each, log, run, whole
from training.enhancer import Enhancer, enhance_tiles
from training.files import workspace, write_text
from training.photos import from_samples, read_pixels
from training.tiling import read_tile, thumbnail, to_uint8
from training.weights import release_file

REPOSITORY = Path(__file__).parents[2]
PHOTO_PX, LARGE_PX = (3120, 4160), (6000, 8000)  # 13 and 48 MP
RELEASE = "pocket-clean"
MIN_RATIO, MAX_CPU_S, MAX_MEMORY_MB, MAX_GROWTH, MAX_THUMBNAIL, MAX_LEVELS, MAX_FOLDER = (
    4.0,
    2.8,
    300,
    1.3,
    1.1,
    1,
    1.15,
)
# Peak memory as the process itself sees it at its end: getrusage would begin with that of whoever started it.
CHILD = """
import re, sys
from pathlib import Path
from training import enhance
code = enhance.main(sys.argv[2:])
Path(sys.argv[1]).write_text(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""


@dataclass(frozen=True)
class Cost:
    """Of a process or a piece of work: by the clock, and what all its threads had of the processors."""

    clock_s: float
    cpu_s: float


def earlier(commit: str, folder: Path) -> Path:
    """The tree of a commit, below `folder`."""
    archive = folder / "before.tar"
    command = ["git", "-C", str(REPOSITORY), "archive", "--format=tar", "--output", str(archive), commit]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise UserError(f"--before {commit}: {ran.stderr.strip()}; name a commit of this repository")
    with tarfile.open(archive) as tar:
        tar.extractall(folder / "before", filter="data")
    return folder / "before"


def _run(tree: Path, command: Sequence[object], folder: Path) -> Cost:
    """Raises UserError: it failed; its last words."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    with (folder / "said").open("w+") as said:
        start = time.perf_counter()
        process = subprocess.Popen(list(map(str, command)), cwd=tree, env=environment, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        cost = Cost(time.perf_counter() - start, usage.ru_utime + usage.ru_stime)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = (folder / "said").read_text().strip().splitlines()[-1:] or ["silence"]
        raise UserError(f"{tree}: enhance.py failed: {last[0]}")
    return cost


def enhance_py(tree: Path, photos: Path, folder: Path) -> Cost:
    """enhance.py as it is typed, into a folder that is empty."""
    shutil.rmtree(folder / "enhanced", ignore_errors=True)
    command = [sys.executable, "training/enhance.py", photos, "--checkpoint", RELEASE, "--out", folder / "enhanced"]
    return _run(tree, command, folder)


def peak_mb(tree: Path, photo: Path, folder: Path) -> float:
    shutil.rmtree(folder / "enhanced", ignore_errors=True)
    flags = [photo, "--checkpoint", RELEASE, "--out", folder / "enhanced"]
    _run(tree, [sys.executable, "-c", CHILD, folder / "peak", *flags], folder)
    return int((folder / "peak").read_text()) * 1024 / 1e6


def timed(work: Callable[[], object]) -> Cost:
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - clock, time.process_time() - cpu)


class Tiles:
    """The tiles of a photo, run alone by the engine that enhance.py uses."""

    def __init__(self, photo: Path):
        self.pixels = read_pixels(photo)
        self.enhancer = Enhancer.load(RELEASE)
        model = self.enhancer.model
        self.condition = self.enhancer.analyze(thumbnail(self.pixels, model.thumbnail_px, model.thumbnail_px))
        self.tiles = list(self.enhancer.tiles(self.pixels.shape[0], self.pixels.shape[1]))
        self.output = np.empty_like(self.pixels)
        self.run(1)  # threads open their engines

    def run(self, times: int) -> None:
        """With cutting and stitching of samples, in memory."""

        def keep(tile: Any, enhanced: Any) -> None:
            self.output[tile.kept] = to_uint8(enhanced)

        for _ in range(times):
            enhance_tiles(
            self.tiles, lambda tile: from_samples(read_tile(self.pixels, tile)), keep, self.enhancer.model.engine,
            self.condition, None, self.enhancer.workers,
        )  # fmt: skip

    def network(self) -> None:
        """The engine alone."""
        side = self.enhancer.model.tile_px
        planes = np.full((1, 3, side, side), 0.5, np.float32)
        work = self.enhancer.workers
        list(work.map(lambda _: self.enhancer.model.engine.enhance(planes, self.condition), self.tiles))

    def thumbnail(self) -> None:
        thumbnail(self.pixels, *2 * [self.enhancer.model.thumbnail_px])


def compare(before: Path, photo: Path, runs: int, folder: Path) -> dict[str, Any]:
    """Both trees on one photo, by turns."""
    costs: dict[str, list[Cost]] = {"before": [], "now": []}
    for name, tree in each(runs * [("before", before), ("now", REPOSITORY)], "photos from file to file"):
        costs[name].append(enhance_py(tree, photo, folder))
    pairs = [b.clock_s / n.clock_s for b, n in zip(costs["before"], costs["now"], strict=True)]
    return {
        **{name: [asdict(cost) for cost in all_] for name, all_ in costs.items()},
        "ratio_clock": median(pairs),
        "ratio_cpu": median(b.cpu_s / n.cpu_s for b, n in zip(costs["before"], costs["now"], strict=True)),
        "now_cpu_s": median(cost.cpu_s for cost in costs["now"]),
        "now_clock_s": median(cost.clock_s for cost in costs["now"]),
        "before_clock_s": median(cost.clock_s for cost in costs["before"]),
        "before_cpu_s": median(cost.cpu_s for cost in costs["before"]),
    }


def thumbnail_share(tiles: Tiles, runs: int) -> dict[str, float]:
    network = median(timed(tiles.network).cpu_s for _ in range(runs))
    thumb = median(timed(tiles.thumbnail).cpu_s for _ in range(runs))
    return {"network_cpu_s": network, "thumbnail_cpu_s": thumb, "quotient": (network + thumb) / network}


def levels_from_float(photo: Path, folder: Path) -> int:
    """The largest difference of a result that is not compressed from that of the float generator, in levels of 255."""
    results = []
    for name in (RELEASE, release_file(RELEASE)):
        target = folder / "lossless.png"
        flags = [photo, "--checkpoint", name, "--overwrite", "--out", target]
        _run(REPOSITORY, [sys.executable, "training/enhance.py", *flags], folder)
        results.append(read_pixels(target).astype(int))
    return int(np.abs(results[0] - results[1]).max())


def folder_of_photos(tiles: Tiles, photo: Path, count: int, folder: Path) -> dict[str, Any]:
    """A folder of copies of a photo beside the same tiles run alone, half of them before and half after."""
    album = folder / "album"
    album.mkdir()
    for number in range(count):
        shutil.copyfile(photo, album / f"{number}.jpg")
    half = timed(lambda: tiles.run(count // 2))
    whole_folder = enhance_py(REPOSITORY, album, folder)
    rest = timed(lambda: tiles.run(count - count // 2))
    alone = Cost(half.clock_s + rest.clock_s, half.cpu_s + rest.cpu_s)
    return {
        "photos": count,
        "folder": asdict(whole_folder),
        "tiles_alone": asdict(alone),
        "quotient": whole_folder.clock_s / alone.clock_s,
        "quotient_cpu": whole_folder.cpu_s / alone.cpu_s,
    }


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All figures, as they stand in file-speed.json."""
    photo, large = folder / "photo.jpg", folder / "large.jpg"
    encode(mosaic(*PHOTO_PX), photo)
    encode(mosaic(*LARGE_PX), large)
    before = earlier(args.before, folder)
    speed = compare(before, photo, args.runs, folder)
    memory = {name: peak_mb(tree, photo, folder) for name, tree in (("before", before), ("now", REPOSITORY))}
    memory["large"] = peak_mb(REPOSITORY, large, folder)
    tiles = Tiles(photo)
    share = thumbnail_share(tiles, args.runs)
    levels = levels_from_float(photo, folder)
    album = folder_of_photos(tiles, photo, args.folder, folder)
    bars = {
        f"at least {MIN_RATIO:g} times as fast by the clock": speed["ratio_clock"] >= MIN_RATIO,
        f"at most {MAX_CPU_S} s of CPU": speed["now_cpu_s"] <= MAX_CPU_S,
        f"at most {MAX_MEMORY_MB} MB": memory["now"] <= MAX_MEMORY_MB,
        f"48 MP in at most {MAX_GROWTH} times that memory": memory["large"] <= MAX_GROWTH * memory["now"],
        f"network and thumbnail at most {MAX_THUMBNAIL} times the network": share["quotient"] <= MAX_THUMBNAIL,
        f"at most {MAX_LEVELS} level from float": levels <= MAX_LEVELS,
        f"a folder in at most {MAX_FOLDER} times its tiles": album["quotient"] <= MAX_FOLDER,
    }
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": {"cpu": cpu_model(), "cores_available": cores()},
        "tools": tools(["ai-edge-litert", "numpy", "pyvips", "torch"]),
        "before_commit": args.before,
        "speed": speed,
        "peak_mb": memory,
        "thumbnail": share,
        "levels_from_float": levels,
        "album": album,
        "bars": {bar: "pass" if kept else "fail" for bar, kept in bars.items()},
    }


def table(facts: dict[str, Any]) -> str:
    """file-speed.json in Markdown."""
    speed, peak, album, share = (facts[key] for key in ("speed", "peak_mb", "album", "thumbnail"))
    bars = "\n".join(f"- {bar}: **{outcome}**" for bar, outcome in facts["bars"].items())
    rows = [
        ("by the clock, s", speed["before_clock_s"], speed["now_clock_s"], speed["ratio_clock"], ".2f"),
        ("CPU time, s", speed["before_cpu_s"], speed["now_cpu_s"], speed["ratio_cpu"], ".2f"),
        ("peak memory, MB", peak["before"], peak["now"], peak["before"] / peak["now"], ".0f"),
    ]
    lines = [f"| 13 MP, JPEG to JPEG, {RELEASE} | commit {facts['before_commit']} | now | ratio |", "|---|--:|--:|--:|"]
    lines += [f"| {label} | {old:{form}} | {new:{form}} | {ratio:.1f} |" for label, old, new, ratio, form in rows]
    return (
        "\n".join(lines)
        + f"""

48 MP take {peak["large"]:.0f} MB, {peak["large"] / peak["now"]:.2f} times as much. Network and thumbnail take
{share["quotient"]:.3f} times the CPU time of the network. Levels by which results differ from those of the float
generator, at most: {facts["levels_from_float"]}. A folder of {album["photos"]} such photos takes
{album["folder"]["clock_s"]:.1f} s, its tiles alone {album["tiles_alone"]["clock_s"]:.1f} s:
{album["quotient"]:.2f} times by the clock and {album["quotient_cpu"]:.2f} times in CPU time.

{bars}

Photo: MOSAIC of the embedded sample. {facts["machine"]["cpu"]}, {facts["machine"]["cores_available"]} cores;
medians of {len(speed["now"])} runs by turns. Where the clock says about as much as CPU time, the machine was busy
otherwise, and two threads had one core.
"""
    )


def file_speed(args: argparse.Namespace) -> Path:
    args.out.mkdir(parents=True, exist_ok=True)  # a path that cannot be written shows before the work
    with workspace() as folder:
        facts = measure(args, folder)
    write_text(args.out / "file-speed.json", json.dumps(facts, indent=2, allow_nan=False) + "\n")
    text = table(facts)
    log.info("%s", text)
    return write_text(args.out / "file-speed.md", text)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="file_speed.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--before", default="9294443", metavar="COMMIT", help="whose enhance.py is the peer (default: %(default)s)")
    add("--runs", type=whole(1, 100), default=3, help="of each (default: %(default)s)")
    add("--folder", type=whole(2, 1000), default=50, help="photos in the folder (default: %(default)s)")
    add("--out", type=Path, default=Path("benchmarks/results"), help="folder of the results (default: %(default)s)")
    return run(parser, file_speed, argv)


if __name__ == "__main__":
    raise SystemExit(main())
