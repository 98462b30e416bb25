"""The shared path without any toolchain: `lower` is made up, the engine is the float generator, or a broken one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from conversion import convert as path
from conversion import sensitivity as search
from conversion.artifact import CHECKSUM, MANIFEST, Artifact, ArtifactError, Delegation, EntryPoint, Precision, Target
from conversion.calibration import Photos, calibrate, find_photos
from conversion.converter import Converter, Form, make_parser
from conversion.export import ConversionError, Lowered, Source, require_one_delegate, toolchain
from conversion.golden import golden_psnr
from conversion.runtimes import Array, ArtifactEngine, Tensor, from_layout, to_layout
from conversion.sensitivity import sensitivity
from training.checkpoint import Checkpoint
from training.commandline import run
from training.enhancer import TorchEngine, to_planes

TILE_PX = "48"
FLOAT = Form("fp32", "litert")


class Imitation(ArtifactEngine):
    """What a runtime would be for a faithful artifact: the float generator in the artifact's own layout."""

    def __init__(self, source: Source, entry_points: Sequence[EntryPoint], form: Form = FLOAT):
        super().__init__(entry_points)
        self.source, self.form = source, form

    def run(self, entry_point: EntryPoint, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        module = self.source.analyze if entry_point.name == "analyze" else self.source.enhance
        given = [from_layout(a, spec) for a, spec in zip(inputs, entry_point.inputs, strict=True)]
        with torch.inference_mode():
            made = module(*map(torch.from_numpy, given))
        return [to_layout(t.numpy(), spec) for t, spec in zip(made, entry_point.outputs, strict=True)]


class Black(Imitation):
    """The silent fault of a converter: everything runs, and the picture is black."""

    def run(self, entry_point: EntryPoint, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        outputs = super().run(entry_point, inputs)
        return [np.zeros_like(a) for a in outputs] if entry_point.name == "enhance" else outputs


class Quantized(Imitation):
    """Loses 9.5 dB less for each layer that stays float, from 34 dB on."""

    def run(self, entry_point: EntryPoint, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        outputs = super().run(entry_point, inputs)
        error = 0.04 / 3 ** len(self.form.float_layers)
        return [a * np.float32(1 - error) for a in outputs] if entry_point.name == "enhance" else outputs


@pytest.fixture
def converting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """(engine type, flags) -> exit code of a converter to NHWC whose files are not models."""

    def convert(engine: type[Imitation], *flags: str) -> int:
        lowerings: list[tuple[Source, Form]] = []

        def lower(source: Source, form: Form, folder: Path) -> Lowered:
            lowerings.append((source, form))
            (folder / "model.tflite").write_bytes(b"not a model")
            print("a toolchain's chatter")
            points = source.entry_points("NHWC", form.io, ("model.tflite", "analyze"), ("model.tflite", "enhance"))
            quantization = None if form.precision == "fp32" else source.quantization(form, "int8", "float", "float")
            return Lowered(points, {"analyze": None, "enhance": Delegation(1, 2, 2)}, ["numpy"], quantization)

        def open_artifact(artifact: Artifact) -> ArtifactEngine:
            source, form = lowerings[-1]
            return engine(source, artifact.verify().manifest.entry_points, form)

        def open_engine(kind: str, folder: Path, points: Sequence[EntryPoint]) -> ArtifactEngine:
            source, form = lowerings[-1]
            return engine(source, points, form)

        monkeypatch.setattr(path, "open_engine", open_engine)
        monkeypatch.setattr(path, "open_artifact", open_artifact)
        flags = ("--tile", TILE_PX, "--out", str(tmp_path / "out"), *flags)
        precisions: tuple[Precision, ...] = ("fp32", "w8", "w8a8")
        targets: tuple[Target, ...] = ("litert", "vulkan")
        monkeypatch.setattr(Converter, "lower", lambda self, *given: lower(*given))
        converter = Converter("tflite", "none", precisions, targets, ("float", "uint8"), runs_here=("litert",))
        return run(make_parser("test", converter), lambda args: path.convert(args, converter), flags)

    return convert


@pytest.fixture
def checkpoint_flags(make_checkpoint: Callable[..., Checkpoint], tmp_path: Path, photo: Array) -> list[str]:
    make_checkpoint("pocket")
    (tmp_path / "photos").mkdir()
    for name in ("one", "two"):  # the first judges, the second calibrates
        Image.fromarray((photo * 255).astype(np.uint8)).save(tmp_path / "photos" / f"{name}.png")
    return ["--checkpoint", str(tmp_path / "pocket.safetensors"), "--photos", str(tmp_path / "photos")]


def left_in(folder: Path) -> list[str]:
    """Without what toolchains printed, which lies beside artifacts."""
    return sorted(p.name for p in folder.iterdir() if p.suffix != ".log") if folder.exists() else []


def test_faithful_lowering_becomes_a_whole_artifact(
    converting: Callable[..., int], checkpoint_flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert converting(Imitation, *checkpoint_flags) == 0
    folder = tmp_path / "out" / "pocket-tflite-fp32"
    printed = capsys.readouterr()
    assert printed.out == f"{folder}\n"
    assert len(printed.err.splitlines()) < 6 and "chatter" not in printed.err
    assert not folder.with_name(f".{folder.name}.log").exists(), "all went well"
    assert left_in(tmp_path / "out") == [folder.name]
    artifact = Artifact.load(folder).verify()
    manifest = artifact.manifest
    listed = {file.path for file in manifest.files}
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert present == listed | {MANIFEST, CHECKSUM}
    assert {"model.tflite", "MODEL_CARD.md", "golden/tile.png", "golden/output.f32"} <= listed
    assert manifest.fidelity.photos == 1 and manifest.fidelity.psnr_worst_db == 120
    assert manifest.source.sha256 == Checkpoint.load(checkpoint_flags[1]).sha256
    card = (folder / "MODEL_CARD.md").read_text()
    assert "Apache-2.0" in card and "120.0" in card and "| enhance | in | tile | 1 x 48 x 48 x 3 | NHWC |" in card


def test_golden_is_what_the_float_generator_makes(
    converting: Callable[..., int], checkpoint_flags: list[str], tmp_path: Path
) -> None:
    assert converting(Imitation, *checkpoint_flags) == 0
    artifact = Artifact.load(tmp_path / "out" / "pocket-tflite-fp32")
    source = Source(Checkpoint.load(checkpoint_flags[1]), int(TILE_PX))
    picture = np.asarray(Image.open(artifact.folder / "golden" / "tile.png"))
    raw = np.fromfile(artifact.folder / "golden" / "tile.f32", "<f4").reshape(1, 48, 48, 3)
    np.testing.assert_array_equal(raw[0], picture.astype(np.float32) / np.float32(255))
    thumbnail = np.asarray(Image.open(artifact.folder / "golden" / "thumbnail.png"))
    engine = TorchEngine(source.generator)
    condition = engine.analyze(to_planes(thumbnail) / np.float32(255))
    expected = engine.enhance(raw.transpose(0, 3, 1, 2).copy(), condition).clip(0, 1)
    output = np.fromfile(artifact.folder / "golden" / "output.f32", "<f4").reshape(1, 48, 48, 3)
    np.testing.assert_allclose(output.transpose(0, 3, 1, 2), expected, atol=1e-6)
    assert golden_psnr(Imitation(source, artifact.manifest.entry_points), artifact) == 120
    assert golden_psnr(Black(source, artifact.manifest.entry_points), artifact) < 20


def test_black_picture_is_refused_and_leaves_nothing(
    converting: Callable[..., int], checkpoint_flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert converting(Black, *checkpoint_flags) == 1
    assert left_in(tmp_path / "out") == []
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "below its fidelity floor" in printed.err.splitlines()[-1]


def test_failure_keeps_the_artifact_of_before_and_success_replaces_it(
    converting: Callable[..., int], checkpoint_flags: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "out" / "pocket-tflite-fp32"
    assert converting(Imitation, *checkpoint_flags) == 0
    before = (folder / MANIFEST).read_bytes()
    assert converting(Black, *checkpoint_flags) == 1
    assert (folder / MANIFEST).read_bytes() == before
    assert converting(Imitation, *checkpoint_flags, "--tile", "64") == 0
    assert Artifact.load(folder).verify().manifest.tiling.tile_px == 64
    assert left_in(tmp_path / "out") == [folder.name]


def test_a_folder_that_is_no_artifact_is_not_replaced(
    converting: Callable[..., int], checkpoint_flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    precious = tmp_path / "out" / "pocket-tflite-fp32" / "precious.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("mine")
    assert converting(Imitation, *checkpoint_flags) == 1
    assert "is not an artifact" in capsys.readouterr().err
    assert precious.read_text() == "mine"


def test_a_toolchain_that_fails_is_a_sentence_that_names_its_log(
    converting: Callable[..., int], checkpoint_flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Crashing(Imitation):
        def __init__(self, *given: Any):
            raise RuntimeError("an operator is missing\nand a page of stack")

    assert converting(Crashing, *checkpoint_flags) == 1
    log = tmp_path / "out" / ".pocket-tflite-fp32.log"
    sentence = f"pocket-tflite-fp32: RuntimeError: an operator is missing; {log} has what the toolchain printed"
    assert capsys.readouterr().err.splitlines()[-1].endswith(sentence)
    assert "a page of stack" in log.read_text() and "Traceback" in log.read_text()
    assert left_in(tmp_path / "out") == []


def test_bad_flags_are_sentences(
    converting: Callable[..., int], checkpoint_flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def sentence(*flags: str) -> str:
        assert converting(Imitation, *checkpoint_flags, *flags) == 1
        return capsys.readouterr().err.splitlines()[-1]

    assert "all halo" in sentence("--tile", "16")
    assert "multiples of 4" in sentence("--tile", "50")
    for side in ("-4", "5000"):
        with pytest.raises(SystemExit):
            converting(Imitation, "--tile", side)
        assert "not a whole number from 1 to 4096" in capsys.readouterr().err
    assert "no such folder" in sentence("--photos", str(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    assert "no photo" in sentence("--photos", str(tmp_path / "empty"))
    assert "nowhere" in sentence("--checkpoint", str(tmp_path / "nowhere"))
    assert left_in(tmp_path / "out") == []


def test_broken_photo_is_named_and_passed_over(
    converting: Callable[..., int], checkpoint_flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    assert converting(Imitation, *checkpoint_flags) == 0
    assert "broken.jpg" in capsys.readouterr().err


def test_photos_below_a_tile_are_left_out_where_tiles_shift_inside(
    converting: Callable[..., int],
    make_checkpoint: Callable[..., Checkpoint],
    checkpoint_flags: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_checkpoint("dped")
    flags = ["--checkpoint", str(tmp_path / "dped.safetensors"), *checkpoint_flags[2:]]
    Image.new("RGB", (47, 200)).save(tmp_path / "photos" / "narrow.png")
    Image.new("RGB", (200, 200)).save(tmp_path / "photos" / "other.png")  # judges, like the first
    assert converting(Imitation, *flags) == 0
    assert "1 photos are below one tile" in capsys.readouterr().err
    assert converting(Imitation, *flags, "--tile", "256") == 1
    assert "smaller --tile" in capsys.readouterr().err.splitlines()[-1]


def test_names_of_checkpoints_become_names_of_folders(
    converting: Callable[..., int], checkpoint_flags: list[str], tmp_path: Path
) -> None:
    checkpoint = Checkpoint.load(checkpoint_flags[1])
    checkpoint.name = "../my photos/äö 1"
    checkpoint.save(Path(checkpoint_flags[1]))
    assert converting(Imitation, *checkpoint_flags) == 0
    (made,) = left_in(tmp_path / "out")
    assert made == "my-photos-1-tflite-fp32"
    assert json.loads((tmp_path / "out" / made / MANIFEST).read_text())["source"]["name"] == "../my photos/äö 1"


def test_absent_toolchain_names_its_extra() -> None:
    sentence = r"no_such_toolchain: not installed; pip install -e \.\[coreml\]"
    with pytest.raises(ConversionError, match=sentence), toolchain("coreml"):
        import no_such_toolchain  # noqa: F401


@pytest.mark.parametrize("delegation", [Delegation(2, 10, 10), Delegation(1, 9, 10), Delegation(0, 0, 10)])
def test_enhance_must_go_in_one_piece(delegation: Delegation) -> None:
    require_one_delegate(Delegation(1, 10, 10))
    with pytest.raises(ConversionError, match="of 10 operators"):
        require_one_delegate(delegation)


def test_wrong_shapes_never_reach_a_runtime(make_checkpoint: Callable[..., Checkpoint]) -> None:
    source = Source(make_checkpoint("pocket"), 48)
    engine = Imitation(source, source.entry_points("NHWC", "float", ("m", "analyze"), ("m", "enhance")))
    condition = engine.analyze(source.thumbnail.numpy())
    with pytest.raises(ValueError, match="tile must be"):
        engine.enhance(np.zeros((1, 3, 48, 52), np.float32), condition)
    with pytest.raises(ValueError, match="modulation must be"):
        engine.enhance(source.tile.numpy(), (condition[0][:, 1:], *condition[1:]))


def test_existing_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(ArtifactError, match="is not an artifact"), path.replacing_folder(tmp_path / "a"):
        pass


def test_a_missed_floor_names_the_layers_it_is_due_to(
    converting: Callable[..., int], checkpoint_flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert converting(Quantized, *checkpoint_flags, "--precision", "w8") == 1
    said = capsys.readouterr().err.splitlines()
    assert "below its fidelity floor" in said[-1] and "floor 48" in said[-1] and "colour shift" in said[-1]
    assert all(f"{layer} " in said[-2] for layer in Source(Checkpoint.load(checkpoint_flags[1]), int(TILE_PX)).layers)
    assert left_in(tmp_path / "out") == []


def test_the_search_keeps_the_most_sensitive_layers_float_until_it_suffices(
    converting: Callable[..., int], checkpoint_flags: list[str], tmp_path: Path
) -> None:
    assert converting(Quantized, *checkpoint_flags, "--precision", "w8", "--min-psnr", "48") == 0
    manifest = Artifact.load(tmp_path / "out" / "pocket-tflite-w8").verify().manifest
    assert manifest.quantization is not None and manifest.fidelity is not None
    source = Source(Checkpoint.load(checkpoint_flags[1]), int(TILE_PX))
    samples = calibrate(find_photos(tmp_path / "photos").calibration, source.generator, source.tile_px).samples
    worst = list(sensitivity(source, "w8", samples[: search.SENSITIVITY_TILES]))[:3]
    assert sorted(manifest.quantization.float_layers) == sorted(worst)
    assert manifest.fidelity.below_floor is None and manifest.fidelity.psnr_mean_db >= 48
    assert converting(Quantized, *checkpoint_flags, "--precision", "w8", "--min-psnr", "110") == 1


@pytest.mark.parametrize("needed", [{"up"}, {"down", "body.0"}, {"down", "body.0", "body.1", "up"}, {"none"}])
def test_layers_that_did_not_help_are_quantized_again(
    needed: set[str], checkpoint_flags: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source(Checkpoint.load(checkpoint_flags[1]), int(TILE_PX))
    order = ["down", "body.1", "body.0", "up"]
    monkeypatch.setattr(search, "_sensitivity", lambda *_: dict.fromkeys(order, 30.0))
    tried: list[set[str]] = []

    def holds(form: Form) -> bool:
        tried.append(set(form.float_layers))
        return needed <= tried[-1]

    wanted = replace(FLOAT, precision="w8a8")
    search.keep_fewest_in_float(wanted, source, Photos(list, list), holds)
    assert tried[-1] == (set() if needed == {"none"} else needed)


def test_below_the_floor_by_permission_is_said_in_the_manifest(
    converting: Callable[..., int], checkpoint_flags: list[str], tmp_path: Path
) -> None:
    assert converting(Quantized, *checkpoint_flags, "--precision", "w8a8", "--allow-below-floor") == 0
    folder = tmp_path / "out" / "pocket-tflite-w8a8"
    manifest = Artifact.load(folder).verify().manifest
    assert manifest.fidelity is not None and "mean PSNR" in (manifest.fidelity.below_floor or "")
    assert manifest.quantization is not None and manifest.quantization.calibration_photos == 1
    assert "Below its floor" in (folder / "MODEL_CARD.md").read_text()


def test_eight_bits_in_and_out_are_held_to_their_own_floor(
    converting: Callable[..., int], checkpoint_flags: list[str], tmp_path: Path
) -> None:
    assert converting(Imitation, *checkpoint_flags, "--io", "uint8") == 0
    manifest = Artifact.load(tmp_path / "out" / "pocket-tflite-fp32-uint8").verify().manifest
    assert manifest.io == "uint8" and manifest.golden.tolerance_psnr_db == 50
    tile = manifest.entry_point("enhance").inputs[0]
    assert (tile.dtype, tile.range) == ("uint8", (0.0, 255.0))
    assert manifest.fidelity is not None and 55 < manifest.fidelity.psnr_worst_db < 65


def test_what_nothing_here_runs_is_not_judged(
    converting: Callable[..., int], checkpoint_flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert converting(Black, *checkpoint_flags, "--target", "vulkan") == 0
    folder = tmp_path / "out" / "pocket-tflite-fp32-vulkan"
    assert Artifact.load(folder).verify().manifest.fidelity is None
    assert "its fidelity is not measured" in capsys.readouterr().err
    assert "Not measured" in (folder / "MODEL_CARD.md").read_text()
