"""A checkpoint lowered to TFLite for LiteRT: one `.tflite` with the signatures enhance and analyze, channels last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from torch import Tensor, nn

from conversion.artifact import Delegation, EntryPoint
from conversion.backends.tflite.pocket import PocketAnalyze, PocketEnhance
from conversion.converter import Form
from conversion.export import ConversionError, EnhanceForExport, Lowered, Source, toolchain
from training.files import workspace
from training.generators.pocket import Pocket

MODEL = "model.tflite"


def clamp_by_relu6(x: Tensor) -> Tensor:
    """[0, 1] without RELU_0_TO_1, which XNNPACK leaves outside its delegate; exact to the last bit or two."""
    return F.relu6(x * 6) * (1 / 6)


class ChannelsLast(nn.Module):
    """A module of Source with all 4-D tensors as NHWC."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        given = [t.permute(0, 3, 1, 2) if t.ndim == 4 else t for t in tensors]
        return tuple(t.permute(0, 2, 3, 1) if t.ndim == 4 else t for t in self.module(*given))


class ByName(nn.Module):
    """A module with all tensors by name: TFLite takes the names from here."""

    def __init__(self, module: nn.Module, point: EntryPoint):
        super().__init__()
        self.module = module
        self.inputs, self.outputs = ([spec.name for spec in specs] for specs in (point.inputs, point.outputs))

    def forward(self, **tensors: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.outputs, self.module(*(tensors[name] for name in self.inputs)), strict=True))


def modules_of(source: Source) -> dict[str, nn.Module]:
    """Both entry points, channels last: Pocket as written for LiteRT, other generators with their axes turned."""
    if isinstance(source.generator, Pocket):
        return {"enhance": PocketEnhance(source.generator), "analyze": PocketAnalyze(source.generator)}
    enhance = EnhanceForExport(source.generator, clamp_by_relu6)
    return {"enhance": ChannelsLast(enhance), "analyze": ChannelsLast(source.analyze)}


def lower(source: Source, form: Form, folder: Path) -> Lowered:
    """Raises ConversionError: litert-torch is not installed, or an entry point does not go into one delegate."""
    with toolchain("tflite"):
        import ai_edge_litert  # noqa: F401  (absent when only the converter is installed)
        import litert_torch  # noqa: F401

        from conversion.backends.tflite import graph as tflite_graph
        from conversion.backends.tflite import quantization as tflite_quantization

    analyze, enhance = source.entry_points("NHWC", form.io, (MODEL, "analyze"), (MODEL, "enhance"))
    model = tflite_graph.read(float_model(source))
    layers = {name: source.generator.get_submodule(name) for name in source.layers}
    try:
        tflite_graph.name_tensors(model, "enhance", kernels(layers))
        tflite_graph.name_tensors(model, "analyze", kernels(dict(modules_of(source)["analyze"].named_modules())))
    except ValueError as error:
        raise ConversionError(str(error)) from None
    if form.precision != "fp32":
        samples = source.calibration.samples if source.calibration else ()
        fed = [feeds(enhance, (sample.tile, *sample.condition)) for sample in samples]
        model = tflite_quantization.quantize(model, form, source.layers, fed)
    if form.io == "uint8":
        tflite_graph.images_in_8_bits(model, "enhance", ["tile"], ["output"])
        tflite_graph.images_in_8_bits(model, "analyze", ["thumbnail"], [])
    tflite_graph.add_facts(model, facts(source, form))
    (folder / MODEL).write_bytes(tflite_graph.write(model))

    return Lowered(
        (analyze, enhance),
        {name: delegation(folder / MODEL, name) for name in ("analyze", "enhance")},
        tools=["litert-torch", "litert-converter", "ai-edge-litert", "ai-edge-quantizer"],
        quantization=tflite_quantization.described(source, form),
    )


@lru_cache(maxsize=1)
def float_model(source: Source) -> bytes:
    """Both entry points in float32; every precision starts here, and so does every step of the search."""
    import litert_torch

    points, modules = source.entry_points("NHWC", "float", (MODEL, "analyze"), (MODEL, "enhance")), modules_of(source)
    examples = {"analyze": (source.thumbnail,), "enhance": (source.tile, *source.condition)}
    converter = litert_torch  # first the module, then the converter that its first call returns
    for point in reversed(points):  # enhance comes first: it is what a runtime without signatures finds
        module = ByName(modules[point.name], point).eval()
        converter = converter.signature(point.name, module, sample_kwargs=feeds(point, examples[point.name]))
    with workspace() as folder:
        converter.convert().export(str(folder / MODEL))
        return (folder / MODEL).read_bytes()


def feeds(point: EntryPoint, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    """NCHW tensors of Source -> by name, channels last."""
    last = [t.permute(0, 2, 3, 1).contiguous() if t.ndim == 4 else t for t in tensors]
    return {spec.name: tensor for spec, tensor in zip(point.inputs, last, strict=True)}


def kernels(modules: Mapping[str, nn.Module]) -> dict[str, npt.NDArray[np.float32]]:
    """Of the convolutions among them, as TFLite stores them: [out, height, width, in]."""
    convolutions = {name: module for name, module in modules.items() if isinstance(module, nn.Conv2d)}
    return {name: module.weight.detach().permute(0, 2, 3, 1).numpy() for name, module in convolutions.items()}


def facts(source: Source, form: Form) -> dict[str, str]:
    """What the model file itself says of its origin, in its metadata."""
    checkpoint = source.checkpoint
    return {
        "name": checkpoint.name,
        "precision": form.precision,
        "licence": checkpoint.licence,
        "checkpoint_sha256": checkpoint.sha256,
    }


def delegation(model: Path, signature: str) -> Delegation:
    """What XNNPACK takes on this host.

    LiteRT lists all operators and, after them, the delegates; those that a delegate took are the ones that lead
    from its inputs to its outputs.

    Raises:
        ConversionError: several delegates, or a convolution outside of them.
    """
    from ai_edge_litert.interpreter import Interpreter

    from conversion.backends.tflite import graph as tflite_graph

    content = tflite_graph.read(model.read_bytes())
    tflite_graph.bring_to_front(content, signature)
    interpreter = Interpreter(model_content=tflite_graph.write(content))
    interpreter.allocate_tensors()
    listed = interpreter._get_ops_details()
    delegates = [operator for operator in listed if operator["op_name"] == "DELEGATE"]
    operators = [operator for operator in listed if operator["op_name"] != "DELEGATE"]
    maker = {int(tensor): at for at, operator in enumerate(operators) for tensor in operator["outputs"]}
    taken: set[int] = set()
    for delegate in delegates:
        given, wanted = set(map(int, delegate["inputs"])), list(map(int, delegate["outputs"]))
        while wanted:
            tensor = wanted.pop()
            at = maker.get(tensor)
            if tensor not in given and at is not None and at not in taken:
                taken.add(at)
                wanted += [int(used) for used in operators[at]["inputs"]]
    left_out = tuple(sorted({operator["op_name"] for at, operator in enumerate(operators) if at not in taken}))
    if len(delegates) != 1 or "CONV_2D" in left_out:
        raise ConversionError(
            f"{signature}: {len(delegates)} delegates took {len(taken)} of {len(operators)} operators, all but "
            f"{', '.join(left_out)}; write the generator with operators that XNNPACK takes in one piece "
            "(conversion/README.md)"
        )
    return Delegation(len(delegates), len(taken), len(operators), left_out)
