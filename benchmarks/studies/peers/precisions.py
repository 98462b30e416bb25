"""python benchmarks/studies/peers/precisions.py ARTIFACT_FOLDER... --checkpoint NAME --peer CHECKPOINT

What one megapixel of enhance costs in each of a checkpoint's artifacts, in one run on this machine: beside the same
network on the same tile in eager float, torch.compile and onnxruntime, and beside a peer that this project converts to
fp32 for the same runtimes. And the peak memory of each, in a process of its own. Writes precisions.json and
precisions.md. A report: bars missed are said, not punished.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import cores, cpu_model, tools
from benchmarks.page.markdown import escape_markdown, markdown_table
from benchmarks.studies.peers.entries import ONNX, RUNTIMES, Entry, Scene, artifact_entry, float_entries, peer_entry
from benchmarks.studies.peers.rounds import Timed, take_turns
from conversion.artifact import Artifact
from conversion.runtimes import from_layout
from training.commandline import UserError, each, real, run, whole
from training.enhancer import from_planes
from training.files import write_text
from training.quality import metrics

PACKAGES = {"litert": "ai-edge-litert", "executorch": "executorch"}
INT8 = ("dyn8", "w8a8")
PEER_TILES_PX = (256, 320)
RATIO_BAR = 150.0
Row = dict[str, Any]


def find_entries(args: argparse.Namespace, folder: Path) -> list[Entry]:
    """All that is compared; converts the peer on the way."""
    scene = Scene(args.checkpoint)
    artifacts = [artifact_entry("artifact", Artifact.load(path).verify(), scene) for path in args.artifacts]
    timed = [entry for entry in artifacts if entry.candidate]
    if not timed:
        raise UserError("none of these artifacts can be timed here; give some for LiteRT or for ExecuTorch's XNNPACK")
    floats = [entry for tile_px in sorted({entry.tile_px for entry in timed})
              for entry in float_entries(tile_px, scene, folder)]  # fmt: skip
    peer = Scene(args.peer)
    runtimes = sorted({entry.runtime for entry in timed})
    wanted = [(tile_px, runtime) for runtime in runtimes for tile_px in args.peer_tiles]
    bar = each(wanted, f"converting {peer.checkpoint.name}")
    peers = [peer_entry(args.peer, peer, tile_px, runtime, folder) for tile_px, runtime in bar]
    return [*artifacts, *floats, *peers]


def describe(entry: Entry, timed: Timed | str | None) -> Row:
    """One entry as it stands in precisions.json, still without ratios."""
    row: Row = {
        "group": entry.group,
        "name": entry.name,
        "runtime": entry.runtime,
        "precision": entry.precision,
        "io": entry.io,
        "tile_px": entry.tile_px,
        "halo_px": entry.halo_px,
        "useful_megapixels": entry.useful_megapixels,
        "why_not": entry.why_not,
    }
    if not isinstance(timed, Timed):
        return row | {"why_not": timed or entry.why_not}
    output = np.asarray(timed.output, np.float32)
    if entry.artifact:
        output = from_layout(timed.output, entry.artifact.manifest.entry_point("enhance").outputs[0])
    return row | {
        "tile_ms": timed.tile_ms,
        "ms_per_megapixel": timed.tile_ms / entry.useful_megapixels,
        "cpu_ms_per_megapixel": timed.tile_cpu_ms / entry.useful_megapixels,
        "spread": timed.spread,
        "calls": timed.calls,
        "peak_mb": timed.peak_mb,
        "baseline_mb": timed.baseline_mb,
        "psnr_to_eager_db": metrics.psnr(from_planes(output), from_planes(entry.reference)),
    }


def fastest(rows: Sequence[Row]) -> Row | None:
    return min((row for row in rows if "tile_ms" in row), key=lambda row: row["ms_per_megapixel"], default=None)


def add_ratios(rows: list[Row]) -> dict[str, dict[str, Any]]:
    """Into every timed row: how often faster it is than eager float on its tile and than the peer in its runtime.

    Returns:
        By runtime: the fastest 8-bit artifact, the peer at its fastest tile, and their ratios by the clock and in CPU
        time. Only of runtimes that have both.
    """
    best: dict[str, dict[str, Any]] = {}
    for runtime in dict.fromkeys(row["runtime"] for row in rows):
        of_runtime = [row for row in rows if row["runtime"] == runtime]
        peer = fastest([row for row in of_runtime if row["group"] == "peer"])
        int8 = fastest([row for row in of_runtime if row["group"] == "artifact" and row["precision"] in INT8])
        for row in of_runtime:
            if peer and "tile_ms" in row and row["group"] == "artifact":
                row["ratio_to_peer"] = peer["ms_per_megapixel"] / row["ms_per_megapixel"]
                row["cpu_ratio_to_peer"] = peer["cpu_ms_per_megapixel"] / row["cpu_ms_per_megapixel"]
        if peer and int8:
            best[runtime] = {
                "artifact": int8["name"],
                "precision": int8["precision"],
                "tile_px": int8["tile_px"],
                "peer": peer["name"],
                "peer_tile_px": peer["tile_px"],
                "ratio": int8["ratio_to_peer"],
                "cpu_ratio": int8["cpu_ratio_to_peer"],
            }
    eager = {row["tile_px"]: row for row in rows if row["runtime"] == "eager" and "tile_ms" in row}
    for row in rows:
        if row["group"] != "peer" and "tile_ms" in row:
            row["ratio_to_eager"] = eager[row["tile_px"]]["ms_per_megapixel"] / row["ms_per_megapixel"]
    return best


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All figures, as they stand in precisions.json."""
    entries = find_entries(args, folder)
    running = [entry for entry in entries if entry.candidate]
    results = take_turns(
        [entry.candidate for entry in running if entry.candidate], args.threads, args.rounds, args.round_s,
        folder / "processes",
    )  # fmt: skip
    found = dict(zip(map(id, running), results, strict=True))
    rows = [describe(entry, found.get(id(entry))) for entry in entries]
    best = add_ratios(rows)
    ratio = max((figures["ratio"] for figures in best.values()), default=None)
    packages = [PACKAGES[runtime] for runtime in RUNTIMES.values() if any(row["runtime"] == runtime for row in rows)]
    packages += [package for package in ONNX if importlib.util.find_spec(package)]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": {"cpu": cpu_model(), "cores_available": cores()},
        "tools": tools([*packages, "torch", "numpy"]),
        "protocol": {"threads": args.threads, "rounds": args.rounds, "round_s": args.round_s},
        "rows": rows,
        "best_int8": best,
        "bars": {f"best 8-bit artifact at least {RATIO_BAR:g} times as fast as the peer": outcome(ratio)},
    }


def outcome(ratio: float | None) -> str:
    return "not measured" if ratio is None else "pass" if ratio >= RATIO_BAR else "fail"


COLUMNS = [  # label, key, format; is text where there is no format
    ("Model", "name", None),
    ("Runtime", "runtime", None),
    ("Precision", "precision", None),
    ("I/O", "io", None),
    ("Tile, px", "tile_px", "d"),
    ("ms/MP", "ms_per_megapixel", ".1f"),
    ("CPU ms/MP", "cpu_ms_per_megapixel", ".1f"),
    ("Spread", "spread", ".0%"),
    ("Peak, MB", "peak_mb", ".0f"),
    ("before loading, MB", "baseline_mb", ".0f"),
    ("PSNR to eager, dB", "psnr_to_eager_db", ".1f"),
    ("times eager", "ratio_to_eager", ".2f"),
    ("times the peer", "ratio_to_peer", ".1f"),
    ("in CPU time", "cpu_ratio_to_peer", ".1f"),
]


BEST_COLUMNS = [
    ("Runtime", True), ("Fastest 8-bit artifact", True), ("its tile, px", False), ("Peer, fp32", True),
    ("its tile, px", False), ("times as fast", False), ("in CPU time", False),
]  # fmt: skip
PROTOCOL = """ms/MP is the time of enhance on one tile over the pixels of it that are kept, so the halo counts as cost;
input and output lie ready in the layout and type of each runtime. CPU time is that of all threads: where the machine
was busy otherwise, times by the clock grow and it does not. Peak is the resident memory of a process that runs this
model alone; before loading, the runtime is imported and no model is there. The peak of torch.compile holds its
compiling. The peer is converted to fp32 by this project for the same runtime and taken at its faster tile. Host time:
it compares models on one machine and says nothing about a phone."""


def markdown(facts: dict[str, Any]) -> str:
    """precisions.json in Markdown."""
    rows = [
        [row[key] if form is None else f"{row[key]:{form}}" if key in row else None for _, key, form in COLUMNS]
        + [row["why_not"] or ""]
        for row in facts["rows"]
    ]
    best = [
        [runtime, found["artifact"], found["tile_px"], found["peer"], found["peer_tile_px"], f"{found['ratio']:.1f}",
         f"{found['cpu_ratio']:.1f}"]
        for runtime, found in facts["best_int8"].items()
    ]  # fmt: skip
    protocol, machine = facts["protocol"], facts["machine"]
    versions = ", ".join(f"{tool} {version}" for tool, version in facts["tools"].items())
    parts = [
        markdown_table([*((label, form is None) for label, _, form in COLUMNS), ("", True)], rows),
        markdown_table(BEST_COLUMNS, best) if best else "",
        "Bars: " + "; ".join(f"{bar}: **{outcome}**" for bar, outcome in facts["bars"].items()) + ".",
        f"{protocol['threads']} threads; {protocol['rounds']} rounds after one that does not count; in each, every "
        f"model, in a process of its own, has its turn of at least {protocol['round_s']:g} s. Medians over the "
        "rounds; spread is (p90 - p10) / p50.\n"
        f"{escape_markdown(machine['cpu'])}, {machine['cores_available']} cores; {versions}; {facts['date'][:10]}.",
        PROTOCOL,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def compare(args: argparse.Namespace) -> Path:
    args.out.mkdir(parents=True, exist_ok=True)  # a path that cannot be written shows before the work
    with tempfile.TemporaryDirectory(prefix="pocket-dslr-") as folder:
        facts = measure(args, Path(folder))
    write_text(args.out / "precisions.json", json.dumps(facts, indent=2, allow_nan=False) + "\n")
    text = markdown(facts)
    write_text(args.out / "precisions.md", text)
    print(text)
    return args.out / "precisions.json"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="precisions.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("artifacts", type=Path, nargs="+", metavar="ARTIFACT_FOLDER", help="of one checkpoint, of any tile sizes")
    add("--checkpoint", default="pocket-iphone", metavar="NAME_OR_PATH",
        help="what they were made from (default: %(default)s)")  # fmt: skip
    add("--peer", default="runs/published/dped-iphone.safetensors", metavar="NAME_OR_PATH",
        help="what they are compared with (default: %(default)s)")  # fmt: skip
    add("--peer-tiles", type=whole(1, 4096), nargs="+", default=list(PEER_TILES_PX), metavar="PX", help="its tile "
        "sizes, of which the faster counts (default: %(default)s)")  # fmt: skip
    add("--threads", type=whole(1, 1024), default=2, help="of each runtime (default: %(default)s)")
    add("--rounds", type=whole(1, 10_000), default=15, help="that count (default: %(default)s)")
    add(
        "--round-s",
        type=real(0, 3600, above=True),
        default=0.3,
        metavar="S",
        help="least length of a turn (default: %(default)s)",
    )
    add("--out", type=Path, default=Path("benchmarks/results"), metavar="FOLDER",
        help="folder of the results (default: %(default)s)")  # fmt: skip
    return run(parser, compare, argv)


if __name__ == "__main__":
    raise SystemExit(main())
