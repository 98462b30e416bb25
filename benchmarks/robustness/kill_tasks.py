"""The smallest runs of what people wait for: train, align, enhance, convert, benchmark; and what their results are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

PATCHES = 8
Result = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """module: of the script. imports: what it loads on the way. after: the task whose result it takes.

    command: arguments, from the folder of what is given and that of the result. result: what two runs must agree on.
    replaces: whether an older result stays until the new one is whole.
    """

    module: str
    imports: tuple[str, ...]
    command: Callable[[Path, Path], list[str]]
    result: Callable[[Path], Result]
    replaces: bool
    after: str | None = None


def prepare(task: str, folder: Path) -> Path:
    """What the task needs. Returns `folder`."""
    import torch  # here, with what brings it, since scripts parse their arguments first

    from training.alignment import known_view
    from training.checkpoint import Checkpoint
    from training.data.embedded_sample import SAMPLE
    from training.generators.pocket import Pocket, PocketConfig
    from training.photos import read_pixels

    folder.mkdir(parents=True)
    torch.manual_seed(0)
    if task == "train":
        random = np.random.default_rng(0)
        for number in range(PATCHES):
            phone = random.integers(30, 150, (8, 9, 3), np.uint8).repeat(10, 0).repeat(10, 1)
            _save(phone, folder / "iphone" / f"{number}.png")
            _save(np.clip(phone * [1.4, 1.3, 1.1], 0, 255).astype(np.uint8), folder / "canon" / f"{number}.png")
        return folder
    photos = [read_pixels(photo.path())[:300, :400] for photo in SAMPLE if photo.name in ("astronaut", "coffee")]
    if task == "align":
        for number, dslr in enumerate(photos):
            view = known_view.draw(dslr.shape[:2], number, scales=(1.0, 1.2))
            _save(known_view.render(dslr, view, number), folder / "phones" / f"{number}.png")
            _save(dslr, folder / "dslrs" / f"{number}.png")
        return folder
    generator = Pocket(PocketConfig(channels=8, layers=1, thumbnail_px=32, analyser_channels=4))
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    Checkpoint(generator, "CC0-1.0", name="tiny").save(folder / "tiny.safetensors")
    _save(np.tile(photos[0], (3, 3, 1)) if task == "enhance" else photos[0][:96, :96], folder / "photos" / "a.png")
    return folder


def _save(pixels: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _convert_command(given: Path, out: Path) -> list[str]:
    return ["--checkpoint", str(given / "tiny.safetensors"), "--tile", "64", "--photos", str(given / "photos"),
            "--judges", "1", "--allow-below-floor", "--out", str(out)]  # fmt: skip


def _trained(folder: Path) -> Result:
    weights = load_file(folder / "checkpoint.safetensors")
    steps = [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()]
    return {"steps": steps} | {name: hashlib.sha256(value.tobytes()).hexdigest() for name, value in weights.items()}


def _files(folder: Path, changes: tuple[str, ...] = ()) -> Result:
    """Path -> sha256 of all files but hidden ones and those whose text says when they were made."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in changes)
    shown = [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in shown}


def _aligned(folder: Path) -> Result:
    """Patches, both layouts; the records of pairs tell their seconds."""
    return _files(folder, ("pair.json",))


def _converted(folder: Path) -> Result:
    """Model, golden pair, and the manifest but for the checksums of what carries a time or a random mark."""
    (path,) = folder.glob("*/manifest.json")
    manifest = json.loads(path.read_text())
    del manifest["conversion_s"], manifest["files"]
    marked = ("manifest.json", "manifest.json.sha256", "Manifest.json", "MODEL_CARD.md")
    return {"manifest": manifest} | _files(folder, marked)


def _measured(folder: Path) -> Result:
    (path,) = folder.glob("*.json")
    report = json.loads(path.read_text())
    return {"fidelity": report["fidelity"], "artifact": report["artifact"]} | _files(folder, (path.name,))


TASKS = {
    "train": Task(
        "training.train", (),
        lambda given, out: ["--pairs", str(given), "--steps", "6", "--validate-every", "2", "--batch", "2", "--patch",
                            "64", "--accelerator", "cpu", "--out", str(out)],
        _trained, False),
    "align": Task(
        "training.align", ("training.alignment.photo_set",),
        lambda given, out: ["--phone", str(given / "phones"), "--dslr", str(given / "dslrs"), "--out", str(out)],
        _aligned, False),
    "enhance": Task(
        "training.enhance", ("training.enhancer.batch",),
        lambda given, out: [str(given / "photos"), "--checkpoint", str(given / "tiny.safetensors"), "--overwrite",
                            "--out", str(out)],
        _files, True),
    "convert": Task(
        "conversion.to_coreml", ("coremltools", "conversion.convert", "conversion.backends.coreml.lowering"),
        _convert_command, _converted, True),
    "benchmark": Task(
        "benchmarks.on_host", ("conversion.fidelity", "training.data.pairs", "training.quality.metrics"),
        lambda given, out: [*map(str, (given / "convert" / "result").glob("*/")), "--checkpoint",
                            str(given / "tiny.safetensors"), "--photos", str(given / "photos"), "--runs", "1", "--out",
                            str(out)],
        _measured, True, "convert"),
}  # fmt: skip
