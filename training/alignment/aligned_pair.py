"""One pair of photos from their files to a folder of patches, whole or absent, with the record of how it was made."""

from __future__ import annotations

import json
import shutil
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from training.alignment.homography import Alignment, AlignmentError, align, find_keypoints
from training.alignment.pairing import Shots
from training.alignment.patch_cutting import Cut, Patch, cut
from training.alignment.refinement import refine
from training.alignment.resampling import Resampled
from training.commandline import UserError, is_full, printable
from training.data.pairs import DSLR_FOLDER
from training.files import sha256, write_text
from training.photos import read_pixels

Pixels = npt.NDArray[np.uint8]
PAIRS, RECORD, BLINK, FAILURE = "pairs", "pair.json", "blink.webp", "error.txt"
BLINK_PX, BLINK_MS = 640, 700
MIN_KEPT = 0.1  # of the windows in the common view; with fewer, the photos were taken from different places
SUFFIXES = {"png": ".png", "jpg": ".jpg"}
Record = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What the patches of a pair depend on besides its photos.

    phone: the name of the phone's folder. patch_px: side of a patch. format: "png", which loses nothing, or "jpg".
    """

    phone: str
    patch_px: int = 100
    min_correlation: float = 0.9
    format: str = "png"


def record_of(shots: Shots, settings: Settings, folder: Path) -> Record | None:
    """The record of a pair that is finished, with these settings, from these very files; else None."""
    try:
        record: Record = json.loads((folder / shots.key / RECORD).read_text(encoding="utf-8"))
        same = record["settings"] == asdict(settings) and record["files"] == _files(shots)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if same else None


def align_pair(shots: Shots, settings: Settings, folder: Path) -> Record:
    """Align a pair, cut its patches, and put them with their record into `folder`/key at once.

    A pair that cannot be used, for whatever reason in its photos, gets a record with "refused" and no patches.
    """
    cv2.setNumThreads(1)  # pairs run beside each other
    seconds: dict[str, float] = {}
    record: Record = {
        "key": shots.key,
        "phone": printable(shots.phone.name),
        "dslr": printable(shots.dslr.name),
        "settings": asdict(settings),
        "files": _files(shots),
        "seconds": seconds,
    }
    part = folder / f".{shots.key}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        try:
            phone, both = _align(shots, settings, record, seconds)
        except (UserError, cv2.error, np.linalg.LinAlgError, MemoryError) as error:
            record["refused"] = " ".join(str(error).split()) or type(error).__name__
        except Exception as error:
            if isinstance(error, OSError) and is_full(error):
                raise
            (part / FAILURE).write_text(traceback.format_exc(), encoding="utf-8", errors="backslashreplace")
            record["refused"] = (f"failed unexpectedly ({type(error).__name__}); the details are in "
                                 f"{PAIRS}/{shots.key}/{FAILURE}; please report them")  # fmt: skip
        else:
            with _timed(seconds, "write"):  # outside of the above: a full disk is no fault of the pair
                rows = [_write(patch, number, settings, part) for number, patch in enumerate(both.cut.patches)]
                _write_blink(phone, both.resampled, part / BLINK)
            record["patches"] = rows
        write_text(part / RECORD, json.dumps(record, indent=1, allow_nan=False) + "\n")
        shutil.rmtree(folder / shots.key, ignore_errors=True)
        part.replace(folder / shots.key)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return record


@dataclass(frozen=True)
class Aligned:
    """What two photos of one scene become. resampled: the DSLR photo on the phone's grid."""

    alignment: Alignment
    resampled: Resampled
    cut: Cut


def align_pixels(phone: Pixels, dslr: Pixels, settings: Settings, seconds: dict[str, float]) -> Aligned:
    """Lay [H, W, 3] uint8 on [H', W', 3] and cut patches; the time of each stage is put into `seconds`.

    Raises:
        AlignmentError: not surely one scene from one place, or hardly a patch that is alike on both.
    """
    size = (dslr.shape[0], dslr.shape[1])
    if min(phone.shape[:2]) < settings.patch_px:
        raise AlignmentError(f"the phone photo is smaller than a patch of {settings.patch_px} px")
    with _timed(seconds, "keypoints"):
        keypoints = find_keypoints(phone), find_keypoints(dslr)
    with _timed(seconds, "match"):
        rough = align(*keypoints)
    with _timed(seconds, "refine"):
        resampled = Resampled(dslr, rough.homography, rough.scale)
        alignment = refine(rough, phone, resampled, size)
        resampled = resampled.moved(alignment.homography)
    with _timed(seconds, "cut"):
        made = cut(phone, resampled, alignment, size, settings.patch_px, settings.min_correlation)
    if not made.patches or len(made.patches) < MIN_KEPT * made.windows:
        raise AlignmentError(_why_none(made, settings))
    return Aligned(alignment, resampled, made)


def _align(shots: Shots, settings: Settings, record: Record, seconds: dict[str, float]) -> tuple[Pixels, Aligned]:
    """The phone's pixels and what the pair becomes; how it was aligned goes into `record`."""
    with _timed(seconds, "decode"):
        phone, dslr = read_pixels(shots.phone), read_pixels(shots.dslr)
    with _timed(seconds, "hash"):
        hashes = {"phone_sha256": _sha256(shots.phone), "dslr_sha256": _sha256(shots.dslr)}
    if len(set(hashes.values())) == 1:
        raise AlignmentError("both are one file; a pair teaches something if each is of another camera")
    both = align_pixels(phone, dslr, settings, seconds)
    alignment = both.alignment
    record |= {
        **hashes,
        "phone_px": [phone.shape[1], phone.shape[0]],
        "dslr_px": [dslr.shape[1], dslr.shape[0]],
        "homography": alignment.homography.tolist(),
        "scale": alignment.scale,
        "matches": alignment.matches,
        "inliers": alignment.inliers,
        "residual_px": alignment.residual_px,
        "crop": list(both.cut.crop),
        "windows": both.cut.windows,
        "dropped": both.cut.dropped,
    }
    return phone, both


def _sha256(photo: Path) -> str:
    try:
        return sha256(photo)
    except OSError as error:  # taken away since it was decoded
        raise UserError(f"{printable(photo)}: {error.strerror or 'cannot be read'}; put it back") from error


def _why_none(made: Cut, settings: Settings) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in made.dropped.items()) or "the view is too small"
    return (
        f"{len(made.patches)} of {made.windows} windows show the same on both, {MIN_KEPT:.0%} are needed: "
        f"another scene, another place or too little detail ({reasons}; "
        f"the best correlation is {made.best_correlation:.2f}, {settings.min_correlation:g} is needed)"
    )


def _write(patch: Patch, number: int, settings: Settings, folder: Path) -> Record:
    row: Record = {
        "left": patch.left,
        "top": patch.top,
        "shift": [round(patch.shift_x, 4), round(patch.shift_y, 4)],
        "correlation": round(patch.correlation, 5),
    }
    for side, name, pixels in (("phone", settings.phone, patch.phone), ("dslr", DSLR_FOLDER, patch.dslr)):
        path = folder / name / f"{number}{SUFFIXES[settings.format]}"
        path.parent.mkdir(exist_ok=True)
        image = Image.fromarray(pixels)
        if settings.format == "png":
            image.save(path, "PNG")
        else:
            image.save(path, "JPEG", quality=95, subsampling="4:4:4")
        row[f"{side}_sha256"] = sha256(path)
    return row


def _write_blink(phone: Pixels, resampled: Resampled, path: Path) -> None:
    """Both views in turn, small: what does not lie on each other jumps."""
    shrink = min(1.0, BLINK_PX / max(phone.shape[:2]))
    width, height = round(phone.shape[1] * shrink), round(phone.shape[0] * shrink)
    frames = [
        Image.fromarray(cv2.resize(phone, (width, height), interpolation=cv2.INTER_AREA)),
        Image.fromarray(resampled.picture(width, height, shrink)),
    ]
    frames[0].save(path, "WEBP", save_all=True, append_images=frames[1:], duration=BLINK_MS, loop=0, quality=85)


def _files(shots: Shots) -> list[list[int]]:
    """[bytes, time of the last change in ns] of both photos; a photo that is gone counts as [0, 0]."""
    stats = []
    for path in (shots.phone, shots.dslr):
        try:
            stat = path.stat()
            stats.append([stat.st_size, stat.st_mtime_ns])
        except OSError:
            stats.append([0, 0])
    return stats


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = round(time.perf_counter() - start, 4)
