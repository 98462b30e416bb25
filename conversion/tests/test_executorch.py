"""ExecuTorch: every precision runs and stays near float, and every target takes both entry points in one piece."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from conversion.artifact import Target
from conversion.backends.executorch import CONVERTER, PRECISIONS
from conversion.backends.executorch.graph import export, without_log_and_maximum
from conversion.backends.executorch.half import HalfConvolution, with_half_convolutions
from conversion.backends.executorch.pocket import about_the_middle
from conversion.calibration import calibrate
from conversion.converter import Form
from conversion.export import ConversionError, Source, inner
from conversion.fidelity import FLOORS, enhance_by, floor_of, measure
from conversion.runtimes import open_engine
from training.checkpoint import Checkpoint
from training.enhancer import Array, TorchEngine, thumbnail_planes
from training.generators.pocket import Pocket
from training.quality import metrics

pytest.importorskip("executorch")

from conversion.backends.executorch import quantization as executorch_quantization
from conversion.backends.executorch.lowering import in_8_bits, lower

TILE_PX = 64
GRAPHS_BYTES = 60_000  # both graphs of Pocket without their weights
MakeCheckpoint = Callable[..., Checkpoint]


@pytest.fixture
def source(make_checkpoint: MakeCheckpoint, photo: Array) -> Source:
    """A small Pocket network, calibrated on another photo than `photo`."""
    checkpoint = make_checkpoint("pocket")
    other = (photo[::-1] * 255).astype(np.uint8)
    return Source(checkpoint, TILE_PX, calibrate([other, 255 - other], checkpoint.generator, TILE_PX))


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "bytes_per_weight"), [("fp32", 4), ("fp16", 2), ("w8a8", 1)])
def test_precisions(precision: str, bytes_per_weight: int, source: Source, photo: Array, tmp_path: Path) -> None:
    form = Form(precision, "xnnpack")
    lowered = lower(source, form, tmp_path)
    engine = open_engine("executorch", tmp_path, lowered.entry_points)
    floor = floor_of("executorch", precision, "float")
    assert measure(engine, source.generator, [photo], TILE_PX, floor).below_floor is None
    reference = TorchEngine(source.generator)
    thumbnail = thumbnail_planes(photo, source.generator.thumbnail_px)
    by_analyze = enhance_by(reference, photo, source.generator, TILE_PX, engine.analyze(thumbnail))
    assert metrics.psnr(by_analyze, enhance_by(reference, photo, source.generator, TILE_PX)) > 50
    assert engine.enhance(source.tile.numpy(), engine.analyze(thumbnail)).dtype == np.float32

    for taken in lowered.delegation.values():
        assert taken is not None and taken.delegates == 1 and taken.delegated == taken.total
    assert (lowered.quantization is None) == (precision == "fp32")
    content = (tmp_path / "model.pte").read_bytes()
    assert len(content) < bytes_per_weight * source.generator.parameter_count() + GRAPHS_BYTES
    assert len(re.findall(rb"[0-9a-f]{64}", content)) == 1, "that of the checkpoint; constants have short names"

    from executorch.runtime import Runtime

    method = Runtime.get().load_program(tmp_path / "model.pte").load_method("pocket_dslr_manifest")
    assert method is not None
    facts = json.loads(method.execute([])[0])
    assert facts["sha256"] == source.checkpoint.sha256 and facts["precision"] == precision
    assert facts["licence"] == "Apache-2.0"


def quantized_convolutions(graph: torch.fx.GraphModule) -> list[str]:
    """Names of those whose weights are int8."""
    return [
        list(node.meta["nn_module_stack"].values())[-1][0].removeprefix("generator.")
        for node in graph.graph.nodes
        if node.target is torch.ops.aten.conv2d.default and "dequantize_per_channel" in str(node.args[1].target)
    ]


@pytest.mark.parametrize("float_layers", [(), ("body.0",), ("down", "body.1")])
def test_float_layers_stay_float(float_layers: tuple[str, ...], source: Source) -> None:
    graphs, quantization = in_8_bits(source, Form("w8a8", "xnnpack", float_layers=float_layers))
    wanted = [layer for layer in inner(source.layers) if layer not in float_layers]
    assert wanted and quantized_convolutions(graphs["enhance"]) == wanted
    assert quantization is not None and quantization.float_layers == float_layers
    assert quantization.calibration_photos == 2
    in_analyze = quantized_convolutions(graphs["analyze"])
    assert "analyser.down.0" not in in_analyze and "analyser.head" in in_analyze and len(in_analyze) == 10
    assert "analyser.pooled.convolution" in in_analyze


@torch.no_grad()
def test_rounding_does_what_relus_did(source: Source, photo: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a photo that calibration did not see, with values below 0 before every relu."""

    def enhanced() -> tuple[Tensor, int]:
        graph = in_8_bits(source, Form("w8a8", "xnnpack"))[0]["enhance"]
        tile = torch.from_numpy(photo[:TILE_PX, :TILE_PX].transpose(2, 0, 1)[None].astype(np.float32))
        relus = sum(node.target is torch.ops.aten.relu.default for node in graph.graph.nodes)
        return graph(tile, *source.condition)[0], relus

    output, relus = enhanced()
    monkeypatch.setattr(executorch_quantization, "_leave_relus_to_rounding", lambda graph: None)
    wanted, relus_before = enhanced()
    assert torch.equal(output, wanted)
    assert (relus, relus_before) == (0, 2)


@torch.no_grad()
def test_about_the_middle_is_the_same_analyser_with_a_smaller_range(source: Source) -> None:
    generator = source.generator
    assert isinstance(generator, Pocket) and source.calibration is not None
    thumbnails = [sample.thumbnail for sample in source.calibration.samples]
    changed = about_the_middle(generator, thumbnails)
    other = torch.rand(source.thumbnail.shape, generator=torch.Generator().manual_seed(0))
    for thumbnail in (*thumbnails, other):
        for made, wanted in zip(changed.analyze(thumbnail), generator.analyze(thumbnail), strict=True):
            torch.testing.assert_close(made, wanted, atol=1e-4, rtol=1e-4)
    assert isinstance(generator.analyser.pooled, nn.Conv2d), "the generator itself stays as it was"

    def widest(pooled: nn.Module, of: Pocket) -> float:
        seen: list[float] = []
        handle = pooled.register_forward_pre_hook(lambda module, given: seen.append(float(np.ptp(given[0].numpy()))))
        for thumbnail in thumbnails:
            of.analyze(thumbnail)
        handle.remove()
        return max(seen)

    centred = changed.analyser.pooled.get_submodule("convolution")
    assert widest(centred, changed) < 0.6 * widest(generator.analyser.pooled, generator)


@torch.no_grad()
def test_fewer_quantized_layers_are_nearer_to_float(source: Source) -> None:
    sample = source.calibration.samples[0]
    wanted = source.enhance(sample.tile, *sample.condition)[0]

    def error(float_layers: Sequence[str]) -> float:
        graph = in_8_bits(source, Form("w8a8", "xnnpack", float_layers=tuple(float_layers)))[0]["enhance"]
        return float((graph(sample.tile, *sample.condition)[0] - wanted).square().mean())

    assert error(()) > 2 * error(inner(source.layers)[1:]) > 0
    assert error(inner(source.layers)) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("target", ["coreml", "vulkan"])
def test_targets_that_only_phones_run(target: Target, source: Source, tmp_path: Path) -> None:
    lowered = lower(source, Form("fp16", target), tmp_path)
    for taken in lowered.delegation.values():
        assert taken is not None and taken.delegates == 1 and taken.delegated == taken.total > 40
    assert b"CoreMLBackend" in (tmp_path / "model.pte").read_bytes() or target == "vulkan"
    assert b"VulkanBackend" in (tmp_path / "model.pte").read_bytes() or target == "coreml"
    assert target not in CONVERTER.runs_here and target in CONVERTER.targets


@pytest.mark.parametrize(
    ("precision", "target", "sentence"),
    [
        ("w8a8", "coreml", "give --precision fp16 or fp32"),
        ("w8a8", "vulkan", "give --precision fp16 or fp32"),
        ("pal4", "xnnpack", "give --precision fp16 or w8a8 or fp32"),
        ("fp32", "qnn", "AI Engine Direct SDK"),
    ],
)
def test_what_is_not_offered_is_a_sentence(
    precision: str, target: str, sentence: str, source: Source, tmp_path: Path
) -> None:
    with pytest.raises(ConversionError, match=sentence):
        lower(source, Form(precision, cast(Target, target)), tmp_path)
    assert not list(tmp_path.glob("*.pte"))


def test_every_offered_precision_has_a_floor() -> None:
    assert all(FLOORS[precision] for precisions in PRECISIONS.values() for precision in precisions)
    assert set(CONVERTER.precisions) == {precision for precisions in PRECISIONS.values() for precision in precisions}


class Terms(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return torch.maximum(x * 2.0 + 1.0, y - 1.0), torch.log(x + 1.0) * torch.full_like(y, 3.0) * 2.0


def test_rewriting_keeps_the_values() -> None:
    torch.manual_seed(0)
    x, y = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8) * 5
    graph = export(Terms(), (x, y))
    for made, wanted in zip(graph(x, y), Terms()(x, y), strict=True):
        assert torch.equal(made, wanted)
    assert sorted(float(number.max()) for _, number in graph.named_buffers()) == [1.0, 2.0, 3.0]  # each once
    without_log_and_maximum(graph)
    targets = {str(node.target) for node in graph.graph.nodes}
    assert "aten.minimum.default" in targets
    assert not targets & {"aten.log.default", "aten.maximum.default", "aten.full_like.default"}
    for made, wanted in zip(graph(x, y), Terms()(x, y), strict=True):
        torch.testing.assert_close(made, wanted)


@torch.no_grad()
def test_convolutions_alone_are_in_half_precision(source: Source, photo: Array) -> None:
    module = with_half_convolutions(source.enhance)
    dtypes = {name: parameter.dtype for name, parameter in module.named_parameters()}
    half = {name for name, dtype in dtypes.items() if dtype == torch.float16}
    assert half and half == {name for name in dtypes if re.search(r"body|\bdown\.\d|same", name)}
    assert {parameter.dtype for parameter in source.generator.parameters()} == {torch.float32}
    tile = torch.from_numpy(photo[:TILE_PX, :TILE_PX].transpose(2, 0, 1)[None].astype(np.float32))
    (made,), (wanted,) = module(tile, *source.condition), source.enhance(tile, *source.condition)
    assert made.dtype == torch.float32 and 0 < float((made - wanted).abs().max()) < 2e-3
    x = torch.rand(1, 3, 8, 8)
    convolution = nn.Conv2d(3, 4, 3)
    assert HalfConvolution(convolution)(x).equal(convolution.half()(x.half()).float())
