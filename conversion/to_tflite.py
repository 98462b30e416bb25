"""python conversion/to_tflite.py [--checkpoint NAME_OR_PATH]

Convert a checkpoint to TFLite for LiteRT: one `.tflite` with the signatures enhance and analyze, channels last.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from conversion.artifact import Delegation
from conversion.convert import convert, make_parser
from conversion.export import Converter, EnhanceForExport, Form, Lowered, Source, require_one_delegate, toolchain
from training.commandline import run

MODEL = "model.tflite"


def clamp_by_relu6(x: Tensor) -> Tensor:
    """[0, 1] without RELU_0_TO_1, which XNNPACK leaves outside its delegate; exact to the last bit or two."""
    return F.relu6(x * 6) * (1 / 6)


class ChannelsLast(nn.Module):
    """A module of Source with all 4-D tensors as NHWC and every tensor by name: TFLite takes both from here."""

    def __init__(self, module: nn.Module, inputs: Sequence[str], outputs: Sequence[str]):
        super().__init__()
        self.module, self.inputs, self.outputs = module, inputs, outputs

    def forward(self, **tensors: Tensor) -> dict[str, Tensor]:
        given = [t.permute(0, 3, 1, 2) if t.ndim == 4 else t for t in (tensors[name] for name in self.inputs)]
        made = [t.permute(0, 2, 3, 1) if t.ndim == 4 else t for t in self.module(*given)]
        return dict(zip(self.outputs, made, strict=True))


def lower(source: Source, form: Form, folder: Path) -> Lowered:
    """Raises ConversionError: litert-torch is not installed, or enhance does not go into one delegate."""
    with toolchain("tflite"):
        import ai_edge_litert  # noqa: F401  (absent when only the converter is installed)
        import litert_torch

    analyze, enhance = source.entry_points("NHWC", form.io, analyze=(MODEL, "analyze"), enhance=(MODEL, "enhance"))
    converter = litert_torch  # first the module, then the converter that its first call returns
    for point, module, examples in (
        # enhance comes first, since LiteRT tells the delegation of the first signature only.
        (enhance, EnhanceForExport(source.generator, clamp_by_relu6), (source.tile, *source.condition)),
        (analyze, source.analyze, (source.thumbnail,)),
    ):
        names = [spec.name for spec in point.inputs]
        named = ChannelsLast(module, names, [spec.name for spec in point.outputs]).eval()
        last = [t.permute(0, 2, 3, 1).contiguous() if t.ndim == 4 else t for t in examples]
        converter = converter.signature(point.function, named, sample_kwargs=dict(zip(names, last, strict=True)))
    converter.convert().export(str(folder / MODEL))

    delegation = count(folder / MODEL)
    require_one_delegate(delegation)
    return Lowered(
        (analyze, enhance),
        {"analyze": None, "enhance": delegation},
        tools=["litert-torch", "litert-converter", "ai-edge-litert"],
    )


def count(model: Path) -> Delegation:
    """Operators of the first signature that XNNPACK takes on this host.

    LiteRT lists all operators and, after them, the delegates; those that a delegate took are the ones that lead
    from its inputs to its outputs.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model))
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
    return Delegation(len(delegates), len(taken), len(operators))


CONVERTER = Converter(
    format="tflite",
    lower=lower,
    precisions=("fp32",),
    targets=("litert",),
    ios=("float",),
    runs_here=("litert",),
)


def main(argv: Sequence[str] | None = None) -> int:
    return run(make_parser(__doc__, CONVERTER), lambda args: convert(args, CONVERTER), argv)


if __name__ == "__main__":
    raise SystemExit(main())
