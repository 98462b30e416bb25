"""The manifest is the door through which other people's files come in: what is wrong must not pass it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversion.artifact import CHECKSUM, MANIFEST, Artifact, ArtifactError, Manifest
from conversion.runtimes import open_artifact

CONTRACT = Path(__file__).parent.parent / "contract"
SCHEMA = json.loads((CONTRACT / "manifest.schema.json").read_text())
EXAMPLE = (CONTRACT / "manifest.example.json").read_text()


def follows_schema(record: Any) -> bool:
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(record)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_example_is_read_and_written_as_it_is() -> None:
    assert follows_schema(json.loads(EXAMPLE))
    assert Manifest.parse(EXAMPLE).to_json() == EXAMPLE


def test_made_artifact_loads_and_verifies(made_artifact: Artifact) -> None:
    loaded = Artifact.load(made_artifact.folder).verify()
    assert loaded.manifest == made_artifact.manifest
    assert follows_schema(json.loads((made_artifact.folder / MANIFEST).read_text()))


def _set(*path: Any, to: Any) -> Callable[[Any], None]:
    def change(record: Any) -> None:
        for key in path[:-1]:
            record = record[key]
        record[path[-1]] = to

    return change


def _drop(*path: Any) -> Callable[[Any], None]:
    def change(record: Any) -> None:
        for key in path[:-1]:
            record = record[key]
        del record[path[-1]]

    return change


# What is wrong, and a word of the sentence that must name it.
HOSTILE = {
    "parent folder": (_set("files", 0, "path", to="../secret"), "path"),
    "parent folder inside": (_set("files", 0, "path", to="golden/../../secret"), "path"),
    "absolute": (_set("files", 0, "path", to="/etc/passwd"), "path"),
    "drive": (_set("files", 0, "path", to="C:secret"), "path"),
    "backslash": (_set("files", 0, "path", to="..\\secret"), "path"),
    "empty path": (_set("files", 0, "path", to=""), "path"),
    "the folder itself": (_set("files", 0, "path", to="."), "path"),
    "line break": (_set("files", 0, "path", to="a\nb"), "path"),
    "entry point outside": (_set("entry_points", 0, "file", to="../model.pte"), "model.pte"),
    "golden outside": (_set("golden", "tile", to="../tile.f32"), "tile.f32"),
    "missing field": (_drop("licence"), "lacks licence"),
    "missing inner field": (_drop("tiling", "halo_px"), "lacks halo_px"),
    "unknown field": (_set("extra", to=1), "extra"),
    "next version": (_set("schema_version", to=2), "schema version 2"),
    "no version": (_drop("schema_version"), "schema version None"),
    "version is text": (_set("schema_version", to="1"), "schema version"),
    "version is true": (_set("schema_version", to=True), "schema version"),
    "unknown format": (_set("format", to="onnx"), "format"),
    "unhashable format": (_set("format", to=["tflite"]), "format"),
    "not a checksum": (_set("files", 0, "sha256", to="f00"), "sha256"),
    "negative size": (_set("files", 0, "bytes", to=-1), "absurd"),
    "absurd shape": (_set("entry_points", 1, "outputs", 0, "shape", to=[1, 3, 2**20, 2**20]), "absurd"),
    "no pixels": (_set("entry_points", 1, "inputs", 0, "shape", to=[1, 3, 0, 256]), "absurd"),
    "shape of another rank": (_set("entry_points", 1, "inputs", 0, "shape", to=[3, 256, 256]), "does not fit"),
    "shape is text": (_set("entry_points", 1, "inputs", 0, "shape", to="1x3"), "shape"),
    "shape in halves": (_set("entry_points", 1, "inputs", 0, "shape", to=[1, 3, 2.5, 256]), "shape"),
    "tile that the graph does not take": (_set("tiling", "tile_px", to=128), "enhance"),
    "thumbnail that the graph does not take": (_set("thumbnail_px", to=32), "thumbnail"),
    "absurd tile": (_set("tiling", "tile_px", to=10**9), "absurd"),
    "all halo": (_set("tiling", "halo_px", to=128), "absurd"),
    "odd halo": (_set("tiling", "halo_px", to=13), "multiples"),
    "no entry point": (_set("entry_points", to=[]), "entry_points"),
    "enhance only": (lambda r: r["entry_points"].pop(0), "entry_points"),
    "golden without condition": (_set("golden", "condition", to=[]), "condition"),
    "huge": (lambda r: r["fidelity"].update(psnr_mean_db=10**400), "psnr_mean_db"),
    "infinite": (_set("fidelity", "psnr_mean_db", to=float("inf")), "Infinity"),
    "not a number": (_set("fidelity", "psnr_mean_db", to=float("nan")), "NaN"),
    "a list": (lambda r: r, None),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_manifest_is_refused_in_a_sentence(case: str, tmp_path: Path) -> None:
    change, word = HOSTILE[case]
    record = json.loads(EXAMPLE)
    change(record)
    if case == "a list":
        record, word = [record], "schema version"
    (tmp_path / MANIFEST).write_text(json.dumps(record))
    with pytest.raises(ArtifactError) as refused:
        Artifact.load(tmp_path)
    sentence = str(refused.value)
    assert str(tmp_path / MANIFEST) in sentence
    assert word is not None and word in sentence
    assert "\n" not in sentence and len(sentence) < 500


# What needs arithmetic over several fields is beyond a JSON schema, and NaN is not JSON.
BEYOND_SCHEMA = {
    "entry point outside", "golden outside", "absurd shape", "shape of another rank",
    "tile that the graph does not take", "thumbnail that the graph does not take", "all halo", "odd halo",
    "golden without condition", "infinite", "huge", "not a number", "no pixels", "version is true",
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(set(HOSTILE) - BEYOND_SCHEMA - {"a list"}))
def test_schema_refuses_it_too(case: str) -> None:
    record = json.loads(EXAMPLE)
    HOSTILE[case][0](record)
    assert not follows_schema(record)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '"x"', "[" * 100_000, "1e999"])
def test_what_is_not_a_manifest_at_all(text: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(ArtifactError):
        Artifact.load(tmp_path)


def test_binary_absent_and_huge_manifests(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such file"):
        Artifact.load(tmp_path)
    (tmp_path / MANIFEST).write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(ArtifactError, match="UTF-8"):
        Artifact.load(tmp_path)
    (tmp_path / MANIFEST).write_bytes(b" " * 1_000_001)
    with pytest.raises(ArtifactError, match="larger"):
        Artifact.load(tmp_path)


def _paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, inner in items for path in _paths(inner, (*at, key)))]


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(),
    st.lists(st.integers(), max_size=5), st.dictionaries(st.text(), st.text(), max_size=2),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(path=st.sampled_from([path for path in _paths(json.loads(EXAMPLE)) if path]), junk=JUNK)
def test_any_field_replaced_by_junk_is_read_or_refused(path: tuple[Any, ...], junk: Any) -> None:
    """Never another exception than ArtifactError; and what the parser accepts, the schema accepts."""
    record = json.loads(EXAMPLE)
    _set(*path, to=junk)(record)
    try:
        manifest = Manifest.parse(json.dumps(record))
    except ArtifactError:
        return
    assert follows_schema(json.loads(manifest.to_json()))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_flipped_bit_in_any_file_is_refused(made_artifact: Artifact, data: st.DataObject) -> None:
    files = sorted(p for p in made_artifact.folder.rglob("*") if p.is_file())
    for path in files:
        whole = path.read_bytes()
        at = data.draw(st.integers(0, len(whole) - 1), label=path.name)
        bit = data.draw(st.integers(0, 7))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
        try:
            with pytest.raises(ArtifactError):
                open_artifact(made_artifact.folder)
        finally:
            path.write_bytes(whole)
    Artifact.load(made_artifact.folder).verify()


def test_missing_added_and_cut_files_are_refused(made_artifact: Artifact) -> None:
    folder = made_artifact.folder
    weights = folder / "enhance.mlpackage" / "Data" / "weights.bin"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    with pytest.raises(ArtifactError, match=r"enhance\.mlpackage"):
        made_artifact.verify()
    weights.unlink()
    with pytest.raises(ArtifactError, match=r"enhance\.mlpackage"):
        made_artifact.verify()
    weights.write_bytes(whole)
    added = folder / "enhance.mlpackage" / "more.bin"
    added.write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"enhance\.mlpackage"):
        made_artifact.verify()
    added.unlink()
    (folder / CHECKSUM).unlink()
    with pytest.raises(ArtifactError, match=CHECKSUM):
        made_artifact.verify()


def test_links_that_lead_out_are_refused(made_artifact: Artifact, tmp_path: Path) -> None:
    weights = made_artifact.folder / "enhance.mlpackage" / "Data" / "weights.bin"
    outside = weights.rename(tmp_path / "outside.bin")
    weights.symlink_to(outside)
    with pytest.raises(ArtifactError, match="leads out"):
        made_artifact.verify()


def test_absent_runtime_is_a_sentence(made_artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "conversion.runtimes.coreml", None)
    with pytest.raises(ArtifactError, match=r"pip install -e \.\[coreml\]"):
        open_artifact(made_artifact)
