"""Photo pairs: the same scene by a phone and by a DSLR, from three sources, split by photo.

- DPED's published layout: `<root>/iphone/training_data/{iphone,canon}/N.jpg` and
  `<root>/iphone/test_data/patches/{iphone,canon}/N.jpg`; `<root>/iphone` itself is accepted too.
- Any folder that holds `<phone>/` and `canon/` with matching names.
- The embedded sample, where nothing is given: photos from installed packages, the phone side simulated.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import unicodedata
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from training.commandline import UserError
from training.data import simulated_phone
from training.data.embedded_sample import SAMPLE, SamplePhoto
from training.photos import PHOTO_SUFFIXES, PhotoError, printable, read_pixels

Pixels = npt.NDArray[np.uint8]
DSLR_FOLDER = "canon"
CALIBRATION_PAIRS, FIDELITY_PAIRS = 32, 16  # at most, where they are drawn from train and validation
SHARES = {"train": 0.8, "validation": 0.1, "calibration": 0.05, "fidelity": 0.05}
TRAIN_VARIANTS, HELD_OUT_VARIANTS = 12, 3  # simulated phone photos per photo of the embedded sample


DPED_PHONES, DPED_LICENCE = ("iphone", "blackberry", "sony"), "DPED: none stated, research use"
OWN_LICENCE = "as its owner states"
SET_MANIFEST = "manifest.json"  # of a set that align.py made


class PairError(UserError):
    """The photo pairs cannot be used; the message names the folder or file and the remedy."""


@dataclass(frozen=True)
class PhotoPair:
    """One scene twice, aligned.

    name: unique in its folder and safe to print: letters, digits, and `._-/~`.
    photo: the photo that it was cut from or simulated from; its own name where nothing says so.
    phone: the phone's photo, or the seed of a simulation that makes it from the DSLR photo.
    licence: of both photos, as their source states it.
    """

    name: str
    phone: Path | int
    dslr: Path
    licence: str
    photo: str = ""

    def __post_init__(self) -> None:
        if not self.photo:
            object.__setattr__(self, "photo", self.name)

    @property
    def simulated(self) -> bool:
        """True when no phone took the phone photo."""
        return isinstance(self.phone, int)

    def load(self) -> tuple[Pixels, Pixels]:
        """(phone, dslr), both [H, W, 3] uint8 sRGB of equal size.

        Raises:
            PhotoError: one of the files cannot be read; it is named.
            PairError: the sides differ in size.
        """
        dslr = read_pixels(self.dslr)
        if isinstance(self.phone, int):
            return simulated_phone.simulate(dslr, self.phone), dslr
        phone = read_pixels(self.phone)
        if phone.shape != dslr.shape:
            raise PairError(
                f"{printable(self.phone)}: the sides differ in size ({_size(phone)} and {_size(dslr)} px of "
                f"{printable(self.dslr)}); align the pairs first, with align.py"
            )
        return phone, dslr


@dataclass(frozen=True)
class PairSplits:
    """What each purpose may use. No photo of `train` is in `validation`, none of `calibration` in `fidelity`.

    train: the generator learns from these; validation: quality is judged on these;
    calibration: quantization finds its ranges on these; fidelity: artifacts are compared with float on these.
    description: one sentence that names the source, the number of pairs, and whether they are simulated.
    """

    train: list[PhotoPair]
    validation: list[PhotoPair]
    calibration: list[PhotoPair]
    fidelity: list[PhotoPair]
    description: str


def find_pairs(root: Path | None, phone: str | None = None, seed: int = 0) -> PairSplits:
    """The pairs below `root`, or the embedded sample for None, split by photo.

    With DPED's own split, train and validation are complete, so that figures compare with published ones;
    calibration is drawn from train and fidelity from validation by `seed`. All other pairs are split into four
    disjoint parts by a hash of their names alone: every script, run with any seed, holds out the same ones, and
    photos that are added later move hardly any.

    Args:
        phone: which phone folder, when there are several ("iphone", "blackberry", "sony"); None: the only one, or
            "iphone" among several.

    Raises:
        PairError: no pairs there, a phone photo with no partner, too few pairs to split.
    """
    if root is None:
        return _embedded_splits()
    if not root.is_dir():
        raise PairError(f"{printable(root)}: no such folder; give a DPED root or a folder with <phone>/ and canon/")
    if phone is None:
        only = [folder.parent.name for folder in root.glob("*/training_data")]
        phone = only[0] if len(only) == 1 else "iphone"
    for dped in (root / phone, root):
        if (dped / "training_data").is_dir():
            return _dped_splits(dped, phone, seed)
    if (root / DSLR_FOLDER).is_dir():
        pairs = two_folders(_phone_folder(root, phone), root / DSLR_FOLDER)
        return _hashed_splits(pairs, f"{len(pairs)} pairs of {_short(root)}, split by a hash of their names")
    others = ", ".join(sorted(printable(f.parent.name) for f in root.glob("*/training_data"))) or "none"
    raise PairError(
        f"{printable(root)}: holds neither {phone}/training_data/ nor {DSLR_FOLDER}/ beside a phone folder "
        f"(phones found in DPED layout: {others}); give a DPED root or a folder with <phone>/ and {DSLR_FOLDER}/"
    )


def fold_of(splits: PairSplits, fold: int, folds: int) -> PairSplits:
    """All pairs of train and validation again, split for cross-validation: one run of neighbours is held out.

    Neighbouring names may show one scene, so a fold is a run of consecutive pairs. Pairs that are not simulated only;
    calibration and fidelity are empty.

    Raises:
        PairError: a fold would be empty.
    """
    pairs = [pair for pair in (*splits.train, *splits.validation) if not pair.simulated]
    if not 0 <= fold < folds <= len(pairs):
        raise PairError(
            f"fold {fold}/{folds} of {len(pairs)} pairs: give a number from 0 to {folds - 1}, and few folds"
        )
    borders = [k * len(pairs) // folds for k in range(folds + 1)]
    held_out = slice(borders[fold], borders[fold + 1])
    return PairSplits(
        train=pairs[: held_out.start] + pairs[held_out.stop :], validation=pairs[held_out], calibration=[], fidelity=[],
        description=f"fold {fold} of {folds} over {len(pairs)} pairs, pairs {held_out.start + 1} to {held_out.stop} "
        f"held out; {splits.description}",
    )  # fmt: skip


def two_folders(
    phone_folder: Path, dslr_folder: Path, licence: str = OWN_LICENCE, photos: Mapping[str, str] | None = None
) -> list[PhotoPair]:
    """Pair the photos of two folders by name without extension, numbers in natural order, gaps allowed.

    Names are compared in Unicode's composed form: Macs write them decomposed. DSLR photos without a partner are left
    out.

    Args:
        photos: name of a file -> the photo that it was cut from.

    Raises:
        PairError: a folder is absent or has no photo, two photos share a name, a phone photo has no partner.
    """
    phones, dslrs = _photos(phone_folder), _photos(dslr_folder)
    alone = [stem for stem in phones if stem not in dslrs]
    if alone:
        raise PairError(
            f"{printable(phones[alone[0]])}: no photo of that name in {printable(dslr_folder)}"
            + (f" ({len(alone)} of {len(phones)} have none)" if len(alone) > 1 else "")
            + f"; {_remedy(alone[0], [stem for stem in dslrs if stem not in phones])}"
        )
    names = _unique_names([f"{phone_folder.name}/{stem}" for stem in phones])
    return [
        PhotoPair(name, path, dslrs[stem], licence, (photos or {}).get(path.name, ""))
        for name, (stem, path) in zip(names, phones.items(), strict=True)
    ]  # fmt: skip


def usable(pairs: Sequence[PhotoPair], report: Callable[[str], None]) -> list[PhotoPair]:
    """Decode every pair once; those with a broken photo are passed over, each named and all counted by `report`.

    Every file is decoded because nothing less finds a truncated one; 160,000 patches take a few minutes.

    Raises:
        PairError: sides differ in size, or no pair is left.
    """
    good = []
    for pair in tqdm(pairs, desc="checking pairs", unit="pair", disable=len(pairs) < 500, leave=False):
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


def _short(folder: Path) -> str:
    """Its last two parts: descriptions go into checkpoints and tables, where whole paths of a machine do not belong."""
    return printable("/".join(folder.resolve().parts[-2:]))


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key: "9" before "10", and texts after numbers."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


def _photos(folder: Path) -> dict[str, Path]:
    """Stem -> photo, in natural order."""
    if not folder.is_dir():
        raise PairError(f"{printable(folder)}: no such folder; it should hold one side of the photo pairs")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: _natural(path.name)):
        if path.suffix.lower() not in PHOTO_SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        stem = unicodedata.normalize("NFC", path.stem)
        if stem in found:
            raise PairError(f"{printable(path)}: {printable(found[stem].name)} has the same name; remove one")
        found[stem] = path
    if not found:
        raise PairError(f"{printable(folder)}: no photo in this folder ({', '.join(sorted(PHOTO_SUFFIXES))})")
    return found


def _remedy(name: str, others: Sequence[str]) -> str:
    """What to do about a photo without a partner: the name that is nearest tells most."""
    near = difflib.get_close_matches(name, others, n=1)
    if near:
        return f"the nearest is {printable(near[0])}: give both sides of a pair the same name"
    return "add it or remove this one"


def _unique_names(wanted: Sequence[str]) -> list[str]:
    """File names may hold anything but a slash: keep letters, digits and `._-/`, number what then coincides."""
    names: list[str] = []
    taken: dict[str, int] = {}
    for text in wanted:
        safe = "".join(c if c.isalnum() or c in "._-/" else "_" for c in text)
        taken[safe] = taken.get(safe, 0) + 1
        names.append(safe if taken[safe] == 1 else f"{safe}~{taken[safe]}")
    return names


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


def _dped_splits(folder: Path, phone: str, seed: int) -> PairSplits:
    own = _own_set(folder)
    licence = own.licence if own else DPED_LICENCE if phone in DPED_PHONES else OWN_LICENCE
    training = folder / "training_data"
    train = two_folders(
        _phone_folder(training, phone), training / DSLR_FOLDER, licence, own.train_photos if own else None
    )
    patches = folder / "test_data" / "patches"
    if not patches.is_dir():
        return _hashed_splits(train, f"{_count(train)} of {_short(folder)}, split by a hash of their photos")
    validation = two_folders(
        _phone_folder(patches, phone), patches / DSLR_FOLDER, licence, own.test_photos if own else None
    )
    calibration, fidelity = _draw(train, CALIBRATION_PAIRS, seed), _draw(validation, FIDELITY_PAIRS, seed)
    return PairSplits(
        train, validation, calibration, fidelity,
        f"DPED layout in {_short(folder)}: {_count(train)} to train and {_count(validation)} to validate, not "
        f"simulated; {len(calibration)} of training calibrate, {len(fidelity)} of validation judge fidelity",
    )  # fmt: skip


@dataclass(frozen=True)
class _OwnSet:
    """What the manifest of align.py says of a set: its licence, and file -> photo for both parts."""

    licence: str
    train_photos: dict[str, str]
    test_photos: dict[str, str]


def _own_set(folder: Path) -> _OwnSet | None:
    """None where no manifest of align.py lies in the folder.

    Raises:
        PairError: the manifest is damaged.
    """
    path = folder / SET_MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        photos: dict[str, dict[str, str]] = {"train": {}, "test": {}}
        for patch in manifest["patches"]:
            photos[patch["split"]][patch["file"]] = str(patch["pair"])
        return _OwnSet(str(manifest.get("licence", OWN_LICENCE)), photos["train"], photos["test"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PairError(f"{printable(path)}: not the manifest of align.py ({error}); align the pairs anew") from None


def _count(pairs: Sequence[PhotoPair]) -> str:
    """ "22 pairs", or "22 pairs of 3 photos" where several were cut from one."""
    photos = len({pair.photo for pair in pairs})
    return f"{len(pairs)} pairs" + (f" of {photos} photo{'s' * (photos > 1)}" if photos < len(pairs) else "")


def _hashed_splits(pairs: list[PhotoPair], description: str) -> PairSplits:
    photos = len({pair.photo for pair in pairs})
    if photos < len(SHARES):
        raise PairError(
            f"{printable(Path(pairs[0].dslr).parent)}: {photos} photo pairs cannot be split into "
            f"{', '.join(SHARES)}; add some until there are at least {len(SHARES)}"
        )
    borders = list(accumulate(SHARES.values()))[:-1]
    by_photo: dict[str, list[PhotoPair]] = {}
    for pair in sorted(pairs, key=lambda pair: _hash(pair.photo)):
        by_photo.setdefault(pair.photo, []).append(pair)
    groups: dict[str, list[list[PhotoPair]]] = {split: [] for split in SHARES}
    for photo, group in by_photo.items():
        groups[list(SHARES)[bisect(borders, _hash(photo))]].append(group)
    for split in SHARES:  # a split that no photo fell into takes one from the largest
        if not groups[split]:
            groups[split] = [max(groups.values(), key=len).pop()]
    splits = {split: [pair for group in groups[split] for pair in group] for split in SHARES}
    order = {pair.name: index for index, pair in enumerate(pairs)}
    for part in splits.values():
        part.sort(key=lambda pair: order[pair.name])
    return PairSplits(**splits, description=f"{description}, not simulated")


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
