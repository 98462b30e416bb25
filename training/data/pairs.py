"""Where photo pairs come from, split by photo.

- DPED's published layout: `<root>/iphone/training_data/{iphone,canon}/N.jpg` and
  `<root>/iphone/test_data/patches/{iphone,canon}/N.jpg`; `<root>/iphone` itself is accepted too. align.py makes it as
  well, with a manifest.json that says which photo each patch is from, and their licence.
- Any folder that holds `<phone>/` and `canon/` with matching names.
- The embedded sample, where nothing is given: free photos, the phone side simulated.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from tqdm import tqdm

from training.commandline import printable
from training.data.embedded_sample import SAMPLE, SamplePhoto
from training.data.photo_pair import PairError, PhotoPair, count_of, two_folders
from training.photos import PhotoError

DSLR_FOLDER = "canon"
MAX_CALIBRATION, MAX_FIDELITY = 32, 16  # pairs, where they are drawn from train and validation
MIN_VALIDATION = 4  # photos of a small set, as long as that is at most a quarter of it
SHARES = {"train": 0.8, "validation": 0.1, "calibration": 0.05, "fidelity": 0.05}
TRAIN_VARIANTS, HELD_OUT_VARIANTS = 12, 3  # simulated phone photos per photo of the embedded sample
DPED_LICENCE = "DPED: none stated, research use"
OWN_LICENCE = "not stated by its maker"
DPED_PHONES = ("iphone", "blackberry", "sony")


@dataclass(frozen=True)
class PairSplits:
    """What each purpose may use. No photo of `train` is in `validation`, none of `calibration` in `fidelity`.

    train: the generator learns from these; validation: these choose its weights and say when to stop;
    calibration: quantization finds its ranges on these; fidelity: artifacts are compared with float on these.
    description: one sentence that names the source, the number of pairs and photos, and whether they are simulated.
    """

    train: list[PhotoPair]
    validation: list[PhotoPair]
    calibration: list[PhotoPair]
    fidelity: list[PhotoPair]
    description: str

    @property
    def held_out(self) -> list[PhotoPair]:
        """Nothing was learned from these. Nor did they choose the weights, where there are pairs to spare for that."""
        spare = [pair for pair in self.fidelity if pair not in self.validation]
        return spare or self.validation

    @property
    def all(self) -> list[PhotoPair]:
        """Every pair once: with DPED's own split, calibration is a part of train."""
        return list(dict.fromkeys([*self.train, *self.validation, *self.calibration, *self.fidelity]))


def find_pairs(root: Path | None, phone: str | None = None, seed: int = 0, splitting: bool = True) -> PairSplits:
    """The pairs below `root`, or the embedded sample for None, split by photo.

    With DPED's own split, train and validation are complete, so that figures compare with published ones;
    calibration is drawn from train and fidelity from validation by `seed`. All other pairs are split into four
    disjoint parts by a hash of their photos' names alone: every script, run with any seed, holds out the same ones, and
    photos that are added later move hardly any.

    Args:
        phone: which phone folder, when there are several; None: the only one, else iphone.
        splitting: False leaves pairs that have no split of their own in `validation`, however few they are.

    Raises:
        PairError: no pairs there, a phone photo with no partner, too few pairs to split.
    """
    if root is None:
        return _embedded_splits()
    if not root.is_dir():
        raise PairError(f"{printable(root)}: no such folder; give a DPED root or a folder with <phone>/ and canon/")
    phones = sorted(folder.parent.name for folder in root.glob("*/training_data"))
    layout = phone or (phones[0] if len(phones) == 1 else "iphone")
    split = hashed_splits if splitting else _unsplit
    for folder in (root / layout, root):
        if (folder / "training_data").is_dir():
            return _dped_splits(folder, phone or folder.name, seed, split)
    if (root / DSLR_FOLDER).is_dir():
        pairs = two_folders(_phone_folder(root, phone or "iphone"), root / DSLR_FOLDER)
        return split(pairs, f"{count_of(pairs)} of {_short(root)}")
    others = ", ".join(map(printable, phones)) or "none"
    raise PairError(
        f"{printable(root)}: holds neither {layout}/training_data/ nor {DSLR_FOLDER}/ beside a phone folder "
        f"(phones found in DPED layout: {others}); give a DPED root or a folder with <phone>/ and {DSLR_FOLDER}/"
    )


def fold_of(splits: PairSplits, fold: int, folds: int) -> PairSplits:
    """All pairs of train and validation again, split for cross-validation: one run of neighbours is held out.

    Neighbouring names may show one scene, so a fold is a run of consecutive pairs; patches that are known to be of one
    photo stay together. Pairs that are not simulated only; calibration and fidelity are empty.

    Raises:
        PairError: a fold would be empty.
    """
    pairs = [pair for pair in (*splits.train, *splits.validation) if not pair.simulated]
    if not 0 <= fold < folds <= len(pairs):
        raise PairError(
            f"fold {fold}/{folds} of {len(pairs)} pairs: give a number from 0 to {folds - 1}, and few folds"
        )
    photos = list(dict.fromkeys(pair.scene for pair in pairs))
    if folds > len(photos):
        raise PairError(f"fold {fold}/{folds}: the pairs are {count_of(pairs)}; give at most {len(photos)} folds")
    held = set(photos[fold * len(photos) // folds : (fold + 1) * len(photos) // folds])
    held_out = [index for index, pair in enumerate(pairs) if pair.scene in held]
    return PairSplits(
        train=[pair for pair in pairs if pair.scene not in held], validation=[pairs[index] for index in held_out],
        calibration=[], fidelity=[],
        description=f"fold {fold} of {folds} over {count_of(pairs)}, pairs {held_out[0] + 1} to {held_out[-1] + 1} "
        f"held out; {splits.description}",
    )  # fmt: skip


def usable(pairs: Sequence[PhotoPair], report: Callable[[str], None]) -> list[PhotoPair]:
    """Decode every pair once; those with a broken photo are passed over, each named and all counted by `report`.

    Every file is decoded because nothing less finds a truncated one; 160,000 patches take a few minutes.

    Raises:
        PairError: sides differ in size, or no pair is left.
    """
    good = []
    few = True if len(pairs) < 500 else None  # None: a bar on a terminal
    for pair in tqdm(pairs, desc="checking pairs", unit="pair", disable=few, leave=False):
        if not pair.simulated:
            try:
                pair.load()
            except PhotoError as error:
                report(f"passed over: {error}")
                continue
        good.append(pair)
    if len(good) < len(pairs):
        report(f"{len(pairs) - len(good)} of {len(pairs)} pairs passed over because a photo cannot be read")
    if not good:
        raise PairError("none of the photo pairs can be read; see the messages above and give others with --pairs")
    return good


def hashed_splits(pairs: list[PhotoPair], description: str) -> PairSplits:
    """Disjoint splits of SHARES by a hash of the photos' names; patches of one photo stay in one split.

    With fewer photos than splits, patches of one photo must lie in several, and the description says so.

    Raises:
        PairError: fewer pairs than splits.
    """
    if len(pairs) < len(SHARES):
        raise PairError(
            f"{printable(Path(pairs[0].dslr).parent)}: {len(pairs)} photo pairs cannot be split into "
            f"{', '.join(SHARES)}; add some until there are at least {len(SHARES)}"
        )
    by_photo = len({pair.scene for pair in pairs}) >= len(SHARES)

    def key(pair: PhotoPair) -> str:
        return pair.photo or pair.name if by_photo else pair.name

    borders = list(accumulate(SHARES.values()))[:-1]
    splits: dict[str, list[str]] = {split: [] for split in SHARES}
    for name in sorted({key(pair) for pair in pairs}, key=_hash):
        splits[list(SHARES)[bisect(borders, _hash(name))]].append(name)
    for split in SHARES:  # a split that no name fell into takes one from the largest
        if not splits[split]:
            splits[split] = [max(splits.values(), key=len).pop()]
    missing = min(MIN_VALIDATION, sum(map(len, splits.values())) // 4) - len(splits["validation"])
    for _ in range(missing):  # what stops a training on one photo is chance
        others = [names for split, names in splits.items() if split != "validation"]
        splits["validation"].append(max(others, key=len).pop())
    how = "split by a hash of the photos' names"
    if not by_photo:
        how = "split by patch: what is held out shows photos that are learned from, so scores flatter"
    return PairSplits(
        **{split: [pair for pair in pairs if key(pair) in set(names)] for split, names in splits.items()},
        description=f"{description}, {how}, not simulated",
    )


def _unsplit(pairs: list[PhotoPair], description: str) -> PairSplits:
    return PairSplits([], pairs, [], [], f"{description}, not split, not simulated")


def _short(folder: Path) -> str:
    """Its last two parts: descriptions go into checkpoints and tables, where whole paths of a machine do not belong."""
    return printable("/".join(folder.resolve().parts[-2:]))


def _phone_folder(root: Path, phone: str) -> Path:
    """The one named `phone`, else the only other folder beside `canon/`."""
    if phone != DSLR_FOLDER and (root / phone).is_dir():
        return root / phone
    others = [f for f in root.iterdir() if f.is_dir() and f.name != DSLR_FOLDER and not f.name.startswith(".")]
    if len(others) != 1:
        names = ", ".join(sorted(printable(f.name) for f in others)) or "none"
        raise PairError(
            f"{printable(root)}: needs one phone folder beside {DSLR_FOLDER}/, found {names}; say which by --phone"
        )
    return others[0]


def _hash(name: str, seed: int = 0) -> float:
    """A number in [0, 1) that depends on nothing but the name and the seed."""
    digest = hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _draw(pairs: list[PhotoPair], at_most: int, seed: int) -> list[PhotoPair]:
    """A fifth of the pairs, at least one, at most `at_most`, in their order."""
    count = max(1, min(at_most, len(pairs) // 5))
    chosen = {pair.name for pair in sorted(pairs, key=lambda pair: _hash(pair.name, seed))[:count]}
    return [pair for pair in pairs if pair.name in chosen]


def _dped_splits(
    folder: Path, phone: str, seed: int, split: Callable[[list[PhotoPair], str], PairSplits]
) -> PairSplits:
    licence, photos = _told_by_manifest(folder)
    training, patches = folder / "training_data", folder / "test_data" / "patches"
    train = two_folders(_phone_folder(training, phone), training / DSLR_FOLDER, licence, photos["train"])
    if not patches.is_dir():
        return split(train, f"{count_of(train)} of {_short(folder)}")
    validation = two_folders(_phone_folder(patches, phone), patches / DSLR_FOLDER, licence, photos["test"])
    calibration, fidelity = _draw(train, MAX_CALIBRATION, seed), _draw(validation, MAX_FIDELITY, seed)
    return PairSplits(
        train, validation, calibration, fidelity,
        f"DPED layout in {_short(folder)}: {count_of(train)} to train on and {count_of(validation)} to validate, not "
        f"simulated; {len(calibration)} of training calibrate, {len(fidelity)} of validation judge fidelity",
    )  # fmt: skip


def _told_by_manifest(folder: Path) -> tuple[str, dict[str, dict[str, str]]]:
    """(licence, split -> file -> photo) as align.py's manifest has them; DPED itself has no manifest.

    Raises:
        PairError: the manifest cannot be read.
    """
    path = folder / "manifest.json"
    photos: dict[str, dict[str, str]] = {"train": {}, "test": {}}
    if not path.exists():
        is_dped = folder.name in DPED_PHONES and folder.resolve().parent.name.lower() == "dped"
        return (DPED_LICENCE if is_dped else OWN_LICENCE), photos
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        for row in manifest["patches"]:
            photos[row["split"]][row["file"]] = str(row["pair"])
        return printable(manifest.get("licence") or OWN_LICENCE), photos
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PairError(f"{printable(path)}: not a manifest of align.py ({error}); run align.py again") from error


def _embedded_splits() -> PairSplits:
    splits = {
        split: [pair for photo in SAMPLE if photo.split == split for pair in _variants(photo)] for split in SHARES
    }
    return PairSplits(
        **splits,
        description=f"embedded sample: {len(SAMPLE)} photos as the DSLR side, {sum(map(len, splits.values()))} phone "
        "photos SIMULATED from them",
    )


def _variants(photo: SamplePhoto) -> list[PhotoPair]:
    """Several simulated phone photos of one sample photo, each by its own seed."""
    path = photo.path()
    count = TRAIN_VARIANTS if photo.split == "train" else HELD_OUT_VARIANTS
    first_seed = int(_hash(photo.name) * 2**31)
    return [
        PhotoPair(f"simulated/{photo.name}-{k}", first_seed + k, path, photo.licence, photo.name) for k in range(count)
    ]
