"""From two folders of photos to a training set: the work of align.py, which goes on where it stopped."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from joblib import delayed

from training.album.inputs import refuse_same_folder
from training.alignment.aligned_pair import PAIRS, Record, Settings, align_pair, record_of
from training.alignment.pairing import Shots, Unpaired, by_name, by_time
from training.alignment.patch_set import MANIFEST, PLACES, publish
from training.alignment.workers import workers
from training.commandline import Progress, UserError, count, printable
from training.data.pairs import DSLR_FOLDER
from training.files import locked

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PhotoSet:
    """What a set is made of, and how.

    phone, dslr: folders of photos. out: the DPED root in which the set becomes the folder `settings.phone`.
    tolerance_s: between times of a pair. dslr_ahead_s: of the phone's clock. test_share: of the photos.
    licence: of the photos. jobs: pairs at a time. dask: address of a scheduler whose workers do it instead.
    """

    phone: Path
    dslr: Path
    out: Path
    settings: Settings
    pair_by: Literal["name", "time"] = "name"
    tolerance_s: float = 2.0
    dslr_ahead_s: float = 0.0
    test_share: float = 0.1
    licence: str = "not stated by its maker"
    jobs: int = 1
    dask: str | None = None

    @property
    def root(self) -> Path:
        return self.out / self.settings.phone


def make_set(photo_set: PhotoSet) -> Path:
    """Pair, align, cut, and lay out as a set. Returns its manifest.

    Raises:
        UserError: folders or names that cannot be right, or no pair could be aligned.
    """
    _check(photo_set)
    phones, dslrs = photo_set.phone.absolute(), photo_set.dslr.absolute()  # workers of a cluster start elsewhere
    if photo_set.pair_by == "name":
        pairs, unpaired = by_name(phones, dslrs)
    else:
        tolerance, ahead = timedelta(seconds=photo_set.tolerance_s), timedelta(seconds=photo_set.dslr_ahead_s)
        pairs, unpaired = by_time(phones, dslrs, tolerance, ahead)
    with locked(photo_set.root):
        return _align_all(photo_set, pairs, unpaired)


def _check(photo_set: PhotoSet) -> None:
    name, root = photo_set.settings.phone, photo_set.root
    if name == DSLR_FOLDER or not name.replace("-", "").replace("_", "").isalnum():
        raise UserError(f"--name {printable(name)}: give letters and digits, and not {DSLR_FOLDER}")
    refuse_same_folder(photo_set.phone, photo_set.dslr, "--phone and --dslr")
    for folder in (photo_set.phone, photo_set.dslr):
        if folder.resolve().is_relative_to(root.resolve()):
            raise UserError(f"{printable(root)}: the set would lie around the photos of {printable(folder)}; give "
                            "another --out or --name")  # fmt: skip
    if not (root / PAIRS).is_dir() and any((root / place.parts[0]).exists() for place in PLACES.values()):
        raise UserError(f"{printable(root)}: holds a set that align.py did not make; give another --out or --name")


def _align_all(photo_set: PhotoSet, pairs: list[Shots], unpaired: Unpaired) -> Path:
    settings, root = photo_set.settings, photo_set.root
    folder = root / PAIRS
    folder.mkdir(exist_ok=True)
    records: dict[str, Record] = {}
    for shots in pairs:
        if finished := record_of(shots, settings, folder):
            records[shots.key] = finished
    todo = [shots for shots in pairs if shots.key not in records]
    log.info("%s, %d of them finished already; %s without a partner",
             count(len(pairs), "pair"), len(records), count(len(unpaired), "photo"))  # fmt: skip
    seen = [photo_set.phone.absolute(), photo_set.dslr.absolute(), folder.absolute()]
    with workers(photo_set.jobs, photo_set.dask, seen) as work, Progress(len(todo), "pairs") as progress:
        progress.show(f"1 of {len(todo)} pairs")
        aligned = work(delayed(align_pair)(shots, settings, folder.absolute()) for shots in todo)
        for number, record in enumerate(aligned, 2):
            records[record["key"]] = record
            if "refused" in record:
                log.warning("refused: %s + %s: %s", record["phone"], record["dslr"], record["refused"])
            progress.show(f"{min(number, len(todo))} of {len(todo)} pairs")
            progress.advance()

    unusable = [(printable(path.name), reason) for path, reason in unpaired]
    counts = publish(
        pairs, [records[shots.key] for shots in pairs], unusable, settings=settings,
        test_share=photo_set.test_share, licence=photo_set.licence, root=root,
    )["counts"]  # fmt: skip
    log.info("%s aligned, %d photos or pairs refused, %d patches to train on, %d to test on",
             count(counts["pairs"], "pair"), counts["refused"], counts["train_patches"],
             counts["test_patches"])  # fmt: skip
    if not counts["pairs"]:
        raise UserError(f"{printable(root / 'refused.txt')}: no pair could be aligned; the reasons are there")
    if counts["pairs"] == 1:
        log.warning("one pair only: nothing to test on, and what is held out of its patches shows the same scene")
    return root / MANIFEST
