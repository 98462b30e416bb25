"""Core ML packages that are damaged or tampered with are refused, in one sentence and without taking memory."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

ct = pytest.importorskip("coremltools")
from coremltools.proto import MIL_pb2, Model_pb2  # noqa: E402

from conversion.runtimes import mil, mil_package  # noqa: E402
from conversion.runtimes.mil import MilError, MilProgram  # noqa: E402

MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"


class _TwiceAsHigh(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.repeat(1, 1, 2, 1) * 0.5


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small package with weights in its weight file: conv, relu, conv, tile, mul."""
    torch.manual_seed(3)
    module = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 1), _TwiceAsHigh()).eval()
    model = ct.convert(
        torch.jit.trace(module, torch.rand(1, 3, 8, 8)),
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS17,
        compute_precision=ct.precision.FLOAT32,
        inputs=[ct.TensorType(name="x", shape=(1, 3, 8, 8), dtype=np.float32)],
        skip_model_load=True,
    )
    package = tmp_path_factory.mktemp("mil") / "sound.mlpackage"
    model.save(str(package))
    return package


@pytest.fixture
def package(sound: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(sound, tmp_path / "damaged.mlpackage"))


def _read(package: Path) -> Any:
    model = Model_pb2.Model()
    model.ParseFromString((package / MODEL).read_bytes())
    return model


def _edit_model(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def apply(package: Path) -> None:
        model = _read(package)
        change(model)
        (package / MODEL).write_bytes(model.SerializeToString())

    return apply


def _edit(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Change the block of operations."""

    def change_block(model: Any) -> None:
        function = model.mlProgram.functions["main"]
        change(function.block_specializations[function.opset])

    return _edit_model(change_block)


def _operation(block: Any, kind: str) -> Any:
    return next(operation for operation in block.operations if operation.type == kind)


def _weight(block: Any) -> Any:
    """The first constant that lies in the weight file."""
    values = (operation.attributes["val"] for operation in block.operations if operation.type == "const")
    return next(value for value in values if value.WhichOneof("value") == "blobFileValue")


def _parameter(block: Any, kind: str, name: str) -> Any:
    """The immediate value of a constant parameter."""
    wanted = _operation(block, kind).inputs[name].arguments[0].name
    constant = next(operation for operation in block.operations if operation.outputs[0].name == wanted)
    return constant.attributes["val"].immediateValue.tensor


def _manifest_path(path: str) -> Callable[[Path], None]:
    def apply(package: Path) -> None:
        manifest = json.loads((package / "Manifest.json").read_text())
        manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"] = path
        (package / "Manifest.json").write_text(json.dumps(manifest))

    return apply


def _moved_out(inside: str) -> Callable[[Path], None]:
    """A file or folder of the package becomes a link to the same outside of it."""

    def apply(package: Path) -> None:
        path, outside = package / inside, package.parent / "outside"
        path.rename(outside)
        path.symlink_to(outside)

    return apply


def _cut(inside: str, keep_bytes: int) -> Callable[[Path], None]:
    def apply(package: Path) -> None:
        path = package / inside
        path.write_bytes(path.read_bytes()[:keep_bytes])

    return apply


def _set(target: Callable[[Any], Any], field: str, value: Any) -> Callable[[Path], None]:
    """Set a field of the part of the block that `target` finds."""

    def change(block: Any) -> None:
        setattr(target(block), field, value)

    return _edit(change)


def _resize(value_type: Any, sizes: Sequence[int]) -> None:
    for dimension, size in zip(value_type.tensorType.dimensions, sizes, strict=True):
        dimension.constant.size = size


def _tile_to_the_sky(block: Any) -> None:
    repeats = _parameter(block, "tile", "reps").ints.values
    repeats[:] = [2**14, 2**14, 2, 1]
    _resize(_operation(block, "tile").outputs[0].type, (2**14, 3 * 2**14, 16, 8))


def _other_shape(block: Any) -> None:
    _operation(block, "relu").outputs[0].type.tensorType.dimensions[1].constant.size = 9


def _swap_order(block: Any) -> None:
    relu = _operation(block, "relu")
    relu.inputs["x"].arguments[0].name = relu.outputs[0].name


def _twice(block: Any) -> None:
    block.operations.add().CopyFrom(_operation(block, "relu"))


def _unknown_parameter(block: Any) -> None:
    _operation(block, "relu").inputs["gain"].CopyFrom(_operation(block, "relu").inputs["x"])


def _two_results(block: Any) -> None:
    _operation(block, "relu").outputs.add().CopyFrom(_operation(block, "conv").outputs[0])


def _two_other_results(block: Any) -> None:
    _two_results(block)
    _operation(block, "relu").outputs[1].name = "second"


def _flexible(model: Any) -> None:
    model.mlProgram.functions["main"].inputs[0].type.tensorType.dimensions[2].unknown.variadic = False


def _integer_input(model: Any) -> None:
    model.mlProgram.functions["main"].inputs[0].type.tensorType.dataType = MIL_pb2.INT32


def _stateful(model: Any) -> None:
    kind = model.mlProgram.functions["main"].inputs[0].type
    wrapped = MIL_pb2.ValueType()
    wrapped.CopyFrom(kind)
    kind.stateType.wrappedType.CopyFrom(wrapped)


def _no_operations(model: Any) -> None:
    model.mlProgram.functions["main"].opset = "CoreML99"


def _other_type(model: Any) -> None:
    model.identity.SetInParent()


def _giant_padding(block: Any) -> None:
    _parameter(block, "conv", "pad").ints.values[:] = [2**30, 2**30, 2**30, 2**30]
    _parameter(block, "conv", "strides").ints.values[:] = [2**29, 2**29]


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no manifest": (lambda p: (p / "Manifest.json").unlink(), "lacks its file 'Manifest.json'"),
    "broken manifest": (_cut("Manifest.json", 50), "Manifest.json that names no model"),
    "manifest is a list": (lambda p: (p / "Manifest.json").write_text("[]"), "Manifest.json that names no model"),
    "deep manifest": (lambda p: (p / "Manifest.json").write_text("[" * 10**6), "Manifest.json that names no model"),
    "large manifest": (lambda p: (p / "Manifest.json").write_text(" " * 2**21), "above 1048576 bytes"),
    "manifest path up": (_manifest_path("../../other.mlmodel"), "outside of itself"),
    "manifest path up and back": (_manifest_path("../Data/com.apple.CoreML/model.mlmodel"), "outside of itself"),
    "manifest path absolute": (_manifest_path("/dev/zero"), "outside of itself"),
    "manifest path empty": (_manifest_path(""), "lacks its file"),
    "manifest path with NUL": (_manifest_path("model\0"), "a file that cannot be"),
    "model linked out": (_moved_out(MODEL), "outside of itself"),
    "folder linked out": (_moved_out("Data/com.apple.CoreML"), "outside of itself"),
    "weights linked out": (_moved_out(WEIGHTS), "outside of itself"),
    "weight folder linked out": (_moved_out("Data/com.apple.CoreML/weights"), "outside of itself"),
    "no model": (lambda p: (p / MODEL).unlink(), "lacks its file"),
    "no weights": (lambda p: (p / WEIGHTS).unlink(), "lacks its file"),
    "empty weights": (_cut(WEIGHTS, 0), "is damaged"),
    "cut weights": (_cut(WEIGHTS, 200), "lie beyond"),
    "cut model": (_cut(MODEL, 400), "damaged model.mlmodel"),
    "large model": (lambda p: (p / MODEL).open("r+b").truncate(2**27), "above 67108864 bytes"),
    "not an ML Program": (_edit_model(_other_type), "is a identity, not an ML Program"),
    "no operations": (_edit_model(_no_operations), "has no operations"),
    "blob path up": (_set(lambda b: _weight(b).blobFileValue, "fileName", "@model_path/../../x"), "outside of itself"),
    "blob path absolute": (_set(lambda b: _weight(b).blobFileValue, "fileName", "/etc/hostname"), "outside of itself"),
    "blob path absolute after the mark": (
        _set(lambda b: _weight(b).blobFileValue, "fileName", "@model_path//etc/hostname"), "outside of itself"),
    "blob offset beyond": (_set(lambda b: _weight(b).blobFileValue, "offset", 2**63), "lies beyond"),
    "blob offset wrong": (_set(lambda b: _weight(b).blobFileValue, "offset", 8), "no record of such numbers"),
    "blob of another dtype": (_set(lambda b: _weight(b).type.tensorType, "dataType", MIL_pb2.INT8), "no record"),
    "blob of another size": (_edit(lambda block: _resize(_weight(block).type, (8, 3, 3, 4))),
                             "do not make that shape"),
    "no such dtype": (_set(lambda b: _weight(b).type.tensorType, "dataType", MIL_pb2.INT64), "not known here"),
    "absurd constant": (_edit(lambda block: _resize(_weight(block).type, (2**40, 2**40, 1, 1))), "absurd"),
    "constant of no elements": (_edit(lambda block: _resize(_weight(block).type, (8, 0, 3, 3))), "absurd"),
    "unknown operator": (_set(lambda b: _operation(b, "relu"), "type", "gelu"), "operator 'gelu', which is not known"),
    "unknown parameter": (_edit(_unknown_parameter), "parameter 'gain' is not known"),
    "missing parameter": (_edit(lambda block: _operation(block, "conv").inputs.pop("x")), "has no 'x'"),
    "two results": (_edit(_two_results), "makes .* twice"),
    "two results of one": (_edit(_two_other_results), "gives 1 results where 2 are declared"),
    "no result": (_edit(lambda block: _operation(block, "relu").ClearField("outputs")), "which is not known"),
    "result twice": (_edit(_twice), "twice"),
    "used before made": (_edit(_swap_order), "before it is made"),
    "another shape declared": (_edit(_other_shape), r"gives float32 \[1, 8, 8, 8\] where FLOAT32 \[1, 9, 8, 8\]"),
    "another dtype declared": (
        _set(lambda b: _operation(b, "relu").outputs[0].type.tensorType, "dataType", MIL_pb2.INT8), "gives float32"),
    "absurd result": (_edit(_tile_to_the_sky), "absurd shape"),
    "giant padding": (_edit(_giant_padding), "more than its kernel covers"),
    "unmade output": (_edit(lambda block: block.outputs.append("other")), "computes no 'other'"),
    "flexible shape": (_edit_model(_flexible), "flexible shape"),
    "integer input": (_edit_model(_integer_input), "float inputs are wanted"),
    "state": (_edit_model(_stateful), "is not a tensor"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_package_is_refused_in_one_sentence(name: str, package: Path) -> None:
    damage, message = DAMAGES[name]
    MilProgram.load(package)  # sound before
    resident_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    damage(package)
    with pytest.raises(MilError, match=message) as caught:
        MilProgram.load(package)
    assert str(package) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident_kib < 2**18  # no memory for absurd sizes


def test_missing_package_and_function_are_named(sound: Path, tmp_path: Path) -> None:
    with pytest.raises(MilError, match="no such Core ML package"):
        MilProgram.load(tmp_path / "none.mlpackage")
    with pytest.raises(MilError, match="no function 'enhance'; it has main"):
        MilProgram.load(sound, "enhance")


def test_feeds_must_be_the_declared_inputs(sound: Path) -> None:
    program = MilProgram.load(sound)
    with pytest.raises(MilError, match="wants the inputs"):
        program.run({})
    with pytest.raises(MilError, match=r"input 'x' must be FLOAT32 \[1, 3, 8, 8\], not \[1, 3, 8, 9\]"):
        program.run({"x": np.zeros((1, 3, 8, 9), np.float32)})


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
def test_random_damage_is_refused_or_runs(package: Path, sound: Path, changes: list[tuple[float, int]]) -> None:
    data = bytearray((sound / MODEL).read_bytes())
    for where, byte in changes:
        data[int(where * len(data))] = byte
    (package / MODEL).write_bytes(data)
    try:
        program = MilProgram.load(package)
        feeds = {name: np.ones(given.shape, np.float32) for name, given in program._inputs.items()}
        outputs = program.run(feeds)
    except MilError as error:
        assert "\n" not in str(error)
    else:
        assert all(output.dtype == np.float32 for output in outputs.values())


def test_constants_and_results_are_limited_together(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each below the limit is not enough: a small file may name the same numbers or results any number of times."""
    monkeypatch.setattr(mil_package, "LIMIT_ELEMENTS", 8 * 3 * 3 * 3)  # the first kernel
    with pytest.raises(MilError, match="constants of more than 216 elements"):
        MilProgram.load(sound)
    monkeypatch.undo()
    two_features, photo = 2 * 8 * 8 * 8, 3 * 8 * 8
    monkeypatch.setattr(mil, "LIMIT_ELEMENTS", two_features + photo)
    MilProgram.load(sound)
    monkeypatch.setattr(mil, "LIMIT_ELEMENTS", two_features - 1)
    with pytest.raises(MilError, match="results of more than 1023 elements at once"):
        MilProgram.load(sound)
