"""Releases: rounded to half precision, small enough, with a card; refusals; those that are committed."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from training import generators, release
from training.checkpoint import WEIGHTS_FOLDER, Checkpoint, default_release, released
from training.data.held_out import is_held_out
from training.generators.pocket import Pocket, PocketConfig

ATTRIBUTION = WEIGHTS_FOLDER / "pocket-clean-photos.csv"


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(release, "RESULTS", tmp_path / "results")
    for table in release.RELEASES["pocket-clean"].tables:
        path = tmp_path / "results" / table
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"| table of {table} |\n")
    return tmp_path / "results"


def trained(folder: Path, config: PocketConfig | None = None) -> Path:
    torch.manual_seed(0)
    generator = Pocket(config)
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    return Checkpoint(generator, "x", provenance={"licences": ["photos: CC0"]}).save(folder / "a.safetensors")


def test_a_release_is_small_rounded_and_explained(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = trained(tmp_path)
    assert release.main(["pocket-clean", str(given), "--out", str(tmp_path / "weights")]) == 0
    path = Path(capsys.readouterr().out.splitlines()[-1])
    assert path.name == "pocket-clean.safetensors" and path.stat().st_size <= release.MAX_BYTES
    made, before = Checkpoint.load(path), Checkpoint.load(given)
    for rounded, full in zip(made.generator.parameters(), before.generator.parameters(), strict=True):
        assert rounded.dtype == torch.float32  # they are computed with in full precision
        torch.testing.assert_close(rounded, full.half().float(), rtol=0, atol=0)
    card = path.with_suffix(".md").read_text()
    assert made.sha256 in card and "photos: CC0" in card and made.licence in card
    assert all(f"table of {table}" in card for table in release.RELEASES["pocket-clean"].tables)
    assert sorted(p.name for p in path.parent.iterdir()) == ["pocket-clean.md", "pocket-clean.safetensors"]


def test_too_large_or_without_tables_is_refused(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = trained(tmp_path, PocketConfig(channels=96))
    assert release.main(["pocket-clean", str(large), "--out", str(tmp_path / "weights")]) == 1
    assert "a release has 500,000 at most" in capsys.readouterr().err.splitlines()[-1]
    assert not list((tmp_path / "weights").iterdir())
    assert release.main(["pocket-iphone", str(trained(tmp_path)), "--out", str(tmp_path / "weights")]) == 1
    assert "run make releases" in capsys.readouterr().err.splitlines()[-1]


def test_the_default_is_the_best_release_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.weights.WEIGHTS_FOLDER", tmp_path)
    assert default_release() == "runs/pocket"
    for name in ("pocket-iphone", "pocket-clean"):
        (tmp_path / f"{name}.safetensors").touch()
        assert default_release() == name


SIZES = {  # that differ from a new generator's own: those of `make releases`
    "pocket-iphone": {"channels": 16, "layers": 3, "factor": 2, "analyser_channels": 8, "hidden": 48},
    "pocket-clean": {},
}


@pytest.mark.parametrize("name", release.RELEASES)
def test_committed_releases_keep_their_promises(name: str) -> None:
    assert name in released()
    path = WEIGHTS_FOLDER / f"{name}.safetensors"
    made = Checkpoint.load(name)
    assert made.name == name and made.licence == release.RELEASES[name].licence
    assert path.stat().st_size <= release.MAX_BYTES and made.sha256 in path.with_suffix(".md").read_text()
    assert made.generator.mac_per_px() <= 4_000
    assert generators.build("pocket", SIZES[name]).describe() == made.generator.describe()
    header = str(made.provenance)
    assert "/home/" not in header and "/root" not in header and "shared" not in header


def test_photos_of_pocket_clean_are_attributed_one_by_one() -> None:
    with ATTRIBUTION.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["photo"] for row in rows}) == len(rows) > 150
    free = ("free to use", "CC0-1.0", "Unsplash licence")
    assert all(row["source"] and row["licence"].startswith(free) for row in rows)
    assert not [row["photo"] for row in rows if is_held_out(*row["photo"].rsplit(".", 1)[0].split("/"))]


@pytest.mark.parametrize("name", release.RELEASES)
def test_committed_cards_are_what_the_code_writes(name: str) -> None:
    path = WEIGHTS_FOLDER / f"{name}.safetensors"
    text = path.with_suffix(".md").read_text()
    assert text == release.card(name, Checkpoint.load(path), path.stat().st_size)
    assert "## Good for" in text and "## Not for" in text and "{" not in text
