"""Patches of many pairs as one training set: DPED's layout, a manifest, and a sheet to look at.

    <out>/<phone>/pairs/<key>/              one pair: its patches, pair.json, blink.webp
    <out>/<phone>/training_data/{<phone>,canon}/N.png
    <out>/<phone>/test_data/patches/{<phone>,canon}/N.png
    <out>/<phone>/manifest.json, refused.txt, sheet.jpg

Both layouts share their files by hard links, where the disk has them. Numbers are consecutive, from 0, in the order of
the pairs. All patches of one phone photo are on one side of the split.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from training.alignment.aligned_pair import PAIRS, SUFFIXES, Record, Settings
from training.alignment.pairing import Shots
from training.data.pairs import DSLR_FOLDER
from training.files import replacing, write_text

MANIFEST, REFUSED, SHEET = "manifest.json", "refused.txt", "sheet.jpg"
PLACES = {"train": Path("training_data"), "test": Path("test_data/patches")}
SHEET_COLUMNS, SHEET_ROWS, LABEL_PX, GAP_PX = 10, 8, 14, 4


def split(pairs: Sequence[Shots], test_share: float) -> dict[str, str]:
    """Key -> "train" or "test", by a hash of the phone photo's name; with two pairs or more, both have one."""
    ordered = sorted(pairs, key=lambda shots: (shots.draw, shots.key))
    splits = {shots.key: "test" if shots.draw < test_share else "train" for shots in ordered}
    if len(ordered) >= 2:
        splits[ordered[0].key], splits[ordered[-1].key] = "test", "train"
    return splits


def publish(
    pairs: Sequence[Shots], records: Sequence[Record], unusable: Sequence[tuple[str, str]], *, settings: Settings,
    test_share: float, licence: str, root: Path,
) -> dict[str, Any]:  # fmt: skip
    """Lay out all patches below `root` = <out>/<phone> anew. Returns the manifest, written last.

    records: of the pairs, in their order. unusable: further photos with the reason. licence: of the photos.
    """
    (root / MANIFEST).unlink(missing_ok=True)
    aligned = [(shots, record) for shots, record in zip(pairs, records, strict=True) if "refused" not in record]
    splits = split([shots for shots, _ in aligned], test_share)
    part = root / ".layout.part"
    shutil.rmtree(part, ignore_errors=True)
    count = dict.fromkeys(PLACES, 0)
    rows: list[Record] = []
    for _, record in aligned:
        which = splits[record["key"]]
        for number, patch in enumerate(record["patches"]):
            suffix = SUFFIXES[settings.format]
            name = f"{count[which]}{suffix}"
            for side in (settings.phone, DSLR_FOLDER):
                _link(root / PAIRS / record["key"] / side / f"{number}{suffix}", part / PLACES[which] / side / name)
            rows.append({"split": which, "file": name, "pair": record["key"], **patch})
            count[which] += 1
    for place in PLACES.values():
        top = place.parts[0]
        shutil.rmtree(root / top, ignore_errors=True)
        if (part / top).exists():
            (part / top).replace(root / top)
    shutil.rmtree(part, ignore_errors=True)

    refused = [(f"{r['phone']} + {r['dslr']}", r["refused"]) for r in records if "refused" in r] + list(unusable)
    write_text(root / REFUSED, "".join(f"{what}: {why}\n" for what, why in refused))
    left_out = ("patches", "seconds", "settings", "files")
    manifest = {
        "licence": licence,
        "settings": records[0]["settings"] | {"test_share": test_share} if records else {},
        "counts": {"pairs": len(aligned), "refused": len(refused), **{f"{k}_patches": n for k, n in count.items()}},
        "pairs": [
            {k: v for k, v in r.items() if k not in left_out} | {"split": splits[r["key"]]} for _, r in aligned
        ],
        "refused": [{"what": what, "why": why} for what, why in refused],
        "patches": rows,
    }  # fmt: skip
    if rows:
        contact_sheet(rows, root / PAIRS, settings, root / SHEET)
    else:
        (root / SHEET).unlink(missing_ok=True)
    write_text(root / MANIFEST, _lines(manifest))
    return manifest


def contact_sheet(rows: Sequence[Record], folder: Path, settings: Settings, path: Path) -> None:
    """Phone patch above DSLR patch, with their correlation: half of them the least correlated, half evenly drawn."""
    room = SHEET_COLUMNS * SHEET_ROWS
    first: dict[str, int] = {}  # of each pair's rows, its number within the pair
    located = []
    for row in rows:
        number = first.get(row["pair"], 0)
        first[row["pair"]] = number + 1
        located.append((row["correlation"], row["pair"], number))
    worst = sorted(located)[: room // 2]
    rest = [at for at in located if at not in set(worst)]
    shown = worst + rest[:: max(1, -(-len(rest) // (room - len(worst))))]
    side = settings.patch_px
    cell_width, cell_height = side + GAP_PX, 2 * side + LABEL_PX + GAP_PX
    lines = -(-len(shown) // SHEET_COLUMNS)
    canvas = Image.new("RGB", (SHEET_COLUMNS * cell_width + GAP_PX, lines * cell_height + GAP_PX), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(11)
    for at, (correlation, key, number) in enumerate(shown):
        x, y = GAP_PX + at % SHEET_COLUMNS * cell_width, GAP_PX + at // SHEET_COLUMNS * cell_height
        draw.text((x, y), f"{correlation:.3f} {key}"[: side // 6], "black", font)
        for below, name in enumerate((settings.phone, DSLR_FOLDER)):
            with Image.open(folder / key / name / f"{number}{SUFFIXES[settings.format]}") as patch:
                canvas.paste(patch, (x, y + LABEL_PX + below * side))
    with replacing(path) as temporary:
        canvas.save(temporary, "JPEG", quality=92)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a disk without hard links
        shutil.copyfile(source, target)


def _lines(manifest: dict[str, Any]) -> str:
    """JSON with one pair or patch a line: it can be read by eye and compared by diff."""
    parts = []
    for key, value in manifest.items():
        if isinstance(value, list):
            inside = ",\n  ".join(json.dumps(row, allow_nan=False) for row in value)
            parts.append(f' "{key}": [\n  {inside}\n ]' if value else f' "{key}": []')
        else:
            parts.append(f' "{key}": {json.dumps(value, allow_nan=False)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"
