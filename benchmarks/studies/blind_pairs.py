"""python benchmarks/studies/blind_pairs.py CHECKPOINT --photos PATH... [--answers FILE]

Pairs to judge blind: each photo as the network enhances it, beside the photo itself and beside the photo 0.9 stops
brighter, left and right at random. Writes pages of numbered pairs and, apart, the key. With --answers, a text of one
letter for each pair, `l`, `r` or `=`, it opens the key and writes blind.md: how often the network was chosen.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.page.markdown import markdown_table
from training.checkpoint import Checkpoint
from training.commandline import UserError, each, run
from training.enhancer import Array
from training.enhancer.torch_engine import TorchEngine
from training.enhancer.whole_photo import Pixels, whole_output
from training.files import write_text
from training.photos import from_samples, read_folder, read_pixels
from training.quality.exposure import CONSTANT_STOPS, brighten
from training.tiling import to_uint8

PANEL_PX = 460
PAIRS_A_PAGE = 8
CHOICES = "lr="
OTHERS: dict[str, Callable[[Array], Array]] = {
    "untouched": lambda photo: photo,
    f"{CONSTANT_STOPS:g} stops brighter": brighten,
}


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="blind_pairs.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("checkpoint", metavar="CHECKPOINT", help="path of a checkpoint or a released name")
    add("--photos", type=Path, nargs="+", required=True, metavar="DIR", help="photos, or folders of them")
    add("--answers", type=Path, metavar="FILE", help="a letter for each pair: l, r or = (default: make the pages)")
    add("--out", type=Path, default=Path("runs/blind"), help="folder (default: %(default)s)")
    return parser


def blind(args: argparse.Namespace) -> Path:
    return tally(args.answers, args.out) if args.answers else make_pages(args)


def make_pages(args: argparse.Namespace) -> Path:
    engine = TorchEngine(Checkpoint.load(args.checkpoint).generator)
    photos = {name: pixels for path in args.photos for name, pixels in _read(path).items()}
    random = np.random.default_rng()  # nobody can know the order
    pairs = [(name, other) for name in photos for other in OTHERS]
    key, panels = [], []
    for at in each(random.permutation(len(pairs)), "pairs", len(pairs)):
        name, other = pairs[at]
        photo = fitted(photos[name])
        versions = [to_uint8(whole_output(engine, photo)), to_uint8(OTHERS[other](from_samples(photo)))]
        network_is = "lr"[random.integers(2)]
        panels.append(np.concatenate(versions if network_is == "l" else versions[::-1], axis=1))
        key.append({"photo": name, "against": other, "network_is": network_is})
    args.out.mkdir(parents=True, exist_ok=True)
    for page, start in enumerate(range(0, len(panels), PAIRS_A_PAGE)):
        draw_page(panels[start : start + PAIRS_A_PAGE], start).save(args.out / f"page-{page}.png")
    write_text(args.out / "key.json", json.dumps(key, indent=1) + "\n")
    return args.out


def _read(path: Path) -> dict[str, Pixels]:
    return dict(read_folder(path)) if path.is_dir() else {path.name: read_pixels(path)}


def fitted(photo: Pixels) -> Pixels:
    """The photo, its long side PANEL_PX at most."""
    height, width = photo.shape[:2]
    factor = min(1.0, PANEL_PX / max(height, width))
    size = round(width * factor), round(height * factor)
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA))


def draw_page(panels: Sequence[Pixels], first: int) -> Image.Image:
    """Pairs in two columns, each with its number."""
    cell = 2 * PANEL_PX + 20, PANEL_PX + 30
    page = Image.new("RGB", (2 * cell[0], -(-len(panels) // 2) * cell[1]), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(20)
    for at, panel in enumerate(panels):
        left, top = at % 2 * cell[0], at // 2 * cell[1]
        draw.text((left, top), str(first + at), "black", font)
        page.paste(Image.fromarray(panel), (left, top + 26))
    return page


def tally(answers: Path, out: Path) -> Path:
    key = json.loads((out / "key.json").read_text(encoding="utf-8"))
    letters = "".join(answers.read_text(encoding="utf-8").split())
    if len(letters) != len(key) or set(letters) - set(CHOICES):
        raise UserError(f"{answers}: {len(letters)} letters for {len(key)} pairs; give one of l, r and = for each")
    rows = []
    for other in OTHERS:
        chosen = [(letter, pair) for letter, pair in zip(letters, key, strict=True) if pair["against"] == other]
        network = sum(letter == pair["network_is"] for letter, pair in chosen)
        alike = sum(letter == "=" for letter, _ in chosen)
        rows.append([other, len(chosen), network, alike, len(chosen) - network - alike, f"{network / len(chosen):.0%}"])
    heads = ["against", "pairs", "network chosen", "no difference seen", "the other chosen", "share chosen"]
    worse = [f"{pair['photo']} ({pair['against']})" for letter, pair in zip(letters, key, strict=True)
             if letter not in ("=", pair["network_is"])]  # fmt: skip
    text = markdown_table([(head, head == "against") for head in heads], rows)
    path = out / "blind.md"
    write_text(
        path, f"{text}\n\nLong side {PANEL_PX} px, one judge. The other one was chosen for: {', '.join(worse)}.\n"
    )
    return path


def main(argv: Sequence[str] | None = None) -> int:
    return run(parse(), blind, argv)


if __name__ == "__main__":
    raise SystemExit(main())
