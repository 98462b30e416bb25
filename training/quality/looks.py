"""python training/quality/looks.py CHECKPOINT... --photos PATH... --beside CHECKPOINT --teachers CHECKPOINT...

How models treat whole photos: how far they go from the photo and from their teachers, what they clip, which cast,
halos and bands they add (blemishes.py), and how much their output depends on what else is in the picture.
Writes looks.json, looks.md and one sheet per photo: before | beside | checkpoints. Photos whose licence is unstated
must not be published, and so neither must their sheets: the default --out lies in the ignored runs/.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from training.checkpoint import Checkpoint
from training.commandline import UserError, real, run, whole
from training.enhancer import Array, TorchEngine, from_planes, thumbnail_planes, to_planes
from training.enhancer.whole_photo import MOST_PX, Pixels, reduced, whole_output
from training.files import replacing, write_text
from training.photos import from_samples, read_folder, read_pixels
from training.quality import blemishes, metrics
from training.tiling import Tile, read_tile, to_uint8

Figures = dict[str, float | None]
Role = Literal["beside", "teacher", "checkpoint"]
SPREAD_PX = 256  # the part of the photo that the spread of the condition is judged on
CROPS_SEED = 0
PANEL_PX = 800
LABEL_PX = 30

# figure -> heading and decimals
COLUMNS = {
    "delta_e_2000_from_input": ("dE from photo", 2),
    "delta_e_2000_from_teachers": ("dE from teachers", 2),
    "condition_spread_delta_e_2000": ("spread dE", 2),
    "clipped_before_percent": ("clipped before %", 2),
    "clipped_after_percent": ("after %", 2),
    "newly_clipped_percent": ("newly %", 2),
    "colour_shift_r_levels": ("shift R", 1),
    "colour_shift_g_levels": ("G", 1),
    "colour_shift_b_levels": ("B", 1),
    "cast_a": ("cast a*", 2),
    "cast_b": ("cast b*", 2),
    "cast_chroma": ("cast", 2),
    "halo_levels": ("halo", 2),
    "banded_percent": ("banded %", 2),
}


@dataclass
class Model:
    """A checkpoint, what it is here for, and its figures by photo."""

    checkpoint: Checkpoint
    strength: float
    roles: set[Role]
    photos: dict[str, Figures] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.engine = TorchEngine(self.checkpoint.generator)
        self.name = re.sub(r"[^\w.+-]", "_", self.checkpoint.name)  # names come from files and must not break the table
        if self.strength < 1:
            self.name += f" at {self.strength:g}"

    def summary(self, pick: Callable[[list[float]], float]) -> Figures:
        """`pick` over the photos that have a figure; None where none has."""
        known = {key: [at[key] for at in self.photos.values()] for key in COLUMNS}
        found = {key: [value for value in values if value is not None] for key, values in known.items()}
        return {key: float(pick(values)) if values else None for key, values in found.items()}


def mean(values: list[float]) -> float:
    return float(np.mean(values))


def worst(values: list[float]) -> float:
    """The largest; of signed figures, the largest either way."""
    return max(values, key=abs)


def load_models(args: argparse.Namespace) -> list[Model]:
    """Each checkpoint once per strength, in the order of the sheets; of one name, with their checksum's beginning."""
    asked: list[tuple[str, float, Role]] = [(args.beside, 1.0, "beside")] if args.beside else []
    asked += [(given, 1.0, "teacher") for given in args.teachers]
    asked += [(given, args.strength, "checkpoint") for given in args.checkpoints]
    models: dict[tuple[str, float], Model] = {}
    for given, strength, role in asked:
        checkpoint = Checkpoint.load(given)
        model = models.setdefault((checkpoint.sha256, strength), Model(checkpoint, strength, set()))
        model.roles.add(role)
    count = Counter(model.name for model in models.values())
    for model in models.values():
        if count[model.name] > 1:
            model.name += "@" + model.checkpoint.sha256[:8]
    return list(models.values())


def figures(before: Pixels, after: Pixels, teachers: Array | None) -> Figures:
    """All figures of one photo but the spread; both [H, W, 3] uint8. Levels are 8-bit levels."""
    photo, output = from_samples(before), from_samples(after)
    red, green, blue = (255 * shift for shift in metrics.colour_shift(output, photo))
    cast = blemishes.cast(before, after)
    banded = blemishes.banding(before, after)
    return {
        "delta_e_2000_from_input": metrics.delta_e(output, photo),
        "delta_e_2000_from_teachers": None if teachers is None else metrics.delta_e(output, teachers),
        "condition_spread_delta_e_2000": None,
        "clipped_before_percent": 100 * float(np.mean(blemishes.clipped(before))),
        "clipped_after_percent": 100 * float(np.mean(blemishes.clipped(after))),
        "newly_clipped_percent": 100 * blemishes.newly_clipped(before, after),
        "colour_shift_r_levels": red,
        "colour_shift_g_levels": green,
        "colour_shift_b_levels": blue,
        "cast_a": cast[0] if cast else None,
        "cast_b": cast[1] if cast else None,
        "cast_chroma": float(np.hypot(*cast)) if cast else None,
        "halo_levels": blemishes.halo(before, after),
        "banded_percent": None if banded is None else 100 * banded,
    }


def condition_spread(model: Model, pixels: Pixels, crops: int) -> float:
    """How much a pixel's treatment depends on what else is in the picture: a mean delta E 2000.

    The middle 256 x 256 px of the photo (less where it is smaller) are enhanced under the conditions of `crops`
    random square crops, half the photo's shorter side large; mean CIEDE2000 of the results from their mean. Each
    condition is `analyze` of the crop's thumbnail, as on a phone. What a condition is made of does not matter, so
    that models compare.
    """
    rng = np.random.default_rng(CROPS_SEED)
    height, width = pixels.shape[:2]
    generator = model.engine.generator
    halo, align = generator.tiling.halo, generator.tiling.align
    side = min(SPREAD_PX, height, width)
    y, x = ((length - side) // 2 // align * align for length in (height, width))
    size = side + 2 * halo + -side % align
    photo = from_samples(pixels)
    tile = Tile(y - halo, x - halo, size, y, y + side, x, x + side)
    planes, middle = to_planes(read_tile(photo, tile)), photo[tile.kept]
    crop = max(1, min(height, width) // 2)
    results = []
    for _ in range(crops):
        top, left = (int(rng.integers(length - crop + 1)) for length in (height, width))
        part = photo[top : top + crop, left : left + crop]
        condition = model.engine.analyze(thumbnail_planes(part, generator.thumbnail_px))
        output = from_planes(model.engine.enhance(planes, condition))[tile.kept_in_tile]
        results.append(middle + np.float32(model.strength) * (output - middle))
    middle_of_all = np.mean(results, axis=0)
    return mean([metrics.delta_e(result, middle_of_all) for result in results])


def panels(versions: Mapping[str, Pixels]) -> Image.Image:
    """Versions of one photo side by side, each with its name above, the longer side at most 800 px."""
    pictures = [Image.fromarray(pixels) for pixels in versions.values()]
    for picture in pictures:
        picture.thumbnail((PANEL_PX, PANEL_PX), Image.Resampling.LANCZOS)
    width, height = pictures[0].size
    canvas = Image.new("RGB", (len(pictures) * width, height + LABEL_PX), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(18)
    for column, (name, picture) in enumerate(zip(versions, pictures, strict=True)):
        draw.text((column * width + 4, 4), name[: width // 10], "black", font)
        canvas.paste(picture, (column * width, LABEL_PX))
    return canvas


def look(name: str, pixels: Pixels, models: Sequence[Model], crops: int, sheets: Path) -> int:
    """One photo by all models: figures into them, a sheet into a folder. Returns what the sides were divided by."""
    pixels, divisor = reduced(pixels)
    outputs = [whole_output(model.engine, pixels, model.strength) for model in models]
    taught = [output for model, output in zip(models, outputs, strict=True) if "teacher" in model.roles]
    teachers = np.stack(taught).mean(0, dtype=np.float32) if taught else None
    versions = {"before": pixels}
    for model, output in zip(models, outputs, strict=True):
        after = to_uint8(output)
        model.photos[name] = figures(pixels, after, teachers)
        if crops and "checkpoint" in model.roles:
            model.photos[name]["condition_spread_delta_e_2000"] = condition_spread(model, pixels, crops)
        if model.roles != {"teacher"}:
            versions[model.name] = after
    with replacing(sheets / (name if name.lower().endswith(".jpg") else f"{name}.jpg")) as temporary:
        panels(versions).save(temporary, "JPEG", quality=92)
    return divisor


def table(models: Sequence[Model], divisors: Mapping[str, int], crops: int) -> str:
    """Mean and worst photo of every figure, and the protocol below, without which they cannot be compared."""
    lines = [
        f"| model | {' | '.join(heading for heading, _ in COLUMNS.values())} |",
        "|---|" + "--:|" * len(COLUMNS),
    ]
    for model in models:
        means, worsts = model.summary(mean), model.summary(worst)
        cells = [
            "—" if (value := means[key]) is None else f"{value:.{decimals}f} ({worsts[key]:.{decimals}f})"
            for key, (_, decimals) in COLUMNS.items()
        ]
        lines.append(f"| {model.name} | {' | '.join(cells)} |")
    teachers = ", ".join(model.name for model in models if "teacher" in model.roles) or "none given"
    smaller = [f"{name} (1/{divisor})" for name, divisor in divisors.items() if divisor > 1]
    return "\n".join(lines) + f"""

Mean over {len(divisors)} photos, each with equal weight, and in brackets the worst photo. Whole photos at once, norms
with the photo's own statistics, clamped, rounded to 8 bit. dE: mean CIEDE2000. Teachers, of whose outputs the mean
counts: {teachers}.
Spread: the middle {SPREAD_PX} px of a photo under the conditions of {crops or "no"} random crops of half its shorter
side, mean dE from their mean. Clipped: pixels with any channel at 0 or 255, newly: not so in the photo. Shift: mean
of output minus photo in 8-bit levels. Cast: mean change of a* and b* over pixels that were near grey, and the length
of both. Halo: change of lightness towards strong edges in 8-bit levels, beyond any tone curve. Banded: share of
smooth gradients torn into steps. The last three are defined in training/quality/blemishes.py; photos without grey, edges or
gradients do not count there.
Photos above {MOST_PX / 1e6:g} MP, box-averaged to that fraction of their sides for all models: {", ".join(smaller) or "none"}.
"""  # fmt: skip  # noqa: E501


def looks(args: argparse.Namespace) -> Path:
    if not 0 < args.strength <= 1 or args.crops < 0 or (args.first is not None and args.first < 1):
        raise UserError("--strength must lie in (0, 1], --first be at least 1, and --crops not be negative")
    sheets = args.out / "sheets"
    sheets.mkdir(parents=True, exist_ok=True)  # a path that cannot be written shows before the work
    models = load_models(args)
    photos = [photo for path in args.photos for photo in _read(path)][: args.first]
    divisors = {
        name: look(name, pixels, models, args.crops, sheets)
        for name, pixels in tqdm(photos, desc="looks", unit="photo")
    }
    record = {
        "photos": {name: {"sides_divided_by": divisor} for name, divisor in divisors.items()},
        "crops_per_photo": args.crops,
        "models": [
            {
                "model": model.name,
                "roles": sorted(model.roles),
                "strength": model.strength,
                "checkpoint_sha256": model.checkpoint.sha256,
                "licence": model.checkpoint.licence,
                "mean": model.summary(mean),
                "worst": model.summary(worst),
                "photos": model.photos,
            }
            for model in models
        ],
    }
    write_text(args.out / "looks.json", json.dumps(record, indent=2, allow_nan=False) + "\n")
    text = table(models, divisors, args.crops)
    write_text(args.out / "looks.md", text)
    print(text)
    return args.out


def _read(path: Path) -> list[tuple[str, Pixels]]:
    return list(read_folder(path).items()) if path.is_dir() else [(path.name, read_pixels(path))]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="looks.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("checkpoints", nargs="+", metavar="CHECKPOINT", help="paths of checkpoints or released names")
    add("--photos", type=Path, nargs="+", required=True, help="photos to enhance, or folders of them")
    add("--first", type=whole(1), metavar="N", help="only the first photos, by name within a folder (default: all)")
    add("--beside", metavar="CHECKPOINT", help="a model to compare with, on the sheets between photo and checkpoints")
    add("--teachers", nargs="+", default=[], metavar="CHECKPOINT", help="models whose outputs' mean is compared with")
    add("--strength", type=real(0, 1), default=1.0, help="of the CHECKPOINTs, as in enhance.py (default: %(default)s)")
    add("--crops", type=whole(0), default=50, help="of each photo, for the spread; 0: none (default: %(default)s)")
    add("--out", type=Path, default=Path("runs/looks"), help="folder for all that is written (default: %(default)s)")
    return run(parser, looks, argv)


if __name__ == "__main__":
    raise SystemExit(main())
