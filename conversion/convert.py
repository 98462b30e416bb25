"""The path that all converters share: lowering, the check against float, the artifact's folder.

A converter supplies one function, `lower(source, form, folder) -> Lowered`; its flags are in `converter`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import logging
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

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
from conversion.calibration import Pixels, calibrate, find_photos, golden_photo
from conversion.converter import Converter, Form, artifact_name
from conversion.export import ConversionError, Lowered, Source
from conversion.fidelity import GOLDEN_LEAST_DB, Floor, floor_of, measure
from conversion.golden import golden_psnr, write_golden
from conversion.gpu_check import check_on_gpu
from conversion.model_card import CARD, model_card
from conversion.runtimes import open_artifact, open_engine
from conversion.sensitivity import BITS, explain, keep_fewest_in_float
from training.checkpoint import Checkpoint
from training.commandline import Progress, UserError, is_verbose
from training.files import locked, workspace, write_text
from training.photos import from_samples
from training.process.quiet import third_party_output_to

CALIBRATED = ("w8a8", "pal6", "pal4")  # precisions whose ranges or biases are found on photos
log = logging.getLogger(__name__)


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
    floor = floor_of(converter.format, wanted.precision, wanted.io, mean_db=args.min_psnr, worst_db=args.min_worst_psnr)
    search = args.min_psnr is not None or args.min_worst_psnr is not None
    name = artifact_name(checkpoint.name, converter, wanted)

    with temporary_files_apart(), replacing_folder(args.out / name) as folder, chatter_apart(args, name) as aside:
        attempts: list[Made] = []

        def holds(form: Form) -> bool:
            attempts.append(attempt(source, form, converter, judges, floor, folder, aside))
            fidelity = attempts[-1].fidelity
            missed = fidelity and fidelity.below_floor
            if missed:
                log.warning("%s: %s", name, missed)
            return not missed

        if not holds(wanted) and search and wanted.precision in BITS:
            keep_fewest_in_float(wanted, source, photos, holds)
        made = attempts[-1]
        if made.fidelity is None:
            log.warning("%s: nothing on this machine runs %s; its fidelity is not measured", name, wanted.target)
        elif made.fidelity.below_floor and not args.allow_below_floor:
            explain(source, wanted, photos)
            raise ConversionError(
                f"{name}: below its fidelity floor, so nothing was written: {made.fidelity.below_floor}; try "
                "--min-psnr, another --precision, or --allow-below-floor"
            )
        tolerance = floor.worst_db if floor else GOLDEN_LEAST_DB
        manifest = _write_manifest(folder, name, converter, source, made, tolerance)
        with aside():
            artifact = Artifact.load(folder)
            agreement = golden_psnr(open_artifact(artifact), artifact) if made.fidelity else None
        if agreement is not None and not agreement >= tolerance and not args.allow_below_floor:
            raise ConversionError(f"{name}: {agreement:.1f} dB on its own golden pair, so nothing was written")
        if converter.runs_on_gpu:
            with aside():
                check_on_gpu(artifact, allow_below_floor=args.allow_below_floor)
    log.info("%s", summary(manifest))
    return Path(args.out / name)


@dataclass(frozen=True)
class Made:
    """What an attempt left in its folder. fidelity: None where nothing here runs it."""

    form: Form
    lowered: Lowered
    conversion_s: float
    fidelity: Fidelity | None


Aside = Callable[
    [], AbstractContextManager[None]
]  # around calls of toolchains and runtimes: what they print is put aside


@contextmanager
def chatter_apart(args: argparse.Namespace, name: str) -> Iterator[Aside]:
    """What toolchains and runtimes print goes to `<out>/.<name>.log`, which errors name; with --verbose it is shown.

    The file is hidden, since `<out>/*` are artifacts, and goes when all went well.

    Raises:
        ConversionError: a toolchain failed, in a way of its own.
    """
    log_path = args.out / f".{name}.log"
    log_path.unlink(missing_ok=True)
    hint = "" if is_verbose() else f"; {log_path} has what the toolchain printed"

    @contextmanager
    def aside() -> Iterator[None]:
        with third_party_output_to(log_path, is_verbose()):
            try:
                yield
            except (UserError, OSError):
                raise
            except Exception as error:
                traceback.print_exc()
                first_line = (str(error).splitlines() or [""])[0]
                raise ConversionError(f"{name}: {type(error).__name__}: {first_line}") from error

    try:
        yield aside
    except ConversionError as error:
        raise ConversionError(f"{error}{hint if log_path.exists() else ''}") from error
    log_path.unlink(missing_ok=True)


def attempt(
    source: Source, form: Form, converter: Converter, judges: Sequence[Pixels], floor: Floor | None, folder: Path,
    aside: Aside,
) -> Made:  # fmt: skip
    """Lower into a folder, emptied before, and measure fidelity."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    log.info("lowering %s to %s %s", source.checkpoint.name, converter.format, form.precision)
    start = time.perf_counter()
    with aside():
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
    if form.target not in converter.runs_here:
        return Made(form, lowered, conversion_s, None)
    with aside():
        engine = open_engine(converter.format, folder, lowered.entry_points)
    with Progress(len(judges), "photos that judge fidelity") as progress:
        fidelity = measure(engine, source.generator, map(from_samples, judges), source.tile_px, floor, progress.advance)
    return Made(form, lowered, conversion_s, fidelity)


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
    photo = from_samples(golden_photo())
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
    write_text(folder / CARD, model_card(manifest, checkpoint))
    manifest = replace(manifest, files=ModelFile.all_in(folder, packages))
    manifest.save(folder)
    return manifest


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
        log.warning("%d photos are below one tile of %d px and were left out", len(photos) - len(usable), least)
    return usable
