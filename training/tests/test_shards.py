"""pack.py into arrays and into shards: the same samples, the same training, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training import train
from training.checkpoint import load_tensors
from training.data import pack, packed, shards
from training.data.batches import Batches
from training.data.packed import PackedError
from training.data.pairs import find_pairs
from training.data.shards import Shard, Shards, load_samples
from training.tiling import thumbnail

pytest.importorskip("webdataset", reason="install pocket-dslr[shards]")


@pytest.fixture(scope="module")
def pairs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DPED root of twelve training pairs, the first of which holds two patches, and four that are held out."""
    root, random = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    for place, count in (("training_data", 12), ("test_data/patches", 4)):
        for side in ("iphone", "canon"):
            (root / "iphone" / place / side).mkdir(parents=True)
        for k in range(count):
            phone = random.integers(30, 150, (70, 130, 3) if k == 0 else (64, 64, 3), np.uint8)
            for side, pixels in (("iphone", phone), ("canon", phone + 40)):
                Image.fromarray(pixels).save(root / "iphone" / place / side / f"{k}.png")
    return root


def pack_to(out: Path, pairs: Path, *flags: str) -> Path:
    assert pack.main(["--pairs", str(pairs), "--patch", "64", "--out", str(out), *flags]) == 0
    return out


def train_on(samples: Path, pairs: Path, out: Path) -> dict[str, torch.Tensor]:
    flags = ["--packed", str(samples), "--packed-share", "1", "--pairs", str(pairs), "--patch", "48", "--steps", "3"]
    assert train.main([*flags, "--batch", "4", "--accelerator", "cpu", "--out", str(out)]) == 0
    return load_tensors(out / "checkpoint.safetensors")[0]


def test_arrays_hold_every_training_patch(pairs_folder: Path, tmp_path: Path) -> None:
    samples = packed.load(pack_to(tmp_path / "arrays", pairs_folder), 64, 64)
    wanted = [pair.load() for pair in find_pairs(pairs_folder).train]
    assert len(samples) == 13
    wide_phone, wide_dslr = wanted[0]
    for k, left in enumerate((0, 64)):
        np.testing.assert_array_equal(samples.phone[k], wide_phone[:64, left : left + 64])
        np.testing.assert_array_equal(samples.dslr[k], wide_dslr[:64, left : left + 64])
        np.testing.assert_array_equal(samples.thumbnail[k], thumbnail(wide_phone, 64, 64))
    for k, (phone, dslr) in enumerate(wanted[1:], 2):
        np.testing.assert_array_equal(samples.phone[k], phone)
        np.testing.assert_array_equal(samples.dslr[k], dslr)
    assert isinstance(samples.phone, np.memmap) and samples.facts["licences"] == ["not stated by its maker"]


def test_shards_are_read_as_the_folder_is(pairs_folder: Path, tmp_path: Path) -> None:
    arrays = packed.load(pack_to(tmp_path / "arrays", pairs_folder), 64, 64)
    many = load_samples(pack_to(tmp_path / "many", pairs_folder, "--shard-mb", "0.08"), 64, 64, seed=1)
    assert isinstance(many, Shards) and len(many) == len(arrays) == 13 and len(many.shards) > 3
    read = [many._read(shard) for shard in many.shards]
    for k, members in enumerate(member for held in read for member in held):
        for side, data in zip(shards.SIDES, members, strict=True):
            np.testing.assert_array_equal(shards._pixels(data), getattr(arrays, side)[k])

    # One shard shows at every draw what the arrays show: batches and weights are the same to the last bit.
    one = pack_to(tmp_path / "one", pairs_folder, "--shard-mb", "100")
    by_shard, by_folder = (
        Batches([], steps=9, batch=6, patch_px=48, thumbnail_px=64, seed=5, packed=[samples], packed_share=1.0,
                batches_per_step=2)[7]
        for samples in (load_samples(one, 48, 64, 1), arrays)
    )  # fmt: skip
    for ours, theirs in zip(by_shard, by_folder, strict=True):
        assert torch.equal(ours.phone, theirs.phone) and torch.equal(ours.dslr, theirs.dslr)
        assert torch.equal(ours.thumbnail, theirs.thumbnail)
    weights = [train_on(tmp_path / name, pairs_folder, tmp_path / f"by-{name}") for name in ("one", "arrays", "many")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert any(not torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


def test_the_window_shows_every_shard_equally_and_shares_them_out() -> None:
    count, each = 30, 100
    some = Shards(Path(), tuple(Shard(f"{k}", each, "") for k in range(count)), 64, 64, {}, seed=3)
    draws = 2 * count * each
    places = [some.place(draw, of=len(some)) for draw in range(draws)]
    drawn = Counter(some.at_place(place) for place in places)
    assert len(drawn) == count and max(drawn.values()) <= 4 * each and min(drawn.values()) >= each
    for draw in range(0, draws, 7):  # few at a time, so that few are held
        assert len(set(places[draw : draw + 64])) <= shards.WINDOW + 2
    of_two = [{place for draw, place in enumerate(places) if draw % 2 == rank} for rank in (0, 1)]
    assert not of_two[0] & of_two[1], "two processes read different shards"


def test_a_shard_may_lie_elsewhere_but_not_be_another(
    pairs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, disk = pack_to(tmp_path / "set", pairs_folder, "--shard-mb", "0.08"), tmp_path / "disk"
    expected = train_on(folder, pairs_folder, tmp_path / "before")
    disk.mkdir()
    facts = json.loads((folder / "facts.json").read_text())
    for shard in facts["shards"][::2]:
        (folder / shard["url"]).rename(disk / shard["url"])
        shard["url"] = str(disk / shard["url"])
    (folder / "facts.json").write_text(json.dumps(facts))
    moved = train_on(folder, pairs_folder, tmp_path / "after")
    assert all(torch.equal(expected[name], moved[name]) for name in expected)

    samples = load_samples(folder, 64, 64, 0)
    assert isinstance(samples, Shards)
    path = disk / "samples-000000.tar"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    with pytest.raises(PackedError, match="sha256 differs"):
        samples._read(samples.shards[0])
    path.unlink()
    with pytest.raises(PackedError, match="cannot be read"):
        samples._read(samples.shards[0])
    with pytest.raises(PackedError, match="cannot be read"):
        samples._read(Shard("pipe:touch /tmp/no", 1, ""))
    for patch_px, thumbnail_px in ((65, 64), (64, 32)):
        with pytest.raises(PackedError, match="are needed"):
            load_samples(folder, patch_px, thumbnail_px, 0)
    (folder / "facts.json").write_text('{"shards": []}')
    with pytest.raises(PackedError, match=r"make it with pack\.py"):
        load_samples(folder, 64, 64, 0)
    assert pack.main(["--pairs", str(pairs_folder), "--patch", "500", "--out", str(tmp_path / "x")]) == 1
    assert "choose a smaller --patch" in capsys.readouterr().err and not (tmp_path / "x").exists()
