"""Many photos from file to file: none stops the others, none is left out in silence, what is done is passed over."""

from __future__ import annotations

import hashlib
import json
import logging
import signal
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from training.album.inputs import list_photos, unique
from training.album.outputs import Output, State, plan_outputs, refuse_inputs, states
from training.album.record import write_made
from training.commandline import Progress, UserError, count, is_full, printable
from training.enhancer import Enhancer
from training.enhancer.full_size import ConditionFrom, enhance_file
from training.photos import ENCODERS, PHOTO_SUFFIXES, PhotoError

FAILURES = "enhance.log"
HEARING_S = 0.2  # a signal may reach another thread, and then this one hears it when it next wakes up
PHOTOS_AT_A_TIME = 2  # one whose tiles are enhanced, and one that is decoded or encoded meanwhile
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EnhanceSettings:
    """What a result depends on besides its photo.

    strength: 0 leaves a photo as it is, 1 is the full effect. quality: of JPEG, None for about the photo's own.
    """

    strength: float = 1.0
    condition: ConditionFrom = "exact"
    quality: int | None = None

    def digest(self, enhancer: Enhancer) -> str:
        text = json.dumps([enhancer.model.sha256, asdict(self)])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def find_outputs(inputs: Sequence[Path], out: Path) -> list[Output]:
    """The photos of files and folders, and where each goes: below the folder `out`, or to it as a file for one photo.

    Raises:
        UserError: no such file or folder, no photo, or a photo that would be replaced.
    """
    one_file = out.suffix.lower() in PHOTO_SUFFIXES and not out.is_dir()
    if one_file and out.suffix.lower() not in ENCODERS:
        raise UserError(f"--out {printable(out)}: this format is read but not written; choose {', '.join(ENCODERS)}")
    sources: dict[Path, Path] = {}  # photo: its path below --out
    for path in inputs:
        if path.is_dir():
            listing = list_photos(path, recurse=True, leave_out=None if one_file else out)
            sources |= {photo: photo.relative_to(path) for photo in listing.photos}
            if sentence := listing.left_out():
                log.info("%s", sentence)
        elif path.is_file():
            sources[path] = Path(path.name)
        else:
            raise UserError(f"{printable(path)}: no such photo or folder")
    photos = unique(list(sources))
    if one_file:
        if len(photos) > 1:
            raise UserError(f"--out {printable(out)}: a file is for one photo, not {len(photos)}; name a folder")
        outputs = [Output(photos[0], out)]
    else:
        outputs = plan_outputs([(photo, sources[photo]) for photo in photos], out, ENCODERS, ".jpg")
    refuse_inputs(outputs)
    for output in outputs:
        if output.renamed:
            name = printable(output.target.name)
            log.info("%s: becomes %s, since another photo has that name", printable(output.source), name)
    return outputs


class _Stopped(BaseException):
    """The run ends before a photo is done: no failure of the photo."""


def enhance_photos(enhancer: Enhancer, outputs: Sequence[Output], settings: EnhanceSettings, overwrite: bool) -> None:
    """Enhance photos, the next one decoded beside the tiles of this one; at the end, say how many were enhanced, were
    done already, or failed.

    Raises:
        UserError: some could not be enhanced; all others are.
    """
    digest = settings.digest(enhancer)
    found: list[State] = ["new"] * len(outputs) if overwrite else states(outputs, digest)
    enhancer.warm_up()
    tally: Counter[str] = Counter()
    stop, one_speaks = threading.Event(), threading.Lock()
    with Progress(len(outputs), "photos") as progress, _stopped_by_sigterm():

        def work(number: int, output: Output, state: State) -> str:
            share_done = 0.0

            def advance(share: float) -> None:
                nonlocal share_done
                if stop.is_set():
                    raise _Stopped
                share_done += share
                with one_speaks:
                    progress.advance(share)

            with one_speaks:
                progress.show(f"{number} of {len(outputs)}: {output.source.name}")
            outcome = _enhance_one(enhancer, output, state, settings, digest, advance)
            advance(1 - share_done)
            return outcome

        with ThreadPoolExecutor(PHOTOS_AT_A_TIME, "photo") as photos:
            jobs = [photos.submit(work, i, *each) for i, each in enumerate(zip(outputs, found, strict=True), 1)]
            try:
                for job in jobs:
                    while not wait([job], HEARING_S).done:
                        pass
                    tally[job.result()] += 1
            except BaseException:
                stop.set()
                for job in jobs:
                    job.cancel()
                raise
    _say_end(tally)


def _enhance_one(
    enhancer: Enhancer, output: Output, state: State, settings: EnhanceSettings, digest: str,
    advance: Callable[[float], None],
) -> Literal["enhanced", "done", "failed"]:  # fmt: skip
    source, target = output.source, output.target
    if state == "done":
        return "done"
    try:
        if state == "taken":
            raise PhotoError(f"{printable(target)}: is there already, and not made of {printable(source)} with these "
                             "settings; --overwrite replaces it, another --out keeps it")  # fmt: skip
        notes = enhance_file(
            enhancer, source, target, settings.strength, settings.condition,
            lambda pixels, total: advance(pixels / total), settings.quality,
        )  # fmt: skip
        write_made(target, source, digest)
    except UserError as error:
        log.error("%s", error)
        return "failed"
    except Exception as error:
        if isinstance(error, OSError) and is_full(error):
            raise  # as it would be for all the others
        log.error("%s: failed unexpectedly (%s); the details are in %s; please report them", printable(source),
                  type(error).__name__, printable(_keep_details(target.parent, source)))  # fmt: skip
        return "failed"
    for note in notes:
        log.info("%s: %s", printable(source), note)
    return "enhanced"


def _keep_details(folder: Path, source: Path) -> Path:
    path = folder / FAILURES
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{source}\n{traceback.format_exc()}\n")
    return path


def _say_end(tally: Counter[str]) -> None:
    parts = []
    if tally["enhanced"]:
        parts.append(f"{count(tally['enhanced'], 'photo')} enhanced")
    if done := tally["done"]:
        were, them = ("was", "it") if done == 1 else ("were", "them")
        parts.append(f"{done} {were} done already; --overwrite makes {them} again")
    if parts:
        log.info("%s", ", ".join(parts))
    if failed := tally["failed"]:
        rest = "; all others are done" if parts else ""
        raise UserError(f"{count(failed, 'photo')} could not be enhanced, as said above{rest}")


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """As by Ctrl-C: by itself, the signal would leave temporary files."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
