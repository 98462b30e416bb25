"""What is handed to Core ML on a Mac, and what is made of its answer, with a stand-in for `MLModel`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("coremltools")
from PIL import Image

from conversion.artifact import ArtifactError, EntryPoint, TensorSpec
from conversion.runtimes import coreml_device, open_engine

TILE = TensorSpec("tile", (1, 3, 4, 6), "uint8", "NCHW", (0.0, 255.0), "RGB")
GAIN = TensorSpec("gain", (1, 2, 1, 1), "float32", "NCHW", None, None)
OUTPUT = TensorSpec("output", (1, 3, 4, 6), "uint8", "NCHW", (0.0, 255.0), "RGB")
POINTS = [EntryPoint("enhance", "enhance.mlpackage", "main", (TILE, GAIN), (OUTPUT,))]


class StandIn:
    """Turns a picture upside down, if what it is fed is what Core ML takes."""

    def __init__(self, path: str, compute_units: Any):
        assert path.endswith("enhance.mlpackage") and compute_units is coreml_device.UNITS["ane"]

    def predict(self, feeds: dict[str, Any]) -> dict[str, Any]:
        assert isinstance(feeds["tile"], Image.Image) and feeds["tile"].size == (6, 4)
        assert feeds["gain"].shape == (1, 2, 1, 1) and feeds["gain"].dtype == np.float32
        return {"output": feeds["tile"].transpose(Image.Transpose.FLIP_TOP_BOTTOM).convert("RGBA")}

    def get_compiled_model_path(self) -> str:
        return "compiled"


def test_images_go_in_and_come_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = SimpleNamespace(preferred_compute_device=type("MLNeuralEngineComputeDevice", (), {})())
    block = SimpleNamespace(operations=["conv", "const", "add"])
    plan = SimpleNamespace(
        model_structure=SimpleNamespace(program=SimpleNamespace(functions={"main": SimpleNamespace(block=block)})),
        get_compute_device_usage_for_mlprogram_operation=lambda operation: None if operation == "const" else device,
    )
    monkeypatch.setattr(coreml_device.ct.models, "MLModel", StandIn)
    monkeypatch.setattr(coreml_device.MLComputePlan, "load_from_path", lambda path, compute_units: plan)
    engine = open_engine("coreml", tmp_path, POINTS, compute_unit="ane")
    assert isinstance(engine, coreml_device.CoremlDeviceEngine) and engine.compute_unit == "ane 2"
    picture = np.random.default_rng(0).integers(0, 256, (1, 3, 4, 6)).astype(np.float32) / np.float32(255)
    made = engine.enhance(picture, (np.zeros((1, 2, 1, 1), np.float32),))
    assert np.array_equal(made, picture[:, :, ::-1])


def test_a_refusal_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise Exception("not a model")  # as coremltools does

    monkeypatch.setattr(coreml_device.ct.models, "MLModel", refuse)
    with pytest.raises(ArtifactError, match=r"enhance\.mlpackage: Core ML refuses it \(not a model\)"):
        open_engine("coreml", tmp_path, POINTS, compute_unit="cpu")
