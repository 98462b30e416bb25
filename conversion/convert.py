"""The path that all converters share: flags, lowering, the check against float, the artifact's folder.

A converter supplies one function, `lower(source, form, folder) -> Lowered`, and is otherwise this file.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tqdm import tqdm

from conversion.artifact import (
    MANIFEST,
    SCHEMA_VERSION,
    Artifact,
    ArtifactError,
    Fidelity,
    Manifest,
    ModelFile,
    Provenance,
    TilingSpec,
)
from conversion.calibration import JUDGES_MAX, Photos, Pixels, calibrate, find_photos
from conversion.export import ConversionError, Converter, Form, Lowered, Source
from conversion.fidelity import GOLDEN_LEAST_DB, Floor, floor_of, measure
from conversion.golden import golden_psnr, write_golden
from conversion.model_card import model_card
from conversion.runtimes import open_artifact, open_engine
from conversion.sensitivity import BITS, in_words, sensitivity
from training.checkpoint import Checkpoint, default_release
from training.files import locked, workspace, write_text
from training.photos import from_samples

TILE_PX = 256
OUT = Path("runs/artifacts")
CALIBRATED = ("w8a8", "pal6", "pal4")  # precisions whose ranges or biases are found on photos
SENSITIVITY_TILES = 8


def make_parser(description: str | None, converter: Converter) -> argparse.ArgumentParser:
    """The flags of every converter."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--checkpoint", metavar="NAME_OR_PATH", default=default_release(), help="a released name or a path (default: "
        "%(default)s)")  # fmt: skip
    add("--precision", choices=converter.precisions, default=converter.precisions[0], help="default: %(default)s")
    if len(converter.targets) > 1:
        add("--target", choices=converter.targets, default=converter.targets[0], help="default: %(default)s")
    if len(converter.ios) > 1:
        add("--io", choices=converter.ios, default=converter.ios[0], help="thumbnail, tile and output as float in "
            "[0, 1] or as 8 bits (default: %(default)s)")  # fmt: skip
    add("--tile", type=int, default=TILE_PX, metavar="PX", help="side of a tile with its halo, fixed in the artifact "
        "(default: %(default)s)")  # fmt: skip
    add("--photos", type=Path, metavar="DIR", help="photos, by turns for calibration and to judge fidelity (default: "
        "the embedded sample's)")  # fmt: skip
    add("--judges", type=int, default=JUDGES_MAX, metavar="N", help="photos that judge at most (default: %(default)s)")
    add("--min-psnr", type=float, metavar="DB", help="mean PSNR that fidelity must reach: layers stay float, the most "
        "sensitive first, until it does (default: the precision's floor, all layers quantized)")  # fmt: skip
    add("--min-worst-psnr", type=float, metavar="DB", help="the same for the worst photo")
    add("--allow-below-floor", action="store_true", help="write the artifact all the same; its manifest says it")
    add("--out", type=Path, default=OUT, help="folder of artifacts (default: %(default)s)")
    return parser


def convert(args: argparse.Namespace, converter: Converter) -> Path:
    """Checkpoint -> checked artifact at `<out>/<checkpoint>-<format>-<precision>[-target][-uint8]/`.

    Raises:
        UserError: a bad checkpoint, flag or photo; a toolchain not installed; fidelity below its floor.
    """
    torch.set_num_threads(min(torch.get_num_threads(), 2))
    wanted = Form(args.precision, getattr(args, "target", converter.targets[0]), getattr(args, "io", converter.ios[0]))
    checkpoint = Checkpoint.load(args.checkpoint)
    photos = find_photos(args.photos, args.judges)
    source = Source(checkpoint, args.tile)
    if wanted.precision in CALIBRATED:
        calibration = calibrate(photos.calibration, source.generator, args.tile)
        source = Source(checkpoint, args.tile, calibration)
    judges = _large_enough(photos.fidelity, source)
    floor = floor_of(wanted.precision, wanted.io, args.min_psnr, args.min_worst_psnr)
    search = args.min_psnr is not None or args.min_worst_psnr is not None
    name = artifact_name(checkpoint.name, converter, wanted)

    with temporary_files_apart(), replacing_folder(args.out / name) as folder:
        attempts: list[Made] = []

        def holds(form: Form) -> bool:
            attempts.append(attempt(source, form, converter, judges, floor, folder))
            fidelity = attempts[-1].fidelity
            missed = fidelity and fidelity.below_floor
            if missed:
                logging.warning("%s: %s", name, missed)
            return not missed

        if not holds(wanted) and search and wanted.precision in BITS:
            keep_fewest_in_float(wanted, source, photos, holds)
        made = attempts[-1]
        if made.fidelity is None:
            logging.warning("%s: nothing on this machine runs %s; its fidelity is not measured", name, wanted.target)
        elif made.fidelity.below_floor and not args.allow_below_floor:
            explain(source, wanted, photos)
            raise ConversionError(
                f"{name}: below its fidelity floor, so nothing was written: {made.fidelity.below_floor}; try "
                "--min-psnr, another --precision, or --allow-below-floor"
            )
        tolerance = floor.worst_db if floor else GOLDEN_LEAST_DB
        manifest = _write_manifest(folder, name, converter, source, made, tolerance)
        agreement = golden_psnr(open_artifact(Artifact.load(folder)), Artifact.load(folder)) if made.fidelity else None
        if agreement is not None and not agreement >= tolerance and not args.allow_below_floor:
            raise ConversionError(f"{name}: {agreement:.1f} dB on its own golden pair, so nothing was written")
    logging.info("%s", summary(manifest))
    return Path(args.out / name)


@dataclass(frozen=True)
class Made:
    """What an attempt left in its folder. fidelity: None where nothing here runs it."""

    form: Form
    lowered: Lowered
    conversion_s: float
    fidelity: Fidelity | None


def attempt(
    source: Source, form: Form, converter: Converter, judges: Sequence[Pixels], floor: Floor | None, folder: Path
) -> Made:
    """Lower into a folder, emptied before, and measure fidelity."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    start = time.perf_counter()
    with redirect_stdout(sys.stderr):  # toolchains chatter; stdout carries the artifact's path alone
        try:
            lowered = converter.lower(source, form, folder)
        except RuntimeError as error:  # all that coremltools says of a full disk
            if "FileWriter" not in str(error):
                raise
            raise ConversionError(
                f"{folder.parent}: could not be written ({str(error).splitlines()[0]}); free some space there and in "
                f"{tempfile.gettempdir()}"
            ) from error
    conversion_s = time.perf_counter() - start
    logging.info("%s %s: lowered in %.1f s", converter.format, form.precision, conversion_s)
    if form.target not in converter.runs_here:
        return Made(form, lowered, conversion_s, None)
    engine = open_engine(converter.format, folder, lowered.entry_points)
    with tqdm(total=len(judges), desc="fidelity", unit="photo") as bar:
        fidelity = measure(engine, source.generator, map(from_samples, judges), source.tile_px, floor, bar.update)
    return Made(form, lowered, conversion_s, fidelity)


def keep_fewest_in_float(wanted: Form, source: Source, photos: Photos, holds: Callable[[Form], bool]) -> None:
    """The most sensitive layers stay float, one more at a time until the floors hold; then, who is not needed does not.

    Args:
        holds: tries a form. The last one tried is the one to take; where none holds, it is the one wanted.
    """

    def try_with(layers: Sequence[str]) -> bool:
        logging.info("float stay: %s", ", ".join(layers))
        return holds(replace(wanted, float_layers=tuple(layer for layer in source.layers if layer in layers)))

    order = list(_sensitivity(source, wanted, photos))
    enough = next((count for count in range(1, len(order) + 1) if try_with(order[:count])), None)
    if enough is None:
        holds(wanted)
        return
    kept, tried = order[:enough], order[:enough]
    for layer in order[: enough - 1]:
        tried = [other for other in kept if other != layer]
        if try_with(tried):
            kept = tried
    if tried != kept:
        try_with(kept)


def explain(source: Source, form: Form, photos: Photos) -> None:
    """Log which layers a missed floor is due to."""
    if form.precision in BITS:
        found = _sensitivity(source, form, photos)
        logging.warning("PSNR of enhance with one convolution quantized: %s", in_words(found))


def _sensitivity(source: Source, form: Form, photos: Photos) -> dict[str, float]:
    calibration = source.calibration or calibrate(
        photos.calibration or photos.fidelity, source.generator, source.tile_px
    )
    return sensitivity(source, form.precision, calibration.samples[:SENSITIVITY_TILES])


def artifact_name(checkpoint: str, converter: Converter, form: Form) -> str:
    """Of the folder: what is not the default is part of it."""
    parts = [_file_name(checkpoint), converter.format, form.precision]
    if form.target != converter.targets[0]:
        parts.append(form.target)
    if form.io != converter.ios[0]:
        parts.append(form.io)
    return "-".join(parts)


def summary(manifest: Manifest) -> str:
    """An artifact in one line."""
    pieces = []
    for entry_point, taken in manifest.delegation.items():
        count = f"{taken.delegated} of {taken.total} operators in {taken.delegates} delegate(s)" if taken else "unknown"
        pieces.append(f"{entry_point} {count}")
    agreement, fidelity = "fidelity not measured", manifest.fidelity
    if fidelity:
        agreement = (
            f"{fidelity.psnr_mean_db:.1f} dB mean, {fidelity.psnr_worst_db:.1f} dB worst against float on "
            f"{fidelity.photos} photos"
        )
    return f"{manifest.name}: {manifest.model_bytes / 1e3:.0f} KB; {agreement}; delegation: {', '.join(pieces)}"


@contextmanager
def temporary_files_apart() -> Iterator[None]:
    """Toolchains put temporary files into a folder that the next run removes if this one is killed."""
    before = tempfile.tempdir
    with workspace() as folder:
        tempfile.tempdir = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place only when the block succeeds.

    Raises:
        ArtifactError: something else than an artifact lies at `path`.
        LockedError: another process is making the same artifact.
    """
    if path.exists() and not (path / MANIFEST).is_file():
        raise ArtifactError(f"{path}: exists and is not an artifact; move it away or choose another --out")
    workspace = path.parent / f".{path.name}.part"
    new, old = workspace / "new", workspace / "old"
    with locked(workspace):
        if old.exists() and not path.exists():  # a process was killed between its two renamings
            old.rename(path)
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)
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
    folder: Path, name: str, converter: Converter, source: Source, made: Made, tolerance_psnr_db: float
) -> Manifest:
    """With the golden pair, and the model card on the way, so that the manifest lists both."""
    form, lowered = made.form, made.lowered
    # The golden photo is the embedded sample's: nobody's own photo ends up in an artifact.
    photo = from_samples(find_photos(None).fidelity[0])
    golden = write_golden(folder, photo, source.generator, lowered.entry_points, tolerance_psnr_db)
    checkpoint, generator = source.checkpoint, source.generator
    described, tiling = generator.describe(), generator.tiling
    packages = {point.file for point in lowered.entry_points}
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name=name,
        format=converter.format,
        target=form.target,
        precision=form.precision,
        quantization=lowered.quantization,
        files=ModelFile.all_in(folder, packages),
        entry_points=lowered.entry_points,
        thumbnail_px=generator.thumbnail_px,
        tiling=TilingSpec(source.tile_px, tiling.halo, tiling.align, tiling.border),
        colour="sRGB, encoded",
        delegation=lowered.delegation,
        golden=golden,
        fidelity=made.fidelity,
        conversion_s=round(made.conversion_s, 1),
        source=Provenance(checkpoint.name, checkpoint.sha256, described["name"], described["config"]),
        tools={tool: importlib.metadata.version(tool) for tool in sorted({"torch", *lowered.tools})},
        licence=checkpoint.licence,
    )
    write_text(folder / "MODEL_CARD.md", model_card(manifest, checkpoint))
    manifest = replace(manifest, files=ModelFile.all_in(folder, packages))
    manifest.save(folder)
    return manifest


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
