"""What the Swift engine asks of a Core ML package is what the converter's packages have: both are read."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from conversion import to_coreml
from conversion.artifact import Artifact, TensorSpec
from training import generators
from training.checkpoint import Checkpoint

Model_pb2 = pytest.importorskip("coremltools.proto.Model_pb2")
FeatureTypes_pb2 = pytest.importorskip("coremltools.proto.FeatureTypes_pb2")

pytestmark = pytest.mark.slow
Swift = Callable[..., "subprocess.CompletedProcess[str]"]
POCKET = {"channels": 8, "layers": 2, "factor": 4, "thumbnail_px": 32, "analyser_channels": 4}


@pytest.fixture(scope="module", params=["float", "uint8"])
def artifact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A small Pocket generator, by the real script."""
    folder = tmp_path_factory.mktemp("artifact")
    torch.manual_seed(0)
    checkpoint = Checkpoint(generators.build("pocket", POCKET).eval(), "Apache-2.0", name="small")
    checkpoint.save(folder / "small.safetensors")
    for at in range(2):  # one to judge is enough here: fidelity is another test's
        pixels = np.random.default_rng(at).integers(0, 256, (280, 280, 3), np.uint8)
        (folder / "photos").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / "photos" / f"{at}.png")
    flags = ["--checkpoint", str(folder / "small.safetensors"), "--io", request.param]
    flags += ["--photos", str(folder / "photos")]
    assert to_coreml.main([*flags, "--out", str(folder / "made"), "--allow-below-floor"]) == 0
    (made,) = (folder / "made").glob("*/")
    return Artifact.load(made).verify()


def model_of(artifact: Artifact, file: str) -> Any:
    package = artifact.folder / file
    manifest = json.loads((package / "Manifest.json").read_text())
    path = package / "Data" / manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
    return Model_pb2.Model.FromString(path.read_bytes())


def feature_of(described: Any) -> dict[str, Any]:
    """A feature of a package in the words of Swift's `ModelInterface`; only kinds that it knows pass."""
    kind = described.type.WhichOneof("Type")
    if kind == "imageType":
        image = described.type.imageType
        assert image.colorSpace == FeatureTypes_pb2.ImageFeatureType.RGB, "Core ML gives RGB images as 32BGRA"
        return {"name": described.name, "image": [image.height, image.width]}
    array = described.type.multiArrayType
    assert kind == "multiArrayType" and array.dataType == FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    return {"name": described.name, "tensor": list(array.shape)}


def package_interfaces(artifact: Artifact) -> dict[str, Any]:
    interfaces = {}
    for point in artifact.manifest.entry_points:
        description = model_of(artifact, point.file).description
        interfaces[point.file] = {
            "inputs": [feature_of(described) for described in description.input],
            "outputs": [feature_of(described) for described in description.output],
        }
    return interfaces


def asked(spec: TensorSpec) -> dict[str, Any]:
    """The rule of `ModelInterface.swift`, where no Swift runs it."""
    if spec.dtype == "uint8":
        return {"name": spec.name, "image": list(spec.shape[2:])}
    return {"name": spec.name, "tensor": list(spec.shape)}


def by_name(interfaces: dict[str, Any]) -> dict[str, Any]:
    """Core ML knows features by name, in no order."""
    return {
        file: {role: sorted(features, key=lambda f: f["name"]) for role, features in roles.items()}
        for file, roles in interfaces.items()
    }


def test_packages_have_what_their_manifest_promises(artifact: Artifact) -> None:
    promised = {
        point.file: {"inputs": list(map(asked, point.inputs)), "outputs": list(map(asked, point.outputs))}
        for point in artifact.manifest.entry_points
    }
    assert by_name(package_interfaces(artifact)) == by_name(promised)


def test_packages_scale_images_themselves(artifact: Artifact) -> None:
    """Pixels go in and out as they are: dividing by 255 and multiplying by it are operators of the program."""
    if artifact.manifest.io == "float":
        pytest.skip("this artifact takes floats")
    program = model_of(artifact, "enhance.mlpackage").mlProgram.functions["main"]
    block = program.block_specializations[program.opset]
    constants = [
        value
        for operation in block.operations
        for value in operation.attributes["val"].immediateValue.tensor.floats.values
    ]
    halves = b"".join(op.attributes["val"].immediateValue.tensor.bytes.values for op in block.operations)
    numbers = constants + torch.frombuffer(bytearray(halves), dtype=torch.float16).tolist()
    assert any(abs(number - 1 / 255) < 1e-5 for number in numbers), "no division by 255"
    assert any(number == 255 for number in numbers), "no multiplication by 255"


def test_swift_asks_for_what_packages_have(artifact: Artifact, swift: Swift, built: Path, tmp_path: Path) -> None:
    place = tmp_path / "interface.json"
    given = {"POCKET_ARTIFACT": str(artifact.folder), "POCKET_INTERFACE": str(place)}
    flags = ("--disable-swift-testing", "--filter", "InterfaceTests")
    tests = swift("swift", "test", "--skip-build", "--scratch-path", str(built), *flags, **given)
    assert tests.returncode == 0, (tests.stdout + tests.stderr)[-4000:]
    assert by_name(json.loads(place.read_text())) == by_name(package_interfaces(artifact))
