"""Photo pairs: every layout found and split by photo, every fault named."""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from training.data import embedded_sample, pairs
from training.data.embedded_sample import SAMPLE, SampleError
from training.data.pairs import PairSplits, find_pairs, fold_of, usable
from training.data.photo_pair import PairError, PhotoPair, two_folders
from training.photos import PhotoError

SPLITS = ("train", "validation", "calibration", "fidelity")


def save(path: Path, size: tuple[int, int] = (12, 8), colour: str = "teal") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def make_pairs(root: Path, names: list[str], phone: str = "iphone") -> None:
    for name in names:
        save(root / phone / name, colour="grey")
        save(root / "canon" / name)


def truncate(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-500])


def names(found: list[PhotoPair]) -> list[str]:
    return [pair.name for pair in found]


# --- DPED's layout ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("below", ["", "iphone"])
def test_the_real_patches(pocket_data: Path, below: str) -> None:
    splits = find_pairs(pocket_data / "dped" / below)
    assert len(splits.train) == 159 and len(splits.validation) == 40
    assert not any(pair.simulated for pair in splits.train + splits.validation)
    assert "159" in splits.description and "40" in splits.description and "not simulated" in splits.description
    assert set(splits.calibration) < set(splits.train) and set(splits.fidelity) < set(splits.validation)
    figures = []
    for pair in usable(splits.validation, report=pytest.fail):
        phone, dslr = pair.load()
        assert phone.shape == dslr.shape == (100, 100, 3) and phone.dtype == dslr.dtype == np.uint8
        figures.append(10 * np.log10(255**2 / np.mean((phone.astype(float) - dslr) ** 2)))
    assert np.mean(figures) == pytest.approx(17.08, abs=0.01)  # as the data's own description measures them


def test_numbers_sort_as_numbers_and_may_have_gaps(tmp_path: Path) -> None:
    for part in ("training_data", "test_data/patches"):
        make_pairs(tmp_path / "sony" / part, [f"{n}.jpg" for n in (9, 100, 2, 10)], phone="sony")
    splits = find_pairs(tmp_path, phone="sony")
    assert names(splits.train) == ["sony/2", "sony/9", "sony/10", "sony/100"]
    with pytest.raises(PairError, match=r"found.*: sony"):
        find_pairs(tmp_path, phone="blackberry")


def test_without_dpeds_validation_the_training_pairs_are_split(tmp_path: Path) -> None:
    make_pairs(tmp_path / "iphone" / "training_data", [f"{n}.jpg" for n in range(20)])
    splits = find_pairs(tmp_path)
    assert_disjoint(splits, 20)
    assert find_pairs(tmp_path, seed=1) == splits  # training with another seed must not see what evaluation holds out


# --- two folders -----------------------------------------------------------------------------------------------


def assert_disjoint(splits: PairSplits, count: int) -> None:
    parts = [set(names(getattr(splits, split))) for split in SPLITS]
    assert all(parts)
    assert sum(map(len, parts)) == len(set().union(*parts)) == count


def test_any_phone_folder_beside_canon(tmp_path: Path) -> None:
    make_pairs(tmp_path, [f"{n}.png" for n in range(6)], phone="My Phone <b>")
    splits = find_pairs(tmp_path)
    assert_disjoint(splits, 6)
    assert all(pair.name.startswith("My_Phone__b_/") for pair in splits.train)
    save(tmp_path / "tablet" / "0.png")
    with pytest.raises(PairError, match="needs one phone folder"):
        find_pairs(tmp_path)
    assert_disjoint(find_pairs(tmp_path, phone="My Phone <b>"), 6)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 10**6), min_size=4, max_size=60))
def test_splits_are_disjoint_whole_and_depend_on_names_alone(numbers: set[int]) -> None:
    found = [PhotoPair(f"phone/{n}", Path(f"p/{n}"), Path(f"d/{n}"), "") for n in sorted(numbers)]
    splits = pairs.hashed_splits(found, "")
    assert_disjoint(splits, len(found))
    assert pairs.hashed_splits(found[::-1], "").train == splits.train[::-1]


def test_added_photos_move_no_other_between_splits() -> None:
    many = [PhotoPair(f"phone/{n}", Path(), Path(), "") for n in range(3000)]
    before, after = pairs.hashed_splits(many[:1500], ""), pairs.hashed_splits(many, "")
    for split, share in pairs.SHARES.items():
        assert set(getattr(before, split)) <= set(getattr(after, split))
        assert len(getattr(after, split)) / 3000 == pytest.approx(share, abs=0.02)


def test_photos_pair_by_name_whatever_the_format(tmp_path: Path) -> None:
    save(tmp_path / "p" / "a.jpg")
    save(tmp_path / "d" / "a.png")
    save(tmp_path / "d" / "spare.png")
    (tmp_path / "p" / "notes.txt").write_text("no photo")
    (tmp_path / "p" / ".hidden.jpg").write_text("no photo")
    assert names(two_folders(tmp_path / "p", tmp_path / "d")) == ["p/a"]


def test_hostile_names_become_safe_and_stay_unique(tmp_path: Path) -> None:
    for stem in ("<b>", "_b_", "a\nb", "x;y"):
        save(tmp_path / "p" / f"{stem}.png")
        save(tmp_path / "d" / f"{stem}.png")
    undecodable = os.fsencode(tmp_path / "p") + b"/\xff.png"
    Path(os.fsdecode(undecodable)).write_bytes((tmp_path / "p" / "_b_.png").read_bytes())
    (tmp_path / "d" / Path(os.fsdecode(undecodable)).name).write_bytes((tmp_path / "p" / "_b_.png").read_bytes())
    found = names(two_folders(tmp_path / "p", tmp_path / "d"))
    assert len(set(found)) == 5
    assert all(name.isprintable() and not set(name) & set("<>&'\";") for name in found)


# --- what align.py's manifest says -----------------------------------------------------------------------------


def aligned(root: Path, photos: dict[str, int], licence: str | None = "CC0-1.0") -> Path:
    """A set as align.py leaves it without photos to test on: so many patches of each photo."""
    rows = [{"split": "train", "pair": photo} for photo, count in photos.items() for _ in range(count)]
    rows = [{**row, "file": f"{number}.png"} for number, row in enumerate(rows)]
    make_pairs(root / "mine" / "training_data", [row["file"] for row in rows], phone="mine")
    manifest = {"patches": rows} | ({"licence": licence} if licence else {})
    (root / "mine" / "manifest.json").write_text(json.dumps(manifest))
    return root


def test_patches_of_one_photo_stay_in_one_split_and_photos_are_counted(tmp_path: Path) -> None:
    splits = find_pairs(aligned(tmp_path, {f"photo-{k}": 3 + k % 4 for k in range(9)}))
    photos = [{pair.photo for pair in getattr(splits, split)} for split in SPLITS]
    assert all(photos) and sum(map(len, photos)) == len(set().union(*photos)) == 9
    assert "patches of 9 photos" in splits.description
    held = [{pair.photo for pair in fold_of(splits, k, 3).validation} for k in range(3)]
    assert all(held) and sum(map(len, held)) == len(set().union(*held))


def test_patches_of_one_photo_are_no_new_photos(tmp_path: Path) -> None:
    splits = find_pairs(aligned(tmp_path, {"only": 22}))
    assert_disjoint(splits, 22)
    assert splits.description.startswith("22 patches of one photo of ")
    assert "split by patch: what is held out shows photos that are learned from" in splits.description


@pytest.mark.parametrize(("stated", "licence"), [("CC0-1.0", "CC0-1.0"), (None, pairs.OWN_LICENCE)])
def test_the_licence_is_the_one_that_the_maker_states(tmp_path: Path, stated: str | None, licence: str) -> None:
    found = find_pairs(aligned(tmp_path, {"a": 2, "b": 2, "c": 2, "d": 2}, stated))
    assert {pair.licence for pair in found.all} == {licence}


def test_only_dped_is_labelled_as_dped(tmp_path: Path) -> None:
    for root, licence in (("dped", pairs.DPED_LICENCE), ("mine", pairs.OWN_LICENCE)):
        make_pairs(tmp_path / root / "iphone" / "training_data", [f"{n}.jpg" for n in range(6)])
        assert {pair.licence for pair in find_pairs(tmp_path / root).all} == {licence}


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    aligned(tmp_path, {"a": 6})
    (tmp_path / "mine" / "manifest.json").write_text("{")
    with pytest.raises(PairError, match=r"manifest\.json: not a manifest of align\.py"):
        find_pairs(tmp_path)


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["caf\u00e9", "\u00c5ngstr\u00f6m", "\u1e9b\u0323"])
def test_unicode_forms_of_a_name_are_one_name(tmp_path: Path, name: str) -> None:
    save(tmp_path / "p" / f"{unicodedata.normalize('NFC', name)}.jpg")
    save(tmp_path / "d" / f"{unicodedata.normalize('NFD', name)}.jpg")
    assert len(two_folders(tmp_path / "p", tmp_path / "d")) == 1


@pytest.mark.parametrize(("phone", "dslr"), [("IMG_0001", "img-0001"), ("IMG_0001", "IMG_0001 copy"), ("a b", "A_B")])
def test_a_near_miss_is_one_line_with_the_remedy(tmp_path: Path, phone: str, dslr: str) -> None:
    for number in range(3):
        save(tmp_path / "p" / f"{phone}{number}.jpg")
        save(tmp_path / "d" / f"{dslr}{number}.jpg")
    with pytest.raises(PairError) as error:
        two_folders(tmp_path / "p", tmp_path / "d")
    sentence = str(error.value)
    assert f"{dslr}0.jpg looks like it: give both one name (3 of 3 phone photos have no partner)" in sentence
    assert "\n" not in sentence


def test_the_only_phone_is_taken_whatever_its_name(tmp_path: Path) -> None:
    make_pairs(tmp_path / "nokia" / "training_data", [f"{n}.jpg" for n in range(6)], phone="nokia")
    assert len(find_pairs(tmp_path).all) == 6
    with pytest.raises(PairError, match="found in DPED layout: nokia"):
        find_pairs(tmp_path, "iphone")


# --- faults ----------------------------------------------------------------------------------------------------


def no_partner(root: Path) -> None:
    (root / "canon" / "3.png").unlink()


def empty(root: Path) -> None:
    for path in (root / "iphone").iterdir():
        path.unlink()


def same_name_twice(root: Path) -> None:
    save(root / "iphone" / "3.jpg")


def too_few(root: Path) -> None:
    for n in range(3):
        (root / "iphone" / f"{n}.png").unlink()


def no_canon(root: Path) -> None:
    (root / "canon").rename(root / "nikon")


def no_phone(root: Path) -> None:
    (root / "iphone").rename(root / ".iphone")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (no_partner, r"iphone/3\.png: no photo of that name in .*canon; add it or remove this one"),
        (empty, r"iphone: no photo in this folder"),
        (same_name_twice, r"3\.png: 3\.jpg has the same name; remove one"),
        (too_few, r"canon: 3 photo pairs cannot be split"),
        (no_canon, r"holds neither iphone/training_data/ nor canon/"),
        (no_phone, r"needs one phone folder beside canon/, found none"),
    ],
)
def test_a_fault_in_the_folders_is_one_sentence(tmp_path: Path, spoil: Callable[[Path], None], sentence: str) -> None:
    make_pairs(tmp_path, [f"{n}.png" for n in range(6)])
    assert_disjoint(find_pairs(tmp_path), 6)
    spoil(tmp_path)
    with pytest.raises(PairError, match=sentence):
        find_pairs(tmp_path)


def test_an_absent_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PairError, match="absent: no such folder"):
        find_pairs(tmp_path / "absent")


def test_sides_of_different_size_stop_with_both_sizes(tmp_path: Path) -> None:
    make_pairs(tmp_path, ["0.png", "1.png"])
    save(tmp_path / "canon" / "1.png", size=(13, 8))
    found = two_folders(tmp_path / "iphone", tmp_path / "canon")
    with pytest.raises(
        PairError, match=r"iphone/1\.png: the sides differ in size \(12x8 and 13x8 px of .*canon/1\.png"
    ):
        usable(found, report=print)
    with pytest.raises(PairError):
        found[1].load()


def test_broken_photos_are_named_counted_and_passed_over(tmp_path: Path) -> None:
    make_pairs(tmp_path, [f"{n}.jpg" for n in range(7)])
    truncate(tmp_path / "iphone" / "2.jpg")
    truncate(tmp_path / "canon" / "5.jpg")
    found = two_folders(tmp_path / "iphone", tmp_path / "canon")
    reports: list[str] = []
    assert names(usable(found, reports.append)) == [f"iphone/{n}" for n in (0, 1, 3, 4, 6)]
    assert len(reports) == 3
    assert "iphone/2.jpg" in reports[0] and "canon/5.jpg" in reports[1] and "2 of 7" in reports[2]
    with pytest.raises(PhotoError, match=r"2\.jpg"):
        found[2].load()
    with pytest.raises(PairError, match="none of the photo pairs can be read"):
        usable([found[2], found[5]], reports.append)


# --- the embedded sample ---------------------------------------------------------------------------------------


def test_the_embedded_sample_is_labelled_split_by_photo_and_repeatable() -> None:
    splits, again = find_pairs(None), find_pairs(None, seed=5)
    assert "SIMULATED" in splits.description
    every = [pair for split in SPLITS for pair in getattr(splits, split)]
    assert all(pair.simulated and pair.licence for pair in every)
    assert len(set(names(every))) == len(every) == len({pair.phone for pair in every})
    assert_disjoint(splits, len(every))
    photos = [{pair.dslr for pair in getattr(splits, split)} for split in SPLITS]
    assert sum(map(len, photos)) == len(set().union(*photos)) == len(SAMPLE)
    assert splits == again
    for pair, same in zip(splits.validation, again.validation, strict=True):
        np.testing.assert_array_equal(pair.load()[0], same.load()[0])
    phone, dslr = splits.train[0].load()
    other, _ = splits.train[1].load()
    assert phone.shape == dslr.shape and phone.dtype == np.uint8
    assert not np.array_equal(phone, other)


def test_photos_that_a_generator_learns_from_are_free() -> None:
    counts = Counter(photo.split for photo in SAMPLE if photo.licence in embedded_sample.FREE_LICENCES)
    assert counts == {"train": 14, "validation": 4, "fidelity": 6}
    assert {photo.split for photo in SAMPLE if photo.licence not in embedded_sample.FREE_LICENCES} == {"calibration"}


def test_every_sample_photo_is_the_pinned_one_and_another_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for photo in SAMPLE:
        assert hashlib.sha256(photo.path().read_bytes()).hexdigest() == photo.sha256
    monkeypatch.setattr(embedded_sample, "sha256", lambda path: "0" * 64)
    with pytest.raises(SampleError, match=r"astronaut\.png: not the expected photo"):
        SAMPLE[0].path()


def test_a_missing_package_is_named() -> None:
    photo = embedded_sample.SamplePhoto("a", "train", "no_such_package_here", "a.png", "", "", "")
    with pytest.raises(SampleError, match="no_such_package_here does not bring it"):
        photo.path()


@given(st.integers(4, 120))
def test_a_small_set_has_enough_to_validate_on(count: int) -> None:
    made_up = [PhotoPair(f"p/{k}", Path("a"), Path("b"), "CC0", f"photo {k}") for k in range(count)]
    splits = pairs.hashed_splits(made_up, "pairs")
    assert len(splits.validation) >= min(4, count // 4) and splits.train and splits.fidelity
    assert sum(len(getattr(splits, split)) for split in SPLITS) == count
