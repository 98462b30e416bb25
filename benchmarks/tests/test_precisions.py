"""precisions.py: who is timed and who not, turns in processes, ratios, the table, and tiny networks from end to end."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.studies.peers import entries, precisions
from benchmarks.studies.peers.entries import Scene, artifact_entry, export_onnx, float_entries
from benchmarks.studies.peers.rounds import Candidate, CandidateError, Timed, take_turns
from benchmarks.studies.peers.tile_process import round_of
from conversion import to_executorch, to_tflite
from conversion.artifact import Artifact
from training.checkpoint import Checkpoint
from training.commandline import UserError
from training.generators.dped import Dped, DpedConfig
from training.generators.pocket import Pocket, PocketConfig


@pytest.fixture(scope="module")
def cheap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("cheap") / "cheap.safetensors"
    pocket = Pocket(PocketConfig(channels=4, layers=1, thumbnail_px=32, analyser_channels=2))
    Checkpoint(pocket, "CC0-1.0", name="cheap").save(path)
    return path


@pytest.fixture(scope="module")
def dear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("dear") / "dear.safetensors"
    Checkpoint(Dped(DpedConfig(channels=8, blocks=1, thumbnail_px=32)), "CC0-1.0", name="dear").save(path)
    return path


@pytest.fixture
def tiny_scene(tiny_checkpoint: Checkpoint, tmp_path: Path) -> Scene:
    """Of the checkpoint that the hollow artifact was made from."""
    return Scene(str(tiny_checkpoint.save(tmp_path / "tiny.safetensors")))


MakeRow = Callable[..., dict[str, Any]]


@pytest.fixture
def make_row() -> MakeRow:
    def make(group: str, runtime: str, precision: str, ms: float, cpu_ms: float, tile_px: int = 256) -> dict[str, Any]:
        timed = {"tile_ms": ms, "ms_per_megapixel": ms, "cpu_ms_per_megapixel": cpu_ms}
        return {"group": group, "name": f"{runtime}-{precision}-{tile_px}", "runtime": runtime,
                "precision": precision, "tile_px": tile_px, "why_not": None, **timed}  # fmt: skip

    return make


def test_an_artifact_gets_its_inputs_in_its_own_form(hollow_artifact: Artifact, tiny_scene: Scene) -> None:
    entry = artifact_entry("artifact", hollow_artifact, tiny_scene)
    assert entry.candidate and entry.why_not is None
    specs = hollow_artifact.manifest.entry_point("enhance").inputs
    assert [array.shape for array in entry.candidate.inputs] == [spec.shape for spec in specs]
    halo = tiny_scene.generator.tiling.halo
    assert entry.useful_megapixels == (64 - 2 * halo) ** 2 / 1e6
    assert entry.reference.shape == (1, 3, 64, 64) and 0 <= entry.reference.min() < entry.reference.max() <= 1


@pytest.mark.parametrize(
    ("kind", "target", "said"),
    [
        ("coreml", "ios17", "no Core ML"),
        ("executorch", "vulkan", "runs vulkan"),
        ("executorch", "coreml", "runs coreml"),
    ],
)
def test_what_cannot_run_here_says_so(
    hollow_artifact: Artifact, tiny_scene: Scene, kind: Any, target: Any, said: str
) -> None:
    other = replace(hollow_artifact, manifest=replace(hollow_artifact.manifest, format=kind, target=target))
    entry = artifact_entry("artifact", other, tiny_scene)
    assert entry.candidate is None and entry.why_not and said in entry.why_not
    row = precisions.describe(entry, None)
    assert row["why_not"] == entry.why_not and "tile_ms" not in row
    text = precisions.markdown(facts_of([row]))
    assert said in text.splitlines()[2]


def test_an_artifact_of_another_checkpoint_is_refused(hollow_artifact: Artifact, cheap: Path) -> None:
    with pytest.raises(UserError, match="was made from tiny, sha256"):
        artifact_entry("artifact", hollow_artifact, Scene(str(cheap)))


def test_a_tile_larger_than_the_photo_repeats_it(tiny_scene: Scene) -> None:
    height, width = tiny_scene.photo.shape[:2]
    tile = tiny_scene.tile(max(height, width) + 40)
    assert tile.shape == (max(height, width) + 40, max(height, width) + 40, 3)
    assert np.array_equal(tile[height:, width:], tiny_scene.photo[: tile.shape[0] - height, : tile.shape[1] - width])


def test_absent_onnxruntime_is_a_row_that_says_what_to_install(
    tiny_scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "ONNX", ("onnx_that_is_nowhere",))
    eager, compiled, onnx = float_entries(64, tiny_scene, tmp_path)
    assert eager.candidate and not eager.candidate.may_fail
    assert compiled.candidate and compiled.candidate.may_fail
    assert onnx.candidate is None and onnx.why_not and "not installed: onnx_that_is_nowhere" in onnx.why_not


def test_a_round_lasts_as_long_as_asked() -> None:
    calls: list[int] = []
    facts = round_of(lambda: calls.append(1), 0.02)
    assert facts["calls"] == len(calls) > 1 and facts["calls"] * facts["wall_s"] >= 0.02
    assert round_of(lambda: calls.append(1), 0.0)["calls"] == 1 and facts["peak_mb"] > 10


def test_turns(hollow_artifact: Artifact, tiny_scene: Scene, tmp_path: Path) -> None:
    """Eager torch runs and agrees with the reference; what no runtime accepts says why."""
    eager = Candidate("the float one", "eager", tiny_scene.path, tiny_scene.inputs(64))
    broken = artifact_entry("artifact", hollow_artifact, tiny_scene).candidate
    assert broken
    timed, why = take_turns([eager, replace(broken, may_fail=True)], 1, 3, 0.01, tmp_path / "turns")
    assert isinstance(timed, Timed) and isinstance(why, str)
    assert "hollow-tflite-fp32: its process failed: " in why and "model.tflite" in why
    assert np.array_equal(timed.output, tiny_scene.reference(64))
    assert 0 < timed.tile_ms < 1000 and 0 < timed.tile_cpu_ms < 1000 and timed.calls >= 3
    assert 50 < timed.baseline_mb <= timed.peak_mb < 1500
    with pytest.raises(CandidateError, match="hollow-tflite-fp32"):
        take_turns([broken], 1, 1, 0.01, tmp_path / "again")


def test_ratios_are_of_one_runtime_and_the_faster_tiles(make_row: MakeRow) -> None:
    rows = [
        make_row("artifact", "litert", "fp32", 30, 60),
        make_row("artifact", "litert", "dyn8", 20, 30),
        make_row("artifact", "litert", "dyn8", 16, 40, 512),
        make_row("artifact", "litert", "w8", 10, 20),  # computes in float: not the best int8, however fast
        make_row("artifact", "executorch", "w8a8", 25, 50),
        make_row("float", "eager", "fp32", 100, 200),
        make_row("float", "eager", "fp32", 80, 160, 512),
        make_row("peer", "litert", "fp32", 5000, 9000),
        make_row("peer", "litert", "fp32", 4000, 8000, 320),
        {"group": "artifact", "name": "c", "runtime": "coreml", "precision": "fp16", "tile_px": 256, "why_not": "no"},
    ]
    best = precisions.add_ratios(rows)
    assert list(best) == ["litert"]  # ExecuTorch has no peer
    assert best["litert"] == {"artifact": "litert-dyn8-512", "precision": "dyn8", "tile_px": 512, "ratio": 250.0,
                              "peer": "litert-fp32-320", "peer_tile_px": 320, "cpu_ratio": 200.0}  # fmt: skip
    assert [row.get("ratio_to_peer") for row in rows[:5]] == [4000 / 30, 200.0, 250.0, 400.0, None]
    assert [row.get("ratio_to_eager") for row in rows] == [
        100 / 30, 5.0, 5.0, 10.0, 4.0, 1.0, 1.0, None, None, None,
    ]  # fmt: skip
    assert (precisions.outcome(250.0), precisions.outcome(149.9), precisions.outcome(None)) == (
        "pass", "fail", "not measured",
    )  # fmt: skip


def facts_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "date": "2026-01-02T03:04:05Z",
        "machine": {"cpu": "a | CPU", "cores_available": 2},
        "tools": {"python": "3"},
        "protocol": {"threads": 2, "rounds": 3, "round_s": 0.1},
        "rows": rows,
        "best_int8": {},
        "bars": {"a bar": "not measured"},
    }


def test_time_is_per_useful_pixel(hollow_artifact: Artifact, tiny_scene: Scene) -> None:
    entry = artifact_entry("artifact", hollow_artifact, tiny_scene)
    output = entry.reference.copy()
    row = precisions.describe(entry, Timed(2.0, 3.0, 0.1, 9, 100.0, 50.0, output))
    assert row["ms_per_megapixel"] == pytest.approx(2 / entry.useful_megapixels)
    assert row["cpu_ms_per_megapixel"] == pytest.approx(3 / entry.useful_megapixels)
    assert row["psnr_to_eager_db"] == 120
    worse = precisions.describe(entry, Timed(2.0, 3.0, 0.1, 9, 100.0, 50.0, (output + 0.1).astype(np.float32)))
    assert worse["psnr_to_eager_db"] == pytest.approx(20, abs=0.01)
    text = precisions.markdown(facts_of([row]))
    assert f"| {row['ms_per_megapixel']:.1f} |" in text and r"a \| CPU" in text


def test_nothing_to_time_is_one_sentence(
    hollow_artifact: Artifact, tiny_scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replace(hollow_artifact.manifest, format="executorch", target="vulkan").save(hollow_artifact.folder)
    flags = ["--checkpoint", str(tiny_scene.path), "--out", str(tmp_path / "out")]
    assert precisions.main([str(hollow_artifact.folder), *flags]) == 1
    assert "none of these artifacts can be timed here" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.slow
def test_onnxruntime_agrees(tiny_scene: Scene, tmp_path: Path) -> None:
    for package in entries.ONNX:
        pytest.importorskip(package)
    inputs = tiny_scene.inputs(64)
    assert export_onnx(tiny_scene, inputs, tmp_path / "model.onnx") is None
    candidate = Candidate("onnx", "onnxruntime", tmp_path / "model.onnx", inputs)
    (timed,) = take_turns([candidate], 1, 1, 0.01, tmp_path / "turns")
    assert isinstance(timed, Timed)
    assert np.abs(timed.output - tiny_scene.reference(64)).max() < 1e-4


@pytest.mark.slow
def test_executorch_takes_turns(cheap: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("executorch")
    flags = ["--checkpoint", str(cheap), "--tile", "64", "--precision", "fp32", "--out", str(tmp_path / "made")]
    assert to_executorch.main(flags) == 0
    entry = artifact_entry("artifact", Artifact.load(Path(capsys.readouterr().out.splitlines()[-1])), Scene(str(cheap)))
    assert entry.candidate
    (timed,) = take_turns([entry.candidate], 1, 2, 0.01, tmp_path / "turns")
    row = precisions.describe(entry, timed)
    assert row["runtime"] == "executorch" and row["psnr_to_eager_db"] > 85 and row["peak_mb"] > row["baseline_mb"]


@pytest.mark.slow
def test_tiny_networks_from_end_to_end(
    cheap: Path, dear: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("litert_torch")
    flags = ["--checkpoint", str(cheap), "--tile", "64", "--precision", "fp32", "--out", str(tmp_path / "made")]
    assert to_tflite.main(flags) == 0
    folder, out = capsys.readouterr().out.splitlines()[-1], tmp_path / "out"
    flags = ["--checkpoint", str(cheap), "--peer", str(dear), "--peer-tiles", "64", "--threads", "1"]
    assert precisions.main([folder, *flags, "--rounds", "3", "--round-s", "0.02", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == str(out / "precisions.json")
    assert said.startswith((out / "precisions.md").read_text())
    facts = json.loads((out / "precisions.json").read_text())
    rows = {(row["group"], row["runtime"]): row for row in facts["rows"]}
    assert set(rows) == {("artifact", "litert"), ("float", "eager"), ("float", "torch.compile"),
                         ("float", "onnxruntime"), ("peer", "litert")}  # fmt: skip
    for (_, runtime), row in rows.items():
        if row["why_not"]:
            assert runtime in ("torch.compile", "onnxruntime")
            continue
        assert row["ms_per_megapixel"] > 0 and row["cpu_ms_per_megapixel"] > 0 and row["calls"] >= 3
        assert row["psnr_to_eager_db"] > 85, "all of them run the same network"
        assert 10 < row["baseline_mb"] < row["peak_mb"] < 2000
        assert f"| {row['ms_per_megapixel']:.1f} |" in said
    mine, eager, peer = rows["artifact", "litert"], rows["float", "eager"], rows["peer", "litert"]
    # LiteRT needs no torch, so its process must not have loaded any.
    assert mine["peak_mb"] < eager["baseline_mb"] / 2
    assert mine["ratio_to_peer"] == pytest.approx(peer["ms_per_megapixel"] / mine["ms_per_megapixel"])
    assert facts["best_int8"] == {} and list(facts["bars"].values()) == ["not measured"]
    assert ("onnxruntime" in facts["tools"]) == (importlib.util.find_spec("onnxruntime") is not None)
