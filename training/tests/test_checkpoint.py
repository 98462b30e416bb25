"""Checkpoints: round trip, atomic, and every broken file refused with its name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from training import checkpoint as checkpoints
from training import generators
from training.checkpoint import Checkpoint, CheckpointError
from training.files import sha256


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    made = Checkpoint(generators.build("ppcn_student"), "CC0-1.0", {"psnr": 1.5}, {"seed": 3}, name="tiny")
    return made.save(tmp_path / "tiny.safetensors")


def test_round_trip(saved: Path) -> None:
    loaded = Checkpoint.load(saved)
    assert (loaded.name, loaded.licence) == ("tiny", "CC0-1.0")
    assert (loaded.scores, loaded.provenance) == ({"psnr": 1.5}, {"seed": 3})
    assert loaded.sha256 == sha256(saved)
    torch.manual_seed(0)
    for key, value in generators.build("ppcn_student").state_dict().items():
        assert torch.equal(loaded.generator.state_dict()[key], value)
    assert [path.name for path in saved.parent.iterdir()] == ["tiny.safetensors"], "no temporary file may stay"


def test_a_run_folder_and_a_released_name_are_found(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved.parent / "run"
    folder.mkdir()
    (folder / "checkpoint.safetensors").write_bytes(saved.read_bytes())
    assert Checkpoint.load(folder).name == "tiny"
    monkeypatch.setattr("training.weights.WEIGHTS_FOLDER", saved.parent)
    assert checkpoints.released() == ["tiny"]
    assert Checkpoint.load("tiny").name == "tiny"


def test_unknown_names_list_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="neither a checkpoint file nor a released name"):
        Checkpoint.load("no-such-model")
    with pytest.raises(CheckpointError, match="neither"):
        Checkpoint.load("../../etc/passwd-not-there")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_refused_or_whole(saved: Path, data: st.DataObject) -> None:
    good = saved.read_bytes()
    at = data.draw(st.integers(0, min(len(good) - 1, 2000)))
    damaged = saved.with_name("damaged.safetensors")
    if data.draw(st.booleans()):
        damaged.write_bytes(good[:at])
    else:
        damaged.write_bytes(good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :])
    try:
        Checkpoint.load(damaged)
    except CheckpointError as error:
        assert "damaged.safetensors" in str(error) and "\n" not in str(error)


def test_any_damage_is_noticed(saved: Path) -> None:
    """In weights, too, which safetensors itself does not guard: of any value, and of any figure in the header."""
    good = saved.read_bytes()
    for at in [*range(8, 1200, 37), *range(1200, len(good), 997)]:
        saved.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        try:
            Checkpoint.load(saved)
        except CheckpointError as error:
            assert str(saved) in str(error) and "\n" not in str(error)
        else:
            assert good[at - 40 : at + 40].count(b"sha256") == 1, f"byte {at} changed in silence"


@pytest.mark.parametrize(
    "config", [{"channels": 4000}, {"layers": 10**7}, {"channels": -3}, {"channels": "8"}, {"no": 1}]
)
def test_a_header_asks_for_no_memory(config: dict[str, object], tmp_path: Path) -> None:
    import resource

    file = tmp_path / "absurd.safetensors"
    save_file({"weight": torch.zeros(1)}, file, metadata=header(generator={"name": "pocket", "config": config}))
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match="do not fit"):
        Checkpoint.load(file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 100_000


def header(**changes: object) -> dict[str, str]:
    base = {"schema_version": 1, "name": "x", "generator": {"name": "ppcn_student", "config": {}}, "licence": "",
            "scores": {}, "provenance": {}}  # fmt: skip
    return {"json": json.dumps({**base, **changes})}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "not a checkpoint of this project"),
        ({"json": "{"}, "not a checkpoint of this project"),
        ({"json": "[]"}, "not a checkpoint of this project"),
        (header(schema_version=2), "schema 2 is not 1"),
        (header(generator={"name": "evil", "config": {}}), "do not fit"),
        (header(generator={"name": "pocket", "config": {"channels": 10**9}}), "do not fit"),
        (header(generator=[]), "do not fit"),
        (header(generator={"name": "dped", "config": {}}), "do not fit"),
    ],
)
def test_wrong_headers_are_refused(metadata: dict[str, str] | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.safetensors"
    save_file(generators.build("ppcn_student").state_dict(), file, metadata=metadata)
    with pytest.raises(CheckpointError, match=message):
        Checkpoint.load(file)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    generator = generators.build("ppcn_student")
    next(generator.parameters()).data.view(-1)[0] = float("nan")
    made = Checkpoint(generator, "").save(tmp_path / "nan.safetensors")
    with pytest.raises(CheckpointError, match="not finite"):
        Checkpoint.load(made)


def test_a_full_disk_keeps_the_old_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save", full)
    with pytest.raises(CheckpointError, match=r"tiny\.safetensors: could not be written .*No space left"):
        Checkpoint(generators.build("ppcn_student"), "").save(saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["tiny.safetensors"]


def test_equal_checkpoints_are_equal_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.safetensors" for number in range(8)]
    for path in paths:
        checkpoints.save_tensors(path, {"b": torch.ones(2, 3), "a": torch.zeros(1)}, {"name": "ä", "x": 0.1})
    assert len({path.read_bytes() for path in paths}) == 1
