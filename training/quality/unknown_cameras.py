"""python training/quality/unknown_cameras.py CHECKPOINT... --photos DIR...

How models treat photos of cameras that nobody trained for: each photo is taken anew by simulated cameras whose ranges,
demosaicing and denoiser no training set has (`OTHER_PHONES`), enhanced, and compared with the original; beside it the
photo as the camera gave it, and exposure without a network. Then the originals themselves, which are good already, are
enhanced: they are to stay. Photos that no release learns from (`held_out`) judge; --choose takes all others, to choose
between networks by. Writes unknown-cameras.json and unknown-cameras.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from training.camera.good_tone import good_tone
from training.camera.photograph import photograph
from training.camera.shot import OTHER_PHONES, draw
from training.checkpoint import Checkpoint
from training.commandline import UserError, run, whole
from training.data.held_out import is_held_out
from training.enhancer import Array, TorchEngine
from training.enhancer.whole_photo import Pixels, whole_output
from training.files import write_text
from training.photos import from_samples, read_folder
from training.quality import blemishes, metrics
from training.quality.judging import PEERS
from training.quality.stlpips import StLpips, load_stlpips
from training.tiling import to_uint8

MIN_DELTA_E = 3.0  # of a photo from its original: below, there is little to mend
UNTOUCHED = "as the camera gave it"
LONG_SIDE_PX = 384
COLUMNS = {
    "st_lpips": ("ST-LPIPS", ".4f"),
    "delta_e": ("dE 2000", ".2f"),
    "delta_e_to_good_tone": ("dE to good tone", ".2f"),
}


@dataclass
class Model:
    """What enhances, and its figures: by shot, and by good photo."""

    name: str
    enhance: Callable[[Pixels], Array]
    shots: list[dict[str, float]] = field(default_factory=list)
    good: list[dict[str, float]] = field(default_factory=list)

    def mean(self, figure: str) -> float:
        return float(np.mean([shot[figure] for shot in self.shots]))

    def better_share(self, untouched: Model, figure: str) -> float:
        """Of the shots that differ from their original: how many are closer to it than untouched."""
        pairs = zip(self.shots, untouched.shots, strict=True)
        better = [own[figure] < other[figure] for own, other in pairs if other["delta_e"] > MIN_DELTA_E]
        return float(np.mean(better)) if better else float("nan")

    def worst_loss(self, untouched: Model, figure: str) -> float:
        """By how much the worst shot of all is farther from its original than untouched; below 0: by none."""
        return max(own[figure] - other[figure] for own, other in zip(self.shots, untouched.shots, strict=True))


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unknown_cameras.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("checkpoints", nargs="+", metavar="CHECKPOINT", help="paths of checkpoints or released names")
    add("--photos", type=Path, nargs="+", required=True, metavar="DIR", help="photos of DSLR quality")
    add("--choose", action="store_true", help="photos that do not judge instead of those that do")
    add("--variants", type=whole(1), default=2, help="shots of each photo (default: %(default)s)")
    add("--seed", type=whole(), default=0, help="of the shots (default: %(default)s)")
    add("--out", type=Path, default=Path("runs/unknown-cameras"), help="folder (default: %(default)s)")
    return parser


def judge(args: argparse.Namespace) -> Path:
    photos = {
        f"{folder.name}/{name}": within(pixels)
        for folder in args.photos
        for name, pixels in read_folder(folder).items()
        if is_held_out(folder.name, name) != args.choose
    }
    if not photos:
        raise UserError(f"{args.photos[0]}: no photo of the asked kind; see training/data/held_out.py for their names")
    network = load_stlpips()
    models = [Model(UNTOUCHED, from_samples)]
    models += [Model(name, lambda pixels, peer=peer: peer(from_samples(pixels))) for name, peer in PEERS.items()]  # type: ignore[misc]
    models += [load_model(name) for name in args.checkpoints]
    names = [model.name for model in models]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"two models are called {twice}; give each once, and a copy another name")
    random = np.random.default_rng([args.seed, 5])
    for original in tqdm(photos.values(), desc="photos", unit="photo", mininterval=1, disable=None):
        shots = [photograph(original, draw(int(random.integers(2**31)), OTHER_PHONES)) for _ in range(args.variants)]
        targets = from_samples(original), good_tone(from_samples(original))
        for model in models:
            model.good.append(as_good(original, model, network))
            model.shots += [as_shot(model.enhance(shot), *targets, network) for shot in shots]
    args.out.mkdir(parents=True, exist_ok=True)
    record = {model.name: {"shots": model.shots, "good": model.good} for model in models}
    write_text(
        args.out / "unknown-cameras.json", json.dumps({"photos": list(photos), "models": record}, indent=1) + "\n"
    )
    path = args.out / "unknown-cameras.md"
    write_text(path, table(models, len(photos), args))
    print(path.read_text(encoding="utf-8"))
    return path


def load_model(name_or_path: str) -> Model:
    checkpoint = Checkpoint.load(name_or_path)
    engine = TorchEngine(checkpoint.generator)
    return Model(checkpoint.name or name_or_path, lambda pixels: whole_output(engine, pixels))


def within(photo: Pixels) -> Pixels:
    """The photo, its long side at most LONG_SIDE_PX."""
    height, width = photo.shape[:2]
    factor = min(1.0, LONG_SIDE_PX / max(height, width))
    size = round(width * factor), round(height * factor)
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA))


def as_shot(output: Array, original: Array, toned: Array, network: StLpips) -> dict[str, float]:
    return {
        "st_lpips": network.distance(output, original),
        "delta_e": metrics.delta_e(output, original),
        "delta_e_to_good_tone": metrics.delta_e(output, toned),
    }


def as_good(original: Pixels, model: Model, network: StLpips) -> dict[str, float]:
    """What happens to a photo that needs nothing."""
    output, photo = model.enhance(original), from_samples(original)
    return {
        "st_lpips": network.distance(output, photo),
        "delta_e": metrics.delta_e(output, photo),
        "newly_clipped_percent": 100 * blemishes.newly_clipped(original, to_uint8(output)),
    }


def table(models: Sequence[Model], photos: int, args: argparse.Namespace) -> str:
    untouched = models[0]
    lines = [
        "| model | " + " | ".join(title for title, _ in COLUMNS.values()) + " | better in ST-LPIPS | in dE "
        "| worst loss in ST-LPIPS | in dE | good photos: dE | ST-LPIPS | newly clipped |",
        "|---" + "|--:" * (len(COLUMNS) + 7) + "|",
    ]
    for model in models:
        cells = [f"{model.mean(name):{form}}" for name, (_, form) in COLUMNS.items()]
        if model is untouched:
            cells += ["—"] * 7
        else:
            cells += [f"{model.better_share(untouched, figure):.0%}" for figure in ("st_lpips", "delta_e")]
            cells += [
                f"{model.worst_loss(untouched, 'st_lpips'):+.4f}",
                f"{model.worst_loss(untouched, 'delta_e'):+.2f}",
            ]
            good = {name: float(np.mean([row[name] for row in model.good])) for name in model.good[0]}
            cells += [f"{good['delta_e']:.2f}", f"{good['st_lpips']:.4f}", f"{good['newly_clipped_percent']:.2f} %"]
        lines.append(f"| {model.name} | {' | '.join(cells)} |")
    shots = len(untouched.shots)
    differing = sum(shot["delta_e"] > MIN_DELTA_E for shot in untouched.shots)
    kind = "to choose by" if args.choose else "that no release learned from"
    return (
        "\n".join(lines)
        + f"""

{shots} shots of {photos} photos {kind}, long side {LONG_SIDE_PX} px, by simulated cameras whose ranges
(`OTHER_PHONES` of training/camera/shot.py) no training set has. Distances are to the original, and to it in good tone
(training/camera/good_tone.py), means over shots. Better: share of the {differing} shots that differ from their
original by dE above {MIN_DELTA_E:g} which come closer to it. Worst loss: of all shots. Good photos: the originals
themselves, enhanced, against themselves.
"""
    )


def main(argv: Sequence[str] | None = None) -> int:
    return run(parse(), judge, argv)


if __name__ == "__main__":
    raise SystemExit(main())
