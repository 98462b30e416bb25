"""The path that all converters share: flags, lowering, the check against float, the artifact's folder.

A converter supplies one function, `lower(source, precision, folder) -> Lowered`, and is otherwise this file.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import logging
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from conversion.artifact import (
    MANIFEST,
    SCHEMA_VERSION,
    Artifact,
    ArtifactError,
    Fidelity,
    Format,
    Golden,
    Manifest,
    ModelFile,
    Precision,
    Provenance,
    TilingSpec,
)
from conversion.export import ConversionError, Lower, Lowered, Source
from conversion.fidelity import FLOORS, below_floor, measure
from conversion.golden import golden_psnr, write_golden
from conversion.model_card import model_card
from conversion.runtimes import Array, open_artifact, open_engine
from training.checkpoint import Checkpoint, released
from training.files import write_text
from training.pairs import find_pairs
from training.photos import read_folder

TILE_PX = 256
OUT = Path("runs/artifacts")
RELEASE = "pocket-iphone"
TRAINED = Path("runs/pocket")  # where train.py without flags leaves its checkpoint
Pixels = npt.NDArray[np.uint8]


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """The flags of every converter."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--checkpoint",
        metavar="NAME_OR_PATH",
        help=f"a released name or a path (default: {RELEASE} if it is installed, else {TRAINED})",
    )
    parser.add_argument("--precision", choices=get_args(Precision), default="fp32", help="default: %(default)s")
    parser.add_argument(
        "--tile",
        type=int,
        default=TILE_PX,
        metavar="PX",
        help="side of a tile with its halo, fixed in the artifact (default: %(default)s)",
    )
    parser.add_argument(
        "--photos", type=Path, metavar="DIR", help="photos to measure fidelity on (default: the embedded sample's)"
    )
    parser.add_argument("--out", type=Path, default=OUT, help="folder of artifacts (default: %(default)s)")
    return parser


def convert(args: argparse.Namespace, kind: Format, lower: Lower) -> Path:
    """Checkpoint -> checked artifact at `<out>/<checkpoint>-<format>-<precision>/`.

    Raises:
        UserError: a bad checkpoint, flag or photo; a toolchain not installed; fidelity below its floor.
    """
    torch.set_num_threads(min(torch.get_num_threads(), 2))
    checkpoint = Checkpoint.load(args.checkpoint or _default_checkpoint())
    source = Source(checkpoint, args.tile)
    sample = find_pairs(None).fidelity  # photos that calibration never sees
    phones = list(read_folder(args.photos).values()) if args.photos else [pair.load()[0] for pair in sample]
    photos = _large_enough(phones, source)
    name = f"{_file_name(checkpoint.name)}-{kind}-{args.precision}"

    with replacing_folder(args.out / name) as folder:
        start = time.perf_counter()
        with redirect_stdout(sys.stderr):  # toolchains chatter; stdout carries the artifact's path alone
            lowered = lower(source, args.precision, folder)
        logging.info("%s: lowered in %.1f s", name, time.perf_counter() - start)

        engine = open_engine(kind, folder, lowered.entry_points)
        with tqdm(total=len(photos), desc="fidelity", unit="photo") as bar:
            fidelity = measure(engine, source.generator, map(_to_float, photos), source.tile_px, bar.update)
        missed = below_floor(fidelity, args.precision)
        if missed:
            raise ConversionError(f"{name}: below its fidelity floor, so nothing was written: {missed}")

        analyze, enhance = lowered.entry_points
        tolerance = FLOORS[args.precision].worst_db
        golden = write_golden(folder, _to_float(sample[0].load()[0]), source.generator, analyze, enhance, tolerance)
        manifest = _write_manifest(folder, name, kind, args.precision, source, lowered, golden, fidelity)
        made = Artifact.load(folder)
        agreement = golden_psnr(open_artifact(made), made)
        if not agreement >= tolerance:
            raise ConversionError(f"{name}: {agreement:.1f} dB on its own golden pair, so nothing was written")
    logging.info("%s", summary(manifest))
    return Path(args.out / name)


def summary(manifest: Manifest) -> str:
    """An artifact in one line."""
    fidelity, pieces = manifest.fidelity, []
    for entry_point, taken in manifest.delegation.items():
        count = f"{taken.delegated} of {taken.total} operators in {taken.delegates} delegate(s)" if taken else "unknown"
        pieces.append(f"{entry_point} {count}")
    return (
        f"{manifest.name}: {fidelity.psnr_mean_db:.1f} dB mean, {fidelity.psnr_worst_db:.1f} dB worst against float "
        f"on {fidelity.photos} photos; delegation: {', '.join(pieces)}"
    )


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place only when the block succeeds.

    Raises:
        ArtifactError: something else than an artifact lies at `path`.
    """
    if path.exists() and not (path / MANIFEST).is_file():
        raise ArtifactError(f"{path}: exists and is not an artifact; move it away or choose another --out")
    path.parent.mkdir(parents=True, exist_ok=True)
    workspace = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    new, old = workspace / "new", workspace / "old"
    try:
        new.mkdir()
        yield new
        if path.exists():
            path.rename(old)
        try:
            new.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
    finally:
        shutil.rmtree(workspace)


def _write_manifest(
    folder: Path,
    name: str,
    kind: Format,
    precision: Precision,
    source: Source,
    lowered: Lowered,
    golden: Golden,
    fidelity: Fidelity,
) -> Manifest:
    """The model card is written on the way, so that the manifest lists it too."""
    checkpoint, generator = source.checkpoint, source.generator
    described, tiling = generator.describe(), generator.tiling
    packages = {point.file for point in lowered.entry_points}
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name=name,
        format=kind,
        precision=precision,
        files=ModelFile.all_in(folder, packages),
        entry_points=lowered.entry_points,
        thumbnail_px=generator.thumbnail_px,
        tiling=TilingSpec(source.tile_px, tiling.halo, tiling.align, tiling.border),
        colour="sRGB, encoded",
        delegation=lowered.delegation,
        golden=golden,
        fidelity=fidelity,
        source=Provenance(checkpoint.name, checkpoint.sha256, described["name"], described["config"]),
        tools={tool: importlib.metadata.version(tool) for tool in sorted({"torch", *lowered.tools})},
        licence=checkpoint.licence,
    )
    write_text(folder / "MODEL_CARD.md", model_card(manifest, checkpoint))
    manifest = replace(manifest, files=ModelFile.all_in(folder, packages))
    manifest.save(folder)
    return manifest


def _default_checkpoint() -> str | Path:
    if RELEASE in released():
        return RELEASE
    if not TRAINED.exists():
        raise ConversionError(f"{TRAINED}: no checkpoint yet; run `python training/train.py`, or give --checkpoint")
    return TRAINED


def _file_name(name: str) -> str:
    """A checkpoint's name, fit for a folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:80] or "checkpoint"


def _large_enough(photos: list[Pixels], source: Source) -> list[Pixels]:
    """Those that the tile plan can cut.

    Raises:
        ConversionError: none.
    """
    least = source.tile_px if source.generator.tiling.border == "shift" else 1
    usable = [photo for photo in photos if min(photo.shape[:2]) >= least]
    if not usable:
        raise ConversionError(
            f"no photo of at least {least} px a side to measure fidelity on; give other --photos or a smaller --tile"
        )
    if len(usable) < len(photos):
        logging.warning("%d photos are below one tile of %d px and were left out", len(photos) - len(usable), least)
    return usable


def _to_float(photo: npt.NDArray[Any]) -> Array:
    return photo.astype(np.float32) / np.float32(255)
