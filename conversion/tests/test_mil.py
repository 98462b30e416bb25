"""The evaluator of Core ML packages against torch: operators one by one, compression, whole generators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

ct = pytest.importorskip("coremltools")
import coremltools.optimize.coreml as cto  # noqa: E402
from coremltools.converters.mil import Builder as mb  # noqa: E402
from coremltools.converters.mil.mil import types  # noqa: E402
from coremltools.proto import Model_pb2  # noqa: E402

from conversion.runtimes.mil import MilProgram  # noqa: E402
from conversion.runtimes.mil_constants import unpack_bits  # noqa: E402
from conversion.runtimes.mil_operators import OPERATORS  # noqa: E402
from training.generators import build  # noqa: E402
from training.generators.base import Generator  # noqa: E402

FP32, FP16 = ct.precision.FLOAT32, ct.precision.FLOAT16
IOS17, IOS18 = ct.target.iOS17, ct.target.iOS18


@pytest.fixture(autouse=True, scope="module")
def _two_threads() -> None:
    torch.set_num_threads(2)


def _lower(module: nn.Module, shapes: Sequence[Sequence[int]], precision: Any = FP32, target: Any = IOS17) -> Any:
    """A torch module of inputs x0, x1, ... and output y as a Core ML model."""
    traced = torch.jit.trace(module.eval(), tuple(torch.rand(*shape) for shape in shapes), check_trace=False)
    return ct.convert(
        traced,
        convert_to="mlprogram",
        minimum_deployment_target=target,
        compute_precision=precision,
        inputs=[ct.TensorType(name=f"x{k}", shape=tuple(s), dtype=np.float32) for k, s in enumerate(shapes)],
        outputs=[ct.TensorType(name="y", dtype=np.float32)],
        skip_model_load=True,
    )


def _build(body: Callable[..., Any], *shapes: Sequence[int], target: Any = IOS17) -> Any:
    """A hand-written MIL program of float32 inputs x0, x1, ... as a Core ML model, exactly as written."""
    names = [f"x{k}" for k in range(len(shapes))]
    inputs = {name: mb.placeholder(shape=tuple(s), dtype=types.fp32) for name, s in zip(names, shapes, strict=True)}
    from coremltools.converters.mil.mil import Function, Program

    program = Program()
    with Function(inputs, opset_version=target) as function:
        function.set_outputs([body(*(function.inputs[name] for name in names))])
        program.add_function("main", function)
    return ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=target,
        compute_precision=FP32,
        pass_pipeline=ct.PassPipeline.EMPTY,
        skip_model_load=True,
    )


def _save(model: Any, folder: Path) -> Path:
    package = folder / "model.mlpackage"
    model.save(str(package))
    return package


def _operators(package: Path) -> set[str]:
    function = _read(package).mlProgram.functions["main"]
    return {operation.type for operation in function.block_specializations[function.opset].operations}


def _model_file(package: Path) -> Path:
    return package / "Data" / "com.apple.CoreML" / "model.mlmodel"


def _read(package: Path) -> Any:
    model = Model_pb2.Model()
    model.ParseFromString(_model_file(package).read_bytes())
    return model


def _random(*shapes: Sequence[int], low: float = -1, high: float = 1) -> list[np.ndarray]:
    random = np.random.default_rng(5)
    return [random.uniform(low, high, shape).astype(np.float32) for shape in shapes]


def _only(outputs: dict[str, np.ndarray]) -> np.ndarray:
    (output,) = outputs.values()
    return output


def _run(package: Path, *arrays: np.ndarray) -> np.ndarray:
    program = MilProgram.load(package)
    return _only(program.run(dict(zip(program.input_names, arrays, strict=True))))


def _psnr(got: np.ndarray, wanted: np.ndarray) -> float:
    """dB, against the largest magnitude in `wanted`."""
    assert got.shape == wanted.shape
    error = np.mean((got.astype(np.float64) - wanted) ** 2)
    return float("inf") if error == 0 else 20 * np.log10(np.abs(wanted).max()) - 10 * np.log10(error)


class _Of(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Tensor]):
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


def _randomized(module: nn.Module) -> nn.Module:
    """No weight zero, one or equal to another: a fresh norm or Pocket generator is an identity otherwise."""
    torch.manual_seed(3)
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2)
            elif tensor.is_floating_point() and not name.endswith("eye"):
                tensor.add_(torch.randn_like(tensor) * 0.05)
    return module.eval()


IMAGE = (1, 8, 12, 10)
# operator that must appear in the package, module, shapes of its inputs
CASES: list[tuple[str, str, nn.Module, list[tuple[int, ...]]]] = [
    ("add", "add", _Of(lambda x, y: x + y), [IMAGE, (1, 8, 1, 1)]),
    ("sub", "sub", _Of(lambda x, y: x - y), [IMAGE, IMAGE]),
    ("mul", "mul", _Of(lambda x, y: x * y), [IMAGE, (1, 8, 1, 1)]),
    ("mul constant", "mul", _Of(lambda x: x * 0.58), [IMAGE]),
    ("real_div", "real_div", _Of(lambda x, y: x / (y + 3)), [IMAGE, IMAGE]),
    ("maximum", "maximum", _Of(torch.maximum), [IMAGE, IMAGE]),
    ("minimum", "minimum", _Of(lambda x, y: torch.minimum(x * 0.5, y)), [IMAGE, (1, 8, 1, 1)]),
    ("relu", "relu", _Of(torch.relu), [IMAGE]),
    ("leaky_relu", "leaky_relu", _Of(lambda x: F.leaky_relu(x, 0.05)), [IMAGE]),
    ("tanh", "tanh", _Of(torch.tanh), [IMAGE]),
    ("sqrt", "sqrt", _Of(lambda x: torch.sqrt(x * x + 1e-3)), [IMAGE]),
    ("exp", "exp", _Of(torch.exp), [IMAGE]),
    ("log", "log", _Of(lambda x: torch.log(x * x + 1e-3)), [IMAGE]),
    ("clip", "clip", _Of(lambda x: x.clamp(-0.3, 0.7)), [IMAGE]),
    ("rsqrt", "rsqrt", _Of(lambda x: torch.rsqrt(x * x + 1e-3)), [IMAGE]),
    ("fill_like", "fill_like", _Of(lambda x: x + torch.full_like(x.mean((2, 3), keepdim=True), 1.2)), [IMAGE]),
    ("reshape", "reshape", _Of(lambda x: (x + 1).reshape(1, 96, -1)), [IMAGE]),
    ("transpose", "transpose", _Of(lambda x: (x + 1).permute(0, 2, 3, 1)), [IMAGE]),
    ("expand_dims", "expand_dims", _Of(lambda x: x.unsqueeze(1).unsqueeze(-1) + 1), [(3, 4)]),
    ("squeeze", "squeeze", _Of(lambda x: x.squeeze(1).squeeze(-1) + 1), [(3, 1, 4, 1)]),
    ("concat", "concat", _Of(lambda x, y: torch.cat([x, y, x], 1)), [IMAGE, (1, 3, 12, 10)]),
    ("split", "split", _Of(lambda x: torch.cat(x.chunk(4, 1)[::-1], 2)), [IMAGE]),
    ("split, sizes", "split", _Of(lambda x: torch.cat([part.mean(1) for part in x.split([1, 5, 2], 1)])), [IMAGE]),
    ("tile", "tile", _Of(lambda x: x.repeat(1, 2, 3, 1)), [IMAGE]),
    ("slice_by_index", "slice_by_index", _Of(lambda x: x[:, 2:5, 1:-1:2, -4:] + 1), [IMAGE]),
    ("slice and drop", "slice_by_index", _Of(lambda x: x[0, 3] + 1), [IMAGE]),
    ("pixel_shuffle", "pixel_shuffle", nn.PixelShuffle(2), [IMAGE]),
    ("pixel_unshuffle", "pixel_unshuffle", nn.PixelUnshuffle(2), [IMAGE]),
    ("reduce_mean", "reduce_mean", _Of(lambda x: x.mean((2, 3), keepdim=True)), [IMAGE]),
    ("reduce_mean, axis gone", "reduce_mean", _Of(lambda x: x.mean(-1)), [IMAGE]),
    ("matmul", "matmul", _Of(torch.bmm), [(2, 5, 7), (2, 7, 4)]),
    ("matmul transposed", "matmul", _Of(lambda x, y: x @ y.transpose(-1, -2)), [(2, 5, 7), (2, 4, 7)]),
    ("linear", "linear", nn.Linear(10, 6), [(3, 10)]),
    ("conv", "conv", nn.Conv2d(8, 6, 3, padding=1), [IMAGE]),
    ("conv, no bias", "conv", nn.Conv2d(8, 6, 1, bias=False), [IMAGE]),
    ("conv, strides", "conv", nn.Conv2d(8, 6, (3, 5), stride=(2, 3), padding=(1, 2)), [IMAGE]),
    ("conv, dilation", "conv", nn.Conv2d(8, 6, (1, 3), padding=(0, 2), dilation=2), [IMAGE]),
    ("conv, groups", "conv", nn.Conv2d(8, 8, 3, padding=1, groups=4), [IMAGE]),
    ("conv, same", "conv", nn.Conv2d(8, 6, (3, 4), padding="same"), [IMAGE]),
    ("batch_norm", "batch_norm", nn.BatchNorm2d(8), [IMAGE]),
    ("instance_norm", "instance_norm", nn.InstanceNorm2d(8, affine=True), [IMAGE]),
]


@pytest.mark.parametrize(("operator", "module", "shapes"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
@pytest.mark.parametrize(("precision", "floor_db"), [(FP32, 100), (FP16, 58)], ids=["fp32", "fp16"])
def test_operator_agrees_with_torch(
    operator: str, module: nn.Module, shapes: list[tuple[int, ...]], precision: Any, floor_db: float, tmp_path: Path
) -> None:
    module, arrays = _randomized(module), _random(*shapes)
    package = _save(_lower(module, shapes, precision), tmp_path)
    assert operator in _operators(package)
    with torch.no_grad():
        wanted = module(*(torch.from_numpy(array) for array in arrays)).numpy()
    got = _run(package, *arrays)
    assert got.dtype == np.float32
    assert _psnr(got, wanted) >= floor_db


def _half(x: Tensor) -> Tensor:
    return x.half().float()


def test_every_result_is_rounded_to_half_precision(tmp_path: Path) -> None:
    (x,) = _random(IMAGE)
    got = _run(_save(_lower(_Of(lambda x: torch.tanh(x * 3.3 + 0.1)), [IMAGE], FP16), tmp_path), x)
    product = _half(_half(torch.from_numpy(x)) * _half(torch.tensor(3.3)))
    wanted = _half(torch.tanh(_half(product + _half(torch.tensor(0.1)))))
    assert np.array_equal(got, wanted.numpy())


def test_half_precision_overflows_as_it_would_on_a_phone(tmp_path: Path) -> None:
    package = _save(_lower(_Of(lambda x: (x * 60000 * 2 - 1) * 0.5), [(1, 3)], FP16), tmp_path)
    assert np.isinf(_run(package, np.ones((1, 3), np.float32))).all()


# What a conversion from torch does not produce, hand-written ------------------------------------------------


def _tensor(x: np.ndarray) -> Tensor:
    return torch.from_numpy(x)


def _same_conv(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """SAME padding with strides, as TensorFlow defines it: the odd pixel goes after."""
    pads: list[int] = []
    for axis in (3, 2):
        total = max((-(-x.shape[axis] // stride) - 1) * stride + weight.shape[axis] - x.shape[axis], 0)
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, pads), weight, stride=stride)


KERNEL = np.random.default_rng(7).normal(size=(6, 8, 4, 3)).astype(np.float32)
CHANNEL_SCALES = np.linspace(0.004, 0.012, 8, dtype=np.float32)
WRITTEN: dict[str, tuple[Callable[..., Any], Callable[[Tensor], Tensor]]] = {
    "conv defaults": (lambda x: mb.conv(x=x, weight=KERNEL), lambda x: F.conv2d(x, _tensor(KERNEL))),
    "conv valid": (
        lambda x: mb.conv(x=x, weight=KERNEL, pad_type="valid", strides=[2, 1]),
        lambda x: F.conv2d(x, _tensor(KERNEL), stride=(2, 1)),
    ),
    "conv same, strides": (
        lambda x: mb.conv(x=x, weight=KERNEL, pad_type="same", strides=[2, 2]),
        lambda x: _same_conv(x, _tensor(KERNEL), 2),
    ),
    "conv, uneven padding": (
        lambda x: mb.conv(x=x, weight=KERNEL, pad_type="custom", pad=[1, 2, 0, 1]),
        lambda x: F.conv2d(F.pad(x, (0, 1, 1, 2)), _tensor(KERNEL)),
    ),
    "slice masks": (
        lambda x: mb.slice_by_index(
            x=x,
            begin=[0, 3, 2, 1],
            end=[1, 0, 5, -1],
            stride=[1, 1, 2, 1],
            begin_mask=[True, False, True, False],
            end_mask=[True, False, False, False],
            squeeze_mask=[False, True, False, False],
        ),
        lambda x: x[:, 3, :5:2, 1:-1],
    ),
    "split evenly": (
        lambda x: mb.concat(values=mb.split(x=x, num_splits=3, axis=2)[::-1], axis=1),
        lambda x: torch.cat(x.chunk(3, 2)[::-1], 1),
    ),
    "transposed matmul": (
        lambda x: mb.matmul(x=x, y=x, transpose_x=True, transpose_y=False),
        lambda x: x.transpose(-1, -2) @ x,
    ),
    "norm without weights": (
        lambda x: mb.instance_norm(x=x, epsilon=np.float32(1e-3)),
        lambda x: F.instance_norm(x, eps=1e-3),
    ),
    "quantize int8": (
        lambda x: mb.dequantize(
            input=mb.quantize(input=x, scale=np.float32(0.006), output_dtype="int8"), scale=np.float32(0.006)
        ),
        lambda x: torch.fake_quantize_per_tensor_affine(x, 0.006, 0, -128, 127),
    ),
    "quantize uint8, zero point": (
        lambda x: mb.dequantize(
            input=mb.quantize(input=x, scale=np.float32(0.006), zero_point=np.uint8(100), output_dtype="uint8"),
            scale=np.float32(0.006),
            zero_point=np.uint8(100),
        ),
        lambda x: torch.fake_quantize_per_tensor_affine(x, 0.006, 100, 0, 255),
    ),
    "quantize by channel": (
        lambda x: mb.dequantize(
            input=mb.quantize(
                input=x, scale=CHANNEL_SCALES, zero_point=np.arange(-4, 4, dtype=np.int8), axis=1, output_dtype="int8"
            ),
            scale=CHANNEL_SCALES,
            zero_point=np.arange(-4, 4, dtype=np.int8),
            axis=1,
        ),
        lambda x: torch.fake_quantize_per_channel_affine(
            x, _tensor(CHANNEL_SCALES), torch.arange(-4, 4, dtype=torch.int32), 1, -128, 127
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_hand_written_program_agrees_with_torch(name: str, tmp_path: Path) -> None:
    written, reference = WRITTEN[name]
    (x,) = _random(IMAGE)
    package = _save(_build(written, IMAGE), tmp_path)
    assert _psnr(_run(package, x), reference(_tensor(x)).numpy()) >= 100


@given(bits=st.integers(1, 8), numbers=st.lists(st.integers(0, 255), min_size=1, max_size=40), spare=st.integers(0, 3))
def test_unpack_bits_inverts_packing(bits: int, numbers: list[int], spare: int) -> None:
    wanted = [number % (1 << bits) for number in numbers]
    stream = sum(number << (k * bits) for k, number in enumerate(wanted))
    packed = stream.to_bytes(-(-len(wanted) * bits // 8) + spare, "little")
    got = unpack_bits(torch.tensor(list(packed), dtype=torch.uint8), bits, len(wanted))
    assert got.tolist() == wanted


# Compression -----------------------------------------------------------------------------------------------


def _linear(**options: Any) -> Any:
    return cto.linear_quantize_weights, cto.OpLinearQuantizerConfig(weight_threshold=10, **options)


def _palette(**options: Any) -> Any:
    return cto.palettize_weights, cto.OpPalettizerConfig(weight_threshold=10, **options)


COMPRESSIONS: dict[str, tuple[Any, Any, str]] = {
    "int8 symmetric": (IOS17, _linear(mode="linear_symmetric"), "constexpr_affine_dequantize"),
    "int8": (IOS17, _linear(mode="linear"), "constexpr_affine_dequantize"),
    "uint8": (IOS17, _linear(mode="linear", dtype="uint8"), "constexpr_affine_dequantize"),
    "int8 one scale": (IOS17, _linear(granularity="per_tensor"), "constexpr_affine_dequantize"),
    "int8, iOS 18": (IOS18, _linear(mode="linear"), "constexpr_blockwise_shift_scale"),
    "int4 blocks": (IOS18, _linear(mode="linear", dtype="int4", granularity="per_block", block_size=4),
                    "constexpr_blockwise_shift_scale"),
    "uint4": (IOS18, _linear(mode="linear", dtype="uint4"), "constexpr_blockwise_shift_scale"),
    **{f"palette {bits}": (IOS17, _palette(mode="uniform", nbits=bits), "constexpr_lut_to_dense")
       for bits in (1, 2, 4, 6, 8)},
    **{f"palette {bits}, iOS 18": (IOS18, _palette(mode="uniform", nbits=bits), "constexpr_lut_to_dense")
       for bits in (1, 2, 3, 4, 6, 8)},
    "palette by group": (IOS18, _palette(mode="uniform", nbits=4, granularity="per_grouped_channel", group_size=4),
                         "constexpr_lut_to_dense"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        *(pytest.param(name, FP32, id=name) for name in COMPRESSIONS),
        *(pytest.param(name, FP16, id=f"{name}, fp16") for name in ("int8", "int8, iOS 18", "palette 6, iOS 18")),
    ],
)
def test_compressed_weights_act_as_coremltools_decompresses_them(name: str, precision: Any, tmp_path: Path) -> None:
    target, (compress, config), operator = COMPRESSIONS[name]
    module = _randomized(nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 8, (1, 3))))
    (x,) = _random(IMAGE)
    plain = _lower(module, [IMAGE], precision, target)
    compressed = compress(plain, cto.OptimizationConfig(global_config=config))
    decompressed = cto.decompress_weights(compressed)
    packages = [tmp_path / f"{k}.mlpackage" for k in range(3)]
    for model, package in zip((plain, compressed, decompressed), packages, strict=True):
        model.save(str(package))
    assert operator in _operators(packages[1])
    assert operator not in _operators(packages[2])
    uncompressed, got, wanted = (_run(package, x) for package in packages)
    assert _psnr(got, wanted) >= (100 if precision is FP32 else 58)
    assert _psnr(got, uncompressed) < 60  # it is the compressed weights that ran


def test_activations_quantized_by_coremltools_agree_with_its_own_torch_model(tmp_path: Path) -> None:
    from coremltools.optimize.torch.quantization import LinearQuantizer, LinearQuantizerConfig

    module = _randomized(nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 8, 3)))
    (x,) = _random(IMAGE)
    quantizer = LinearQuantizer(
        module, LinearQuantizerConfig.from_dict({"global_config": {"milestones": [0, 1, 9, 9]}})
    )
    prepared = quantizer.prepare(example_inputs=(_tensor(x),), inplace=False)
    quantizer.step()
    prepared(_tensor(x))
    quantizer.step()
    finalized = quantizer.finalize(inplace=False)
    package = _save(_lower(finalized, [IMAGE]), tmp_path)
    assert {"quantize", "dequantize", "constexpr_affine_dequantize"} <= _operators(package)
    with torch.no_grad():
        wanted, float_output = finalized(_tensor(x)).numpy(), module(_tensor(x)).numpy()
    got = _run(package, x)
    assert _psnr(got, wanted) >= 60  # a sum at a half step may round to the other side
    assert 20 < _psnr(got, float_output) < 60


def test_every_operator_is_covered_here() -> None:
    tested = {case[1] for case in CASES} | {compression[2] for compression in COMPRESSIONS.values()}
    assert tested | {"cast", "quantize", "dequantize"} == set(OPERATORS)


# Entry points and images -----------------------------------------------------------------------------------


class _Entry(nn.Module):
    def __init__(self, generator: Generator, entry_point: str):
        super().__init__()
        self.generator, self.entry_point = generator, entry_point

    def forward(self, *inputs: Tensor) -> Any:
        return getattr(self.generator, self.entry_point)(*inputs)


def _package_of(generator: Generator, entry_point: str, inputs: Sequence[Tensor], precision: Any, path: Path) -> Path:
    names = ["thumbnail"] if entry_point == "analyze" else ["tile", *generator.condition_names]
    outputs = generator.condition_names if entry_point == "analyze" else ["output"]
    model = ct.convert(
        torch.jit.trace(_Entry(generator, entry_point), tuple(inputs), check_trace=False),
        convert_to="mlprogram",
        minimum_deployment_target=IOS18,
        compute_precision=precision,
        inputs=[
            ct.TensorType(name=name, shape=tuple(value.shape), dtype=np.float32)
            for name, value in zip(names, inputs, strict=True)
        ],
        outputs=[ct.TensorType(name=name, dtype=np.float32) for name in outputs],
        skip_model_load=True,
    )
    model.save(str(path))
    return path


def _multifunction(generator: Generator, size: int, precision: Any, folder: Path) -> Path:
    condition = generator.analyze(torch.rand(1, 3, generator.thumbnail_px, generator.thumbnail_px))
    descriptor = ct.utils.MultiFunctionDescriptor()
    for entry_point, inputs in [
        ("analyze", (torch.rand(1, 3, generator.thumbnail_px, generator.thumbnail_px),)),
        ("enhance", (torch.rand(1, 3, size, size), *condition)),
    ]:
        package = _package_of(generator, entry_point, inputs, precision, folder / f"{entry_point}.mlpackage")
        descriptor.add_function(str(package), "main", entry_point)
    descriptor.default_function_name = "enhance"
    both = folder / "both.mlpackage"
    ct.utils.save_multifunction(descriptor, str(both))
    return both


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "floor_db"), [(FP32, 90), (FP16, 45)], ids=["fp32", "fp16"])
@pytest.mark.parametrize("name", ["pocket", "dped", "ppcn_student"])
@torch.no_grad()
def test_generator_in_one_package_agrees_with_torch(name: str, precision: Any, floor_db: float, tmp_path: Path) -> None:
    generator = build(name, {"thumbnail_px": 64})
    _randomized(generator)
    package = _multifunction(generator, 64, precision, tmp_path)
    thumbnail, tile = (_tensor(array) for array in _random((1, 3, 64, 64), (1, 3, 64, 64), low=0))

    analyze = MilProgram.load(package, "analyze")
    assert analyze.input_names == ("thumbnail",)
    assert analyze.output_names == generator.condition_names
    condition = generator.analyze(thumbnail)
    predicted = analyze.run({"thumbnail": thumbnail.numpy()})
    assert list(predicted) == list(generator.condition_names)
    for part, wanted in zip(predicted.values(), condition, strict=True):
        assert _psnr(part, wanted.numpy()) >= floor_db

    enhance = MilProgram.load(package, "enhance")
    assert enhance.input_names == ("tile", *generator.condition_names)
    feeds = {name: value.numpy() for name, value in zip(enhance.input_names, (tile, *condition), strict=True)}
    got = enhance.run(feeds)["output"]
    wanted = generator.enhance(tile, *condition).numpy()
    assert _psnr(wanted, tile.numpy()) < 40  # it does something
    assert _psnr(got, wanted) >= floor_db


@pytest.mark.slow
@torch.no_grad()
def test_zeroed_weights_show(tmp_path: Path) -> None:
    generator = build("pocket")
    _randomized(generator)
    (tile,) = _random((1, 3, 64, 64), low=0)
    inputs = (_tensor(tile), *generator.analyze(torch.rand(1, 3, 64, 64)))
    package = _package_of(generator, "enhance", inputs, FP32, tmp_path / "model.mlpackage")
    program = MilProgram.load(package)
    feeds = {name: value.numpy() for name, value in zip(program.input_names, inputs, strict=True)}
    before = program.run(feeds)["output"]
    _edit_blob(package, "generator_up_weight", lambda values: values * 0)
    assert _psnr(MilProgram.load(package).run(feeds)["output"], before) < 60
    assert np.array_equal(program.run(feeds)["output"], before)  # what is loaded does not change with the file


def _edit_blob(package: Path, constant: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change the float32 numbers of one constant in the weight file."""
    function = _read(package).mlProgram.functions["main"]
    operations = function.block_specializations[function.opset].operations
    names = {operation.outputs[0].name: operation for operation in operations if operation.type == "const"}
    at = names[constant].attributes["val"].blobFileValue.offset
    path = package / "Data" / "com.apple.CoreML" / "weights" / "weight.bin"
    data = bytearray(path.read_bytes())
    size, start = np.frombuffer(data, "<u8", 2, at + 8)
    values = np.frombuffer(data, "<f4", int(size) // 4, int(start)).copy()
    data[int(start) : int(start) + int(size)] = change(values).astype("<f4").tobytes()
    path.write_bytes(data)


def test_every_input_and_result_is_shown_as_rounded(tmp_path: Path) -> None:
    (x,) = _random(IMAGE)
    program = MilProgram.load(_save(_lower(_Of(lambda x: torch.relu(x * 3.3)), [IMAGE], FP16), tmp_path))
    seen: dict[str, Tensor] = {}
    output = _only(program.run({"x0": x}, seen.__setitem__))
    assert next(iter(seen)) == "x0" and list(seen)[-1] == "y"
    assert np.array_equal(seen["x0"].numpy(), x) and np.array_equal(seen["y"].numpy(), output)
    for value in list(seen.values())[1:]:
        assert torch.equal(value, _half(value))


def test_images_are_arrays_from_0_to_255(tmp_path: Path) -> None:
    model = ct.convert(
        torch.jit.trace(_Of(lambda x: (x * 0.5 + 0.1).clamp(0, 1) * 255), torch.rand(1, 3, 8, 6)),
        convert_to="mlprogram",
        minimum_deployment_target=IOS17,
        compute_precision=FP32,
        inputs=[ct.ImageType(name="photo", shape=(1, 3, 8, 6), scale=1 / 255)],
        outputs=[ct.ImageType(name="enhanced")],
        skip_model_load=True,
    )
    photo = np.arange(144, dtype=np.uint8).reshape(1, 3, 8, 6)
    got = MilProgram.load(_save(model, tmp_path)).run({"photo": photo})["enhanced"]
    assert _psnr(got, (photo / 255 * 0.5 + 0.1) * 255) >= 100
