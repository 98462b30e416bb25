"""Core ML packages of small networks: every precision, input and output, and target, run by the MIL evaluator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

ct = pytest.importorskip("coremltools")
from coremltools.proto import Model_pb2  # noqa: E402

from conversion.artifact import Fidelity, ModelFile  # noqa: E402
from conversion.backends.coreml import CONVERTER  # noqa: E402
from conversion.backends.coreml import compact as coreml_compact  # noqa: E402
from conversion.backends.coreml import quantization as coreml_quantization  # noqa: E402
from conversion.backends.coreml.lowering import lower  # noqa: E402
from conversion.backends.coreml.pocket import PocketAnalyze, PocketEnhance  # noqa: E402
from conversion.backends.coreml.program import convert_to_program  # noqa: E402
from conversion.calibration import calibrate  # noqa: E402
from conversion.convert import CALIBRATED  # noqa: E402
from conversion.converter import Form  # noqa: E402
from conversion.export import Lowered, Source  # noqa: E402
from conversion.fidelity import measure  # noqa: E402
from conversion.runtimes import open_engine  # noqa: E402
from conversion.runtimes.mil import MilProgram  # noqa: E402
from conversion.runtimes.mil_calibration import ranges  # noqa: E402
from conversion.to_coreml import main  # noqa: E402
from training import generators  # noqa: E402
from training.checkpoint import Checkpoint  # noqa: E402
from training.generators.base import Generator  # noqa: E402
from training.tiling import to_uint8  # noqa: E402

TILE_PX = 64
# A network large enough that its weights, not its graph, make the size of a package.
POCKET = {"channels": 16, "layers": 2, "factor": 4, "thumbnail_px": 32, "analyser_channels": 8}
DPED = {"channels": 16, "blocks": 1, "thumbnail_px": 48}


def _network(name: str, config: dict[str, int]) -> Checkpoint:
    """Random weights, but a picture; above all not the identity, which a new network is."""
    torch.manual_seed(0)
    generator = generators.build(name, config).eval()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2 / max(1, parameter[0].numel()) ** 0.5)
    return Checkpoint(generator, "Apache-2.0", name=name, sha256="ab" * 32)


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    """[H, W, 3] uint8, larger than a tile: smooth and noisy, bright and dark; the last is darkest."""
    rows, columns = np.mgrid[0:101, 0:127] / 126
    random = np.random.default_rng(0)
    smooth = np.stack([rows, columns, 0.5 + 0.5 * np.sin(rows * columns * 40)], 2)
    return [to_uint8((smooth * gain + random.random(smooth.shape) * (1 - gain)).astype(np.float32) * light)
            for gain, light in ((0.9, 0.8), (0.7, 1.0), (0.8, 0.5), (0.95, 0.3))]  # fmt: skip


@dataclass(frozen=True)
class Made:
    source: Source
    form: Form
    folder: Path
    lowered: Lowered
    fidelity: Fidelity
    model_bytes: int

    def operations(self, package: str = "enhance") -> list[Any]:
        return _operations(self.folder / f"{package}.mlpackage")


def _model(package: Path) -> Any:
    return Model_pb2.Model.FromString((package / "Data" / "com.apple.CoreML" / "model.mlmodel").read_bytes())


def _operations(package: Path) -> list[Any]:
    function = _model(package).mlProgram.functions["main"]
    return list(function.block_specializations[function.opset].operations)


Make = Callable[..., Made]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory, photos: list[np.ndarray]) -> Make:
    """(precision, target, io, float layers, network) -> lowered, and measured by the evaluator. Each once."""
    known: dict[Any, Made] = {}

    def made(
        precision: str,
        target: str = "ios17",
        io: str = "float",
        float_layers: tuple[str, ...] = (),
        name: str = "pocket",
    ) -> Made:
        key = precision, target, io, float_layers, name
        if key not in known:
            source = Source(_network(name, POCKET if name == "pocket" else DPED), TILE_PX)
            if precision in CALIBRATED:
                source = Source(source.checkpoint, TILE_PX, calibrate(photos[1::2], source.generator, TILE_PX))
            form, folder = Form(precision, target, io, float_layers), tmp_path_factory.mktemp("coreml")
            lowered = lower(source, form, folder)
            engine = open_engine("coreml", folder, lowered.entry_points, 1)
            judges = [photo.astype(np.float32) / 255 for photo in photos[::2]]
            fidelity = measure(engine, source.generator, judges, TILE_PX)
            size = sum(ModelFile.of(folder, point.file).bytes for point in lowered.entry_points)
            known[key] = Made(source, form, folder, lowered, fidelity, size)
        return known[key]

    return made


# Pocket in fewer operators -----------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [POCKET, {"channels": 8, "layers": 3, "factor": 2, "thumbnail_px": 64}])
@torch.no_grad()
def test_pocket_in_fewer_operators_is_pocket(config: dict[str, int]) -> None:
    generator = _network("pocket", config).generator.double()
    random = torch.Generator().manual_seed(1)
    thumbnail, tile = (torch.rand(1, 3, size, size, generator=random).double() for size in (config["thumbnail_px"], 24))
    condition = generator.analyze(thumbnail)
    analyze = PocketAnalyze(generator).double()
    for got, wanted in zip(analyze(thumbnail), condition, strict=True):
        assert got.shape == wanted.shape
        assert float((got - wanted).abs().max()) < 1e-9 * float(wanted.abs().max())
    (output,) = PocketEnhance(generator)(tile, *condition)
    wanted = generator.enhance(tile, *condition).clamp(0, 1)
    assert float((wanted - tile).abs().mean()) > 0.01
    assert float((output - wanted).abs().max()) < 1e-12


# Every precision, target, and kind of input and output ---------------------------------------------------------

# (precision, target, io) -> dB that the worst photo must reach, and what must be in enhance
FORMS: dict[tuple[str, str, str], tuple[float, set[str]]] = {
    ("fp32", "ios17", "float"): (100, set()),
    ("fp16", "ios17", "float"): (58, set()),
    ("w8", "ios17", "float"): (42, {"constexpr_affine_dequantize"}),
    ("w8a8", "ios17", "float"): (38, {"constexpr_affine_dequantize", "quantize", "dequantize"}),
    ("pal6", "ios17", "float"): (38, {"constexpr_lut_to_dense", "constexpr_affine_dequantize"}),
    ("pal4", "ios17", "float"): (25, {"constexpr_lut_to_dense", "constexpr_affine_dequantize"}),
    ("w8", "ios18", "float"): (42, {"constexpr_blockwise_shift_scale"}),
    ("w8a8", "ios18", "float"): (38, {"constexpr_blockwise_shift_scale", "quantize", "dequantize"}),
    ("pal6", "ios18", "float"): (38, {"constexpr_lut_to_dense", "constexpr_blockwise_shift_scale"}),
    ("fp16", "ios17", "uint8"): (50, set()),
    ("w8", "ios18", "uint8"): (42, {"constexpr_blockwise_shift_scale"}),
    ("w8a8", "ios17", "uint8"): (38, {"constexpr_affine_dequantize", "quantize", "dequantize"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_fidelity_of_every_form(form: tuple[str, str, str], make: Make) -> None:
    floor_db, operators = FORMS[form]
    made = make(*form)
    assert made.fidelity.psnr_worst_db >= floor_db
    assert made.fidelity.colour_shift_worst < 0.01
    found = {operation.type for operation in made.operations()}
    compressed = {kind for kind in found if "constexpr" in kind or "quantize" in kind}
    assert compressed == operators
    assert (made.lowered.quantization is None) == (form[0] == "fp32")
    assert _model(made.folder / "enhance.mlpackage").specificationVersion == {"ios17": 8, "ios18": 9}[form[1]]


@pytest.mark.slow
def test_fidelity_of_a_network_with_statistics(make: Make) -> None:
    assert make("w8a8", name="dped").fidelity.psnr_worst_db >= 38


@pytest.mark.slow
def test_fewer_bits_take_less_and_lose_more(make: Make) -> None:
    order = [make(precision) for precision in ("fp32", "fp16", "w8", "pal6", "pal4")]
    for larger, smaller in pairwise(order):
        assert larger.model_bytes > smaller.model_bytes
    for better, worse in (*pairwise(order), (make("w8"), make("w8a8"))):
        assert better.fidelity.psnr_mean_db > worse.fidelity.psnr_mean_db


@pytest.mark.slow
def test_analyze_keeps_statistics_in_float32(make: Make) -> None:
    for precision in ("fp16", "w8", "w8a8", "pal4"):
        by_kind: dict[str, set[int]] = {}
        for operation in make(precision).operations("analyze"):
            by_kind.setdefault(operation.type, set()).add(operation.outputs[0].type.tensorType.dataType)
        half, single = Model_pb2.MIL__pb2.FLOAT16, Model_pb2.MIL__pb2.FLOAT32
        assert by_kind["conv"] == {half}
        assert by_kind["reduce_mean"] == by_kind["log"] == by_kind["exp"] == by_kind["matmul"] == {single}
        assert not {"quantize", "dequantize"} & set(by_kind)  # its arithmetic is float in every precision


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["w8a8", "pal6"])
def test_float_layers_are_not_quantized(precision: str, make: Make) -> None:
    layers = ("down", "body.1")
    made = make(precision, float_layers=layers)
    operations = made.operations()
    maker = {output.name: operation for operation in operations for output in operation.outputs}
    kinds = {}
    for layer, operation in zip(made.source.layers, (o for o in operations if o.type == "conv"), strict=True):
        kinds[layer] = [maker[operation.inputs[name].arguments[0].name].type for name in ("weight", "x")]
    for layer, (weight, given) in kinds.items():
        assert (weight == "const") == (layer in layers), kinds
        assert (given == "dequantize") == (precision == "w8a8" and layer == "body.0"), kinds  # neither first nor last
    assert made.lowered.quantization.float_layers == layers
    assert made.fidelity.enhance_psnr_mean_db > make(precision).fidelity.enhance_psnr_mean_db


@pytest.mark.slow
def test_images_are_rounded_as_core_ml_does(make: Make) -> None:
    made = make("fp16", io="uint8")
    tile_spec, output_spec = made.lowered.entry_points[1].inputs[0], made.lowered.entry_points[1].outputs[0]
    description = _model(made.folder / "enhance.mlpackage").description
    kinds = [feature.type.WhichOneof("Type") for feature in (*description.input, *description.output)]
    assert kinds == ["imageType", *["multiArrayType"] * 3, "imageType"]
    assert {feature.type.imageType.colorSpace for feature in description.output} == {
        Model_pb2.FeatureTypes__pb2.ImageFeatureType.RGB
    }
    engine = open_engine("coreml", made.folder, made.lowered.entry_points, 1)
    tile = np.arange(3 * TILE_PX**2, dtype=np.int64).reshape(tile_spec.shape).astype(np.uint8)
    condition = [part.numpy() for part in made.source.condition]
    (image,) = engine.run(made.lowered.entry_points[1], [tile, *condition])
    assert image.dtype == np.uint8 and image.shape == output_spec.shape and np.ptp(image) > 100
    values = MilProgram.load(made.folder / "enhance.mlpackage").run(
        dict(zip((spec.name for spec in made.lowered.entry_points[1].inputs), [tile, *condition], strict=True))
    )["output"]
    assert values.max() <= 255 and values.min() >= 0
    assert np.abs(values - image).max() <= 0.5


@pytest.mark.slow
def test_a_package_tells_its_facts_and_no_author(make: Make) -> None:
    made = make("w8", "ios18")
    for name in ("analyze", "enhance"):
        metadata = _model(made.folder / f"{name}.mlpackage").description.metadata
        facts = dict(metadata.userDefined)
        assert metadata.shortDescription == f"Pocket DSLR: {name}" and metadata.license == "Apache-2.0"
        assert metadata.author == ""
        assert {key: facts[key] for key in ("name", "precision", "checkpoint_sha256", "tile_px", "halo_px")} == {
            "name": "pocket-coreml-w8-ios18",
            "precision": "w8",
            "checkpoint_sha256": "ab" * 32,
            "tile_px": "64",
            "halo_px": str(made.source.generator.tiling.halo),
        }
        assert facts["com.github.apple.coremltools.version"] == ct.__version__
        assert not any("date" in key for key in facts)


@pytest.mark.slow
def test_two_conversions_make_the_same_program(make: Make, tmp_path: Path) -> None:
    made = make("pal6")
    lower(made.source, made.form, tmp_path)
    for file in (path for path in made.folder.rglob("*") if path.is_file() and path.name != "Manifest.json"):
        assert file.read_bytes() == (tmp_path / file.relative_to(made.folder)).read_bytes(), file.name


# Compaction ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_and_short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Source, Path, Path]]:
    """enhance of Pocket in fp16 as coremltools writes it, and compacted."""
    source, folder = Source(_network("pocket", POCKET), TILE_PX), tmp_path_factory.mktemp("compact")
    (_, point), form = source.entry_points("NCHW", "float", ("a", "main"), ("e", "main")), Form("fp16", "ios17")
    arguments = (PocketEnhance(source.generator), (source.tile, *source.condition), point, form)
    convert_to_program(*arguments, coreml_quantization.is_half_in_enhance).save(str(folder / "long.mlpackage"))
    with coreml_compact.small_vectors_in_the_graph():
        program = convert_to_program(*arguments, coreml_quantization.is_half_in_enhance)
    coreml_compact.compact(program).save(str(folder / "short.mlpackage"))
    yield source, folder / "long.mlpackage", folder / "short.mlpackage"


@pytest.mark.slow
def test_compaction_changes_no_bit_of_the_output(long_and_short: tuple[Source, Path, Path]) -> None:
    source, long, short = long_and_short
    tile = np.random.default_rng(0).random(tuple(source.tile.shape), np.float32)
    feeds = {"tile": tile} | {
        name: part.numpy() for name, part in zip(source.generator.condition_names, source.condition, strict=True)
    }
    wanted, got = (MilProgram.load(package).run(feeds)["output"] for package in (long, short))
    assert np.ptp(wanted) > 0.5 and np.array_equal(got, wanted)


@pytest.mark.slow
def test_compaction_writes_each_constant_once_under_short_names(long_and_short: tuple[Source, Path, Path]) -> None:
    _, long, short = long_and_short
    operations = _operations(short)
    constants = [operation.attributes["val"].SerializeToString(deterministic=True) for operation in operations
                 if operation.type == "const"]  # fmt: skip
    assert len(set(constants)) == len(constants)
    kept = {"tile", "modulation", "matrix", "offset", "output"}
    names = [output.name for operation in operations for output in operation.outputs]
    assert len(set(names)) == len(names) and all(len(name) <= 3 for name in set(names) - kept)
    sizes = [ModelFile.of(package.parent, package.name).bytes for package in (long, short)]
    assert sizes[1] < 0.8 * sizes[0]


def test_hook_into_coremltools_is_taken_back() -> None:
    from coremltools.converters.mil.backend.mil import load

    original = load.should_use_weight_file
    with pytest.raises(RuntimeError), coreml_compact.small_vectors_in_the_graph():
        assert not load.should_use_weight_file(np.zeros(100, np.float32))
        assert load.should_use_weight_file(np.zeros(1000, np.float32))
        raise RuntimeError
    assert load.should_use_weight_file is original


# Two faults of coremltools 9.0 that this path must not have ----------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("target", ["ios17", "ios18"])
def test_only_whole_maps_are_quantized(target: str, make: Make) -> None:
    """coremltools computes a rank-0 dequantize in 8 bits when it folds it: 127 - (-128) wraps, and all is black."""
    operations = make("w8a8", target).operations()
    maker = {output.name: operation for operation in operations for output in operation.outputs}
    chains = [operation for operation in operations if operation.type == "dequantize"]
    assert len(chains) == len(make("w8a8", target).source.layers) - 2
    for operation in chains:
        quantized = maker[operation.inputs["input"].arguments[0].name]
        assert quantized.type == "quantize"
        assert quantized.outputs[0].type.tensorType.rank == operation.outputs[0].type.tensorType.rank == 4


def _scales(made: Made) -> dict[str, float]:
    """Layer -> step of its inputs, where they are quantized."""
    operations = made.operations()
    maker = {output.name: operation for operation in operations for output in operation.outputs}
    steps = {}
    for layer, operation in zip(made.source.layers, (o for o in operations if o.type == "conv"), strict=True):
        given = maker.get(operation.inputs["x"].arguments[0].name)
        if given is not None and given.type == "dequantize":
            constant = maker[given.inputs["scale"].arguments[0].name].attributes["val"].immediateValue.tensor
            steps[layer] = float(np.frombuffer(constant.bytes.values, np.float16)[0])
    assert list(steps) == list(made.source.layers[1:-1])
    return steps


@torch.no_grad()
def _greatest_inputs(generator: Generator, made: Made) -> dict[str, list[float]]:
    """Layer -> greatest minus least of its input, zero among them, on each calibration sample."""
    found: dict[str, list[float]] = {layer: [] for layer in made.source.layers}
    handles = [
        generator.get_submodule(layer).register_forward_pre_hook(
            lambda module, given, layer=layer: found[layer].append(
                max(0.0, float(given[0].max())) - min(0.0, float(given[0].min()))
            )
        )
        for layer in found
    ]
    for sample in made.source.calibration.samples:
        generator.enhance(sample.tile, *sample.condition)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.slow
def test_calibration_keeps_more_than_the_last_sample(make: Make, tmp_path: Path) -> None:
    """coremltools overwrites what it saw; here samples count in any order."""
    made = make("w8a8")
    calibration = made.source.calibration
    assert calibration is not None
    turned = Source(made.source.checkpoint, TILE_PX, replace(calibration, samples=calibration.samples[::-1]))
    lower(turned, made.form, tmp_path)
    assert _scales(replace(made, folder=tmp_path)) == _scales(made)
    by_sample = _greatest_inputs(made.source.generator, made)
    assert any(spans[-1] < 0.9 * max(spans) for spans in by_sample.values())  # the last sample alone would not do
    for layer, step in _scales(made).items():
        assert step * 255 >= 0.98 * max(by_sample[layer]), layer


def test_ranges_grow_over_samples_and_contain_zero(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1, bias=False), torch.nn.ReLU()).eval()
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[1.0, 0, 0], [0, 0, -2.0]])[..., None, None])
    model = ct.convert(
        torch.jit.trace(module, torch.rand(1, 3, 4, 4)), convert_to="mlprogram", skip_model_load=True,
        inputs=[ct.TensorType("x", shape=(1, 3, 4, 4), dtype=np.float32)],
        outputs=[ct.TensorType("y", dtype=np.float32)],
        compute_precision=ct.precision.FLOAT32, minimum_deployment_target=ct.target.iOS17,
    )  # fmt: skip
    model.save(str(tmp_path / "m.mlpackage"))
    program = MilProgram.load(tmp_path / "m.mlpackage")
    samples = [{"x": np.full((1, 3, 4, 4), value, np.float32)} for value in (-3.0, 5.0, 1.0, 2.0)]
    found = ranges(program, samples)
    assert found["x"] == (-3.0, 5.0)
    assert found["y"] == (0.0, 6.0)
    (between,) = set(found) - {"x", "y"}
    assert found[between] == (-10.0, 6.0)
    assert ranges(program, samples[1:2])["x"] == (0.0, 5.0)
    assert ranges(program, samples[::-1]) == found


@pytest.mark.slow
def test_a_black_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    class Black(PocketEnhance):
        def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor]:
            return (super().forward(*inputs)[0] * 0.0,)

    checkpoint = _network("pocket", POCKET)
    checkpoint.save(tmp_path / "pocket.safetensors")
    monkeypatch.setattr("conversion.backends.coreml.lowering.PocketEnhance", Black)
    arguments = ["--checkpoint", str(tmp_path / "pocket.safetensors"), "--tile", "128", "--precision", "fp16"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert "pocket-coreml-fp16: below its fidelity floor, so nothing was written: mean PSNR" in message
    assert not any((tmp_path / "out").glob("*/"))


def test_the_default_is_small_and_faithful() -> None:
    assert CONVERTER.precisions[0] == "fp16" and CONVERTER.targets[0] == "ios17" and CONVERTER.ios[0] == "float"
    assert set(CONVERTER.runs_here) == set(CONVERTER.targets)
