"""Golden vectors of the language-neutral contract, from the code that this project runs:

    python benchmarks/vectors/vectors.py

Writes conversion/contract/vectors/*.json, which the cores in Kotlin, Swift and TypeScript reproduce. SPEC.md beside
them says what each field means. Nothing in them is typed by hand; a test makes them again and compares bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.vectors.artifacts import artifact_vectors, manifest_vectors
from benchmarks.vectors.reports import canonical_json_vectors, metrics_vectors, percentiles_vectors
from benchmarks.vectors.values import Case, bits, facts, image, pixel_bytes
from conversion.artifact import TensorSpec
from conversion.contract.preview import ColourTransform
from conversion.runtimes import to_layout
from training.commandline import run
from training.enhancer import Array, blend, enhance_photo, from_planes, thumbnail_planes, to_planes
from training.files import write_text
from training.photos.decoding import upright
from training.tiling import Border, Tile, Tiling, plan, thumbnail, to_uint8

VECTORS = Path(__file__).parents[2] / "conversion" / "contract" / "vectors"
LISTED_TILES = 12


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=VECTORS, help="folder (default: conversion/contract/vectors)")
    return run(parser, _body, argv)


def _body(args: argparse.Namespace) -> Path:
    for name, text in all_vectors().items():
        write_text(args.out / name, text)
    return Path(args.out)


def all_vectors() -> dict[str, str]:
    """File name -> text."""
    cases: dict[str, Iterator[Case]] = {
        "pixels": _pixels(),
        "sha256": _sha256(),
        "thumbnails": _thumbnails(),
        "tile_plans": _tile_plans(),
        "ownership": _ownership(),
        "stitching": _stitching(),
        "rounding": _rounding(),
        "blending": _blending(),
        "preview": _preview(),
        "packing": _packing(),
        "orientation": _orientation(),
        "metrics": metrics_vectors(),
        "percentiles": percentiles_vectors(),
        "canonical_json": canonical_json_vectors(),
        "manifests": manifest_vectors(),
        "artifacts": artifact_vectors(),
    }
    return {f"{name}.json": _one_case_a_line(made) for name, made in cases.items()}


def _one_case_a_line(cases: Iterator[Case]) -> str:
    return '{"cases": [\n' + ",\n".join(json.dumps(case) for case in cases) + "\n]}\n"


def _pixels() -> Iterator[Case]:
    for count, seed in ((12, 0), (12, 1), (48, 4294967295), (30000, 7)):
        yield {"count": count, "seed": seed, **facts(pixel_bytes(count, seed))}


def _sha256() -> Iterator[Case]:
    for count in (0, 1, 3, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 10000):
        yield {"count": count, "seed": 5, "sha256": hashlib.sha256(pixel_bytes(count, 5).tobytes()).hexdigest()}


def _thumbnails() -> Iterator[Case]:
    sizes = [
        (1, 1, 2, 2), (1, 1, 64, 64), (1, 7, 3, 2), (7, 1, 2, 3), (2, 2, 4, 4), (3, 5, 2, 2), (4, 4, 4, 4),
        (8, 8, 4, 4), (5, 3, 7, 11), (63, 65, 64, 64), (64, 64, 64, 64), (97, 101, 64, 64), (131, 257, 64, 64),
        (300, 200, 256, 256), (479, 641, 64, 64), (1009, 1013, 64, 64),
    ]  # fmt: skip
    for seed, (height, width, rows, columns) in enumerate(sizes):
        made = thumbnail(image(height, width, seed), rows, columns)
        yield {"height": height, "width": width, "seed": seed, "rows": rows, "columns": columns, **facts(made)}
    # White: sums of 255 x 4200 x 4200 exceed 32 bits.
    made = thumbnail(np.full((4200, 4200, 3), 255, np.uint8), 16, 16)
    yield {"height": 4200, "width": 4200, "white": True, "rows": 16, "columns": 16, **facts(made)}


def _tiling(size: int, halo: int, align: int, border: Border) -> tuple[Tiling, Case]:
    return Tiling(halo, align, border), {"tile_px": size, "halo_px": halo, "align_px": align, "border": border}


def _plan_text(tiles: Sequence[Tile]) -> str:
    return "".join(f"{t.top} {t.left} {t.y0} {t.y1} {t.x0} {t.x1}\n" for t in tiles)


def _tile_plans() -> Iterator[Case]:
    sides = [
        (1, 1), (1, 500), (500, 1), (63, 64), (64, 64), (65, 64), (127, 128), (128, 128), (129, 129), (96, 97),
        (95, 96), (223, 224), (224, 225), (97, 101), (251, 509), (1009, 1013), (3024, 4032), (6048, 8064), (8064, 6048),
    ]  # fmt: skip
    tilings: list[tuple[int, int, int, Border]] = [
        (128, 16, 4, "clamp"), (256, 12, 4, "clamp"), (64, 0, 4, "clamp"), (128, 18, 1, "shift"), (64, 0, 1, "shift"),
        (320, 20, 4, "shift"),
    ]  # fmt: skip
    for given in tilings:
        tiling, named = _tiling(given[0], given[1], given[2], given[3])
        for height, width in sides:
            if tiling.border == "shift" and min(height, width) < given[0]:
                continue
            tiles = list(plan(height, width, given[0], tiling))
            digest = hashlib.sha256(_plan_text(tiles).encode()).hexdigest()
            case = {"height": height, "width": width, **named, "count": len(tiles), "sha256": digest}
            listed = [[t.top, t.left, t.y0, t.y1, t.x0, t.x1] for t in tiles]
            yield case | ({"tiles": listed} if len(tiles) <= LISTED_TILES else {"first": listed[0], "last": listed[-1]})
    refused: list[tuple[int, int, int, int, int, Border]] = [
        (50, 50, 32, 16, 4, "clamp"), (50, 50, 66, 16, 4, "clamp"), (50, 50, 64, 15, 4, "clamp"),
        (50, 64, 64, 18, 1, "shift"), (64, 63, 64, 18, 1, "shift"), (0, 5, 128, 16, 4, "clamp"),
        (5, 0, 128, 16, 4, "clamp"),
    ]  # fmt: skip
    reasons = {"all halo": "all_halo", "multiples": "misaligned", "below one tile": "below_tile", "no pixels": "empty"}
    for height, width, size, halo, align, border in refused:
        tiling, named = _tiling(size, halo, align, border)
        try:
            list(plan(height, width, size, tiling))
        except ValueError as error:
            reason = next(name for words, name in reasons.items() if words in str(error))
            yield {"height": height, "width": width, **named, "refused": reason}


def _ownership() -> Iterator[Case]:
    """Which tile of the plan keeps each pixel, counted from 0."""
    small: list[tuple[int, int, int, int, int, Border]] = [
        (1, 1, 12, 4, 4, "clamp"), (6, 7, 12, 4, 4, "clamp"), (5, 5, 5, 1, 1, "shift"), (6, 8, 5, 1, 1, "shift"),
        (97, 101, 64, 16, 4, "clamp"), (97, 101, 64, 18, 1, "shift"), (128, 300, 128, 16, 4, "clamp"),
    ]  # fmt: skip
    for height, width, size, halo, align, border in small:
        tiling, named = _tiling(size, halo, align, border)
        owner = np.full((height, width), -1, "<i4")
        for index, tile in enumerate(plan(height, width, size, tiling)):
            owner[tile.kept] = index
        yield {"height": height, "width": width, **named, **facts(owner)}


class CrossEngine:
    """An engine in whole grey levels, for tests: a pixel, its four neighbours `reach` away, and the photo's thumbnail.

    A neighbour outside the tile counts 0, so a halo that is too small, or kept, shows.
    """

    def __init__(self, reach: int):
        self.reach = reach

    def analyze(self, thumbnail: Array) -> tuple[Array, ...]:
        """[1, 3, H, W] in [0, 1] -> sum of each channel's levels modulo 256, [1, 3, 1, 1]."""
        sums = to_uint8(thumbnail).astype(np.int64).sum((2, 3), keepdims=True)
        return ((sums % 256).astype(np.float32),)

    def enhance(self, tile: Array, condition: tuple[Array, ...]) -> Array:
        levels = to_uint8(tile).astype(np.int64)
        padded = np.pad(levels, ((0, 0), (0, 0), *[(self.reach, self.reach)] * 2))
        r, (height, width) = self.reach, levels.shape[2:]
        total = 4 * levels + condition[0].astype(np.int64)
        for dy, dx in ((0, r), (2 * r, r), (r, 0), (r, 2 * r)):
            total += padded[:, :, dy : dy + height, dx : dx + width]
        return (total % 256).astype(np.float32) / np.float32(255)


def _stitching() -> Iterator[Case]:
    given: list[tuple[int, int, int, int, int, Border]] = [
        (1, 1, 64, 16, 4, "clamp"), (3, 200, 64, 16, 4, "clamp"), (63, 65, 64, 16, 4, "clamp"),
        (97, 101, 64, 16, 4, "clamp"), (97, 101, 128, 12, 4, "clamp"), (251, 190, 64, 16, 4, "clamp"),
        (64, 64, 64, 18, 1, "shift"), (97, 101, 64, 18, 1, "shift"), (251, 190, 64, 18, 1, "shift"),
    ]  # fmt: skip
    for seed, (height, width, size, halo, align, border) in enumerate(given):
        tiling, named = _tiling(size, halo, align, border)
        pixels = image(height, width, seed)
        photo = pixels.astype(np.float32) / np.float32(255)
        engine = CrossEngine(halo)
        condition = engine.analyze(thumbnail_planes(photo, 8))
        enhanced = to_uint8(enhance_photo(photo, engine, tiling, size, condition))
        yield {
            "height": height, "width": width, "seed": seed, **named, "reach": halo, "thumbnail_px": 8,
            "condition": condition[0].reshape(-1).astype(int).tolist(), **facts(enhanced),
        }  # fmt: skip


def _rounding() -> Iterator[Case]:
    levels = [np.float32(k) / np.float32(255) for k in range(256)]
    halves = [np.float32((k + 0.5) / 255) for k in (0, 1, 2, 3, 63, 64, 126, 127, 128, 191, 253, 254)]
    beside = [np.nextafter(x, np.float32(way)) for x in halves for way in (0, 2)]
    special = map(np.float32, (-0.08, 1.08, -0.0, 1e-45, 1e30, -1e30, np.inf, -np.inf, np.nan, 0.5, 1 / 3, 0.999999))
    for value in (*levels, *halves, *beside, *special):
        yield {"float32": bits(value), "uint8": int(to_uint8(np.array([value]))[0])}


def _blending() -> Iterator[Case]:
    strengths = [np.float32(s) for s in (0, 0.1, 0.25, 1 / 3, 0.5, 0.7, 0.9, 1)]
    before, enhanced = pixel_bytes(24, 11), pixel_bytes(24, 12).astype(np.float32) / np.float32(251)
    for strength in strengths:
        for level, output in zip(before.tolist(), enhanced.clip(0, 1), strict=True):
            mixed = blend(np.array([np.float32(level) / np.float32(255)]), np.array([output]), float(strength))
            yield {
                "before": level, "enhanced": bits(output), "strength": bits(strength),
                "blended": bits(mixed[0]), "uint8": int(to_uint8(mixed)[0]),
            }  # fmt: skip


def _preview() -> Iterator[Case]:
    """Transforms near the identity and far from it, on greys, primaries and colours; then one on its way to another."""
    random = np.random.default_rng(20)
    pixels = np.array([[0, 0, 0], [1, 1, 1], [1, 0, 0], [0.25, 0.5, 0.75], [0.02, 0.9, 0.4]], np.float32)
    shown = _drawn_transform(random, 0.02)
    for spread, elapsed_s in ((0.1, 0.0), (0.3, 0.033), (0.6, 0.4), (1.2, 3.0)):
        seen = _drawn_transform(random, spread)
        smoothed = shown.towards(seen, elapsed_s)
        yield {
            "shown": _listed_transform(shown), "seen": _listed_transform(seen), "elapsed_s": elapsed_s,
            "smoothed": _listed_transform(smoothed),
            "pixels": pixels.tolist(), "preview": [[round(float(v), 7) for v in row] for row in smoothed(pixels)],
        }  # fmt: skip
        shown = smoothed


def _drawn_transform(random: np.random.Generator, spread: float) -> ColourTransform:
    def draw(*shape: int) -> Array:
        return np.asarray(spread * random.standard_normal(shape), np.float32)

    half, eighth = np.float32(0.5), np.float32(0.125)
    return ColourTransform(np.eye(3, dtype=np.float32) + draw(3, 3), half * draw(3, 3), eighth * draw(3))


def _listed_transform(transform: ColourTransform) -> list[float]:
    parts = (transform.linear, transform.square, transform.offset)
    return [round(float(value), 7) for part in parts for value in part.reshape(-1)]


def _packing() -> Iterator[Case]:
    """Pixels of 4 bytes in rows with padding, to float tensors and back."""
    for seed, (height, width, padding) in enumerate(((1, 1, 0), (1, 1, 12), (2, 3, 4), (5, 7, 36), (16, 16, 0))):
        row_bytes = 4 * width + padding
        rows = pixel_bytes(height * row_bytes, seed).reshape(height, row_bytes)
        pixels = rows[:, : 4 * width].reshape(height, width, 4)
        spec = TensorSpec("tile", (1, height, width, 3), "float32", "NHWC", (0.0, 1.0), "RGB")
        for order, channels in (("RGBA", [0, 1, 2]), ("BGRA", [2, 1, 0])):
            planes = to_planes(pixels[..., channels]) / np.float32(255)
            back = np.full((height, row_bytes), 170, np.uint8)  # what lies in the padding stays
            packed = back[:, : 4 * width].reshape(height, width, 4)
            packed[..., channels], packed[..., 3] = to_uint8(from_planes(planes * np.float32(0.75))), 255
            back[:, : 4 * width] = packed.reshape(height, 4 * width)
            yield {
                "height": height, "width": width, "row_bytes": row_bytes, "seed": seed, "order": order,
                "nchw_sha256": hashlib.sha256(planes.astype("<f4").tobytes()).hexdigest(),
                "nhwc_sha256": hashlib.sha256(to_layout(planes, spec).astype("<f4").tobytes()).hexdigest(),
                "first": [bits(value) for value in planes.reshape(-1)[:3]], "packed": facts(back),
            }  # fmt: skip


def _orientation() -> Iterator[Case]:
    """Numbers 0, 1, 2 .. in place of pixels: where each of them goes."""
    for height, width in ((1, 1), (2, 3), (3, 2), (1, 5), (31, 17)):
        for orientation in range(1, 9):
            numbers = np.arange(height * width, dtype="<i4").reshape(height, width, 1)
            turned = upright(numbers, orientation)
            yield {
                "height": height, "width": width, "orientation": orientation,
                "upright_height": turned.shape[0], "upright_width": turned.shape[1], **facts(turned),
            }  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
