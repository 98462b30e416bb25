"""TFLite: every precision against float, both entry points in one delegate each, and files that say what they are."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conversion.artifact import Precision
from conversion.backends.tflite import CONVERTER
from conversion.backends.tflite import lowering as to_tflite
from conversion.backends.tflite.pocket import PocketAnalyze, PocketEnhance
from conversion.calibration import calibrate
from conversion.converter import Form, Io
from conversion.export import ConversionError, Lowered, Source
from conversion.fidelity import floor_of
from conversion.runtimes import ArtifactEngine, open_engine
from training.checkpoint import Checkpoint
from training.enhancer import Array, TorchEngine, from_planes, thumbnail_planes, to_planes
from training.generators.pocket import Pocket, PocketConfig
from training.quality import metrics
from training.quantization.fake_quantization import put_on_grid
from training.tiling import to_uint8

pytest.importorskip("litert_torch")
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from conversion.backends.tflite import graph as tflite_graph

TILE_PX = 64
INT8, FLOAT32 = schema.TensorType.INT8, schema.TensorType.FLOAT32
ALL: list[tuple[Precision, Io]] = [(precision, io) for precision in CONVERTER.precisions for io in CONVERTER.ios]


@dataclass
class Made:
    source: Source
    lowered: Lowered
    engine: ArtifactEngine
    file: Path

    def psnr_db(self, photo: Array, float_condition: bool) -> float:
        """Of one tile, against the clamped float reference."""
        reference = TorchEngine(self.source.generator)
        tile, thumbnail = images_of(photo, self.source)
        condition = reference.analyze(thumbnail)
        expected = reference.enhance(tile, condition).clip(0, 1)
        made = self.engine.enhance(tile, condition if float_condition else self.engine.analyze(thumbnail))
        return metrics.psnr(from_planes(made), from_planes(expected))

    def kernels(self) -> dict[str, list[int]]:
        """Types of the kernels of all convolutions of each signature, in order."""
        model = tflite_graph.read(self.file.read_bytes())
        return {name: kernel_types(model, name) for name in ("analyze", "enhance")}


def images_of(photo: Array, source: Source) -> tuple[Array, Array]:
    """A tile and the thumbnail, both in steps of 1/255, so that 8 bits hold them."""
    photo = to_uint8(photo).astype(np.float32) / 255
    return to_planes(photo[:TILE_PX, :TILE_PX]), thumbnail_planes(photo, source.generator.thumbnail_px)


def kernel_types(model: Any, signature: str) -> list[int]:
    """What is stored; weights that are converted to float for a float convolution count as what they are stored as."""
    graph = tflite_graph.subgraph(model, signature)
    codes = [model.operatorCodes[operator.opcodeIndex].builtinCode for operator in graph.operators]
    from_ = {
        int(operator.outputs[0]): int(operator.inputs[0])
        for operator, code in zip(graph.operators, codes, strict=True)
        if code == schema.BuiltinOperator.DEQUANTIZE
    }
    kernels = [
        int(operator.inputs[1])
        for operator, code in zip(graph.operators, codes, strict=True)
        if code == schema.BuiltinOperator.CONV_2D
    ]
    return [graph.tensors[from_.get(kernel, kernel)].type for kernel in kernels]


SOURCES: dict[str, Source] = {}  # a conversion to float takes seconds and serves all precisions


@pytest.fixture
def source_of(make_checkpoint: Callable[..., Checkpoint]) -> Callable[[str], Source]:
    def find(name: str) -> Source:
        if name not in SOURCES:
            checkpoint = make_checkpoint(name)
            noise = np.random.default_rng(1).random((4, 12, 12, 3))
            photos = [to_uint8(np.kron(a, np.ones((8, 8, 1)))) for a in noise]
            SOURCES[name] = Source(checkpoint, TILE_PX, calibrate(photos, checkpoint.generator, TILE_PX))
        return SOURCES[name]

    return find


@pytest.fixture
def made(tmp_path: Path, source_of: Callable[[str], Source]) -> Callable[..., Made]:
    def make(name: str, precision: Precision, io: Io = "float", float_layers: tuple[str, ...] = ()) -> Made:
        folder = tmp_path / f"{precision}-{io}-{len(float_layers)}"
        folder.mkdir()
        lowered = to_tflite.lower(source_of(name), Form(precision, "litert", io, float_layers), folder)
        engine = open_engine("tflite", folder, lowered.entry_points, threads=1)
        return Made(source_of(name), lowered, engine, folder / to_tflite.MODEL)

    return make


@pytest.mark.parametrize(
    "config",
    [
        PocketConfig(),
        PocketConfig(channels=8, layers=1, factor=2, thumbnail_px=32, analyser_channels=4, hidden=12),
        PocketConfig(channels=12, layers=3, factor=8, thumbnail_px=48, analyser_channels=2, hidden=20),
    ],
)
def test_pocket_in_channels_last_is_pocket(config: PocketConfig, make_checkpoint: Callable[..., Checkpoint]) -> None:
    generator = make_checkpoint("pocket", vars(config)).generator
    assert isinstance(generator, Pocket)
    thumbnail, tile = torch.rand(1, 3, config.thumbnail_px, config.thumbnail_px), torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        expected = generator.analyze(thumbnail)
        condition = PocketAnalyze(generator)(thumbnail.permute(0, 2, 3, 1))
        for part, wanted in zip(condition, expected, strict=True):
            turned = part.permute(0, 3, 1, 2) if part.ndim == 4 else part
            torch.testing.assert_close(turned, wanted, atol=1e-5, rtol=1e-5)
        (made,) = PocketEnhance(generator)(tile.permute(0, 2, 3, 1), *condition)
        torch.testing.assert_close(made.permute(0, 3, 1, 2), generator.enhance(tile, *expected), atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "io"), ALL)
def test_pocket_agrees_with_float_in_one_delegate_each(
    precision: Precision, io: Io, made: Callable[..., Made], photo: Array
) -> None:
    pocket, floor = made("pocket", precision, io), floor_of("tflite", precision, io)
    assert floor is not None
    assert pocket.psnr_db(photo, float_condition=True) >= floor.mean_db
    assert pocket.psnr_db(photo, float_condition=False) >= floor.worst_db
    for taken in pocket.lowered.delegation.values():
        assert taken is not None and taken.delegates == 1 and taken.delegated == taken.total > 30
        assert taken.exceptions == ()
    types = pocket.kernels()
    stored = {"fp32": FLOAT32, "fp16": schema.TensorType.FLOAT16}.get(precision, INT8)
    assert set(types["enhance"]) == {stored}
    assert set(types["analyze"]) == {stored}
    quantization = pocket.lowered.quantization
    assert (quantization is None) == (precision == "fp32")
    assert precision != "w8a8" or (quantization is not None and quantization.calibration_photos == 4)


@pytest.mark.slow
def test_fewer_bits_make_smaller_files(made: Callable[..., Made]) -> None:
    bytes_of = {
        precision: made("pocket", precision).file.stat().st_size for precision in ("fp32", "fp16", "dyn8", "w8")
    }
    assert bytes_of["fp32"] > bytes_of["fp16"] > max(bytes_of["dyn8"], bytes_of["w8"])


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["w8", "dyn8", "w8a8"])
def test_float_layers_stay_float(precision: Precision, made: Callable[..., Made], photo: Array) -> None:
    whole, mixed = made("pocket", precision), made("pocket", precision, float_layers=("body.1", "up"))
    assert whole.source.layers == ("down", "body.0", "body.1", "up")
    assert mixed.kernels()["enhance"] == [INT8, INT8, FLOAT32, FLOAT32]
    assert mixed.kernels()["analyze"] == whole.kernels()["analyze"]
    assert mixed.psnr_db(photo, True) > whole.psnr_db(photo, True)
    assert mixed.lowered.quantization is not None and mixed.lowered.quantization.float_layers == ("body.1", "up")
    every = made("pocket", precision, float_layers=whole.source.layers)
    assert every.psnr_db(photo, True) >= 110


@pytest.mark.slow
def test_kernels_on_the_grid_lose_nothing_in_8_bits(
    source_of: Callable[[str], Source], photo: Array, tmp_path: Path
) -> None:
    checkpoint = copy.deepcopy(source_of("pocket").checkpoint)
    put_on_grid(checkpoint.generator)
    for parameter in checkpoint.generator.parameters():
        parameter.data = parameter.data.half().float()  # as a release is stored
    source = Source(checkpoint, TILE_PX)
    lowered = to_tflite.lower(source, Form("w8", "litert"), tmp_path)
    engine = open_engine("tflite", tmp_path, lowered.entry_points, threads=1)
    on_grid = Made(source, lowered, engine, tmp_path / to_tflite.MODEL)
    assert on_grid.kernels()["enhance"] == [INT8] * len(source.layers)
    assert on_grid.psnr_db(photo, float_condition=True) > 75


@pytest.mark.slow
def test_8_bits_are_the_rounded_float_output(made: Callable[..., Made], photo: Array) -> None:
    by_float, by_bytes = made("pocket", "fp32"), made("pocket", "fp32", "uint8")
    tile, thumbnail = images_of(photo, by_float.source)
    condition = by_float.engine.analyze(thumbnail)
    for part, other in zip(condition, by_bytes.engine.analyze(thumbnail), strict=True):
        np.testing.assert_allclose(part, other, atol=1e-5)
    rounded = to_uint8(by_float.engine.enhance(tile, condition))
    made_in_bytes = to_uint8(by_bytes.engine.enhance(tile, condition))
    assert np.abs(rounded.astype(int) - made_in_bytes).max() <= 1
    assert (rounded != made_in_bytes).mean() < 1e-3  # ties of a float that differs in its last bit
    point = next(point for point in by_bytes.lowered.entry_points if point.name == "enhance")
    assert [spec.dtype for spec in point.inputs] == ["uint8", "float32", "float32", "float32"]
    details = Interpreter(str(by_bytes.file)).get_signature_runner("enhance").get_input_details()
    assert details["tile"]["dtype"] == np.uint8 and details["matrix"]["dtype"] == np.float32


@pytest.mark.slow
def test_file_says_what_it_is(made: Callable[..., Made]) -> None:
    pocket = made("pocket", "dyn8")
    assert tflite_graph.facts(tflite_graph.read(pocket.file.read_bytes())) == {
        "name": "pocket",
        "precision": "dyn8",
        "licence": "Apache-2.0",
        "checkpoint_sha256": pocket.source.checkpoint.sha256,
    }


@pytest.mark.slow
def test_compact_file_computes_the_same(source_of: Callable[[str], Source], photo: Array) -> None:
    source = source_of("pocket")
    plain = to_tflite.float_model(source)
    compact = tflite_graph.write(tflite_graph.read(plain))
    assert len(compact) < len(plain)
    tile, thumbnail = (np.ascontiguousarray(image.transpose(0, 2, 3, 1)) for image in images_of(photo, source))
    results = []
    for content in (plain, compact):
        runs = {name: Interpreter(model_content=content).get_signature_runner(name) for name in ("analyze", "enhance")}
        condition = runs["analyze"](thumbnail=thumbnail)
        results.append([*condition.values(), runs["enhance"](tile=tile, **condition)["output"]])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_a_kernel_from_elsewhere_is_refused(
    source_of: Callable[[str], Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of("pocket")
    content = to_tflite.float_model(source)
    layers = to_tflite.kernels({name: source.generator.get_submodule(name) for name in source.layers})
    model = tflite_graph.read(content)
    tflite_graph.name_tensors(model, "enhance", layers)
    named = [tensor.name.decode() for tensor in tflite_graph.subgraph(model, "enhance").tensors]
    assert [name for name in named if not name.split("/")[1].isdigit()] == [
        f"enhance/{layer}" for layer in source.layers
    ]
    assert flatbuffer_utils.convert_object_to_bytearray(model)
    layers["up"] = layers["up"] + 1
    with pytest.raises(ValueError, match="does not have"):
        tflite_graph.name_tensors(tflite_graph.read(content), "enhance", layers)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "dyn8", "w8a8"])
def test_dped_runs_the_same_kernels_in_both(precision: Precision, made: Callable[..., Made], photo: Array) -> None:
    dped, floor = made("dped", precision), floor_of("tflite", precision, "float")
    assert floor is not None and dped.psnr_db(photo, float_condition=False) >= floor.worst_db
    analyze, enhance = (dped.lowered.delegation[name] for name in ("analyze", "enhance"))
    assert enhance is not None and enhance.delegates == 1 and enhance.exceptions == ()
    # Of more than five parts XNNPACK takes no concatenation, and these parts are the result.
    assert analyze is not None and analyze.delegates == 1 and analyze.exceptions in ((), ("CONCATENATION",))
    weights = sum(parameter.numel() for parameter in dped.source.generator.parameters())
    assert dped.file.stat().st_size < weights * (4 if precision == "fp32" else 1) + 25_000  # stored once


@pytest.mark.slow
def test_what_does_not_fit_into_one_delegate_is_refused(
    source_of: Callable[[str], Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pocket as torch has it: BROADCAST_TO in the midst of analyze, and a concatenation of eleven."""
    source = Source(source_of("pocket").checkpoint, TILE_PX)
    as_it_is = {"enhance": to_tflite.ChannelsLast(source.enhance), "analyze": to_tflite.ChannelsLast(source.analyze)}
    monkeypatch.setattr(to_tflite, "modules_of", lambda source: as_it_is)
    with pytest.raises(ConversionError, match=r"delegates took .* all but BROADCAST_TO, CONCATENATION"):
        to_tflite.lower(source, Form("fp32", "litert"), tmp_path)
