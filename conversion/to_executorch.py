"""python conversion/to_executorch.py [--checkpoint NAME_OR_PATH]

Convert a checkpoint to ExecuTorch for the CPU (XNNPACK): one `.pte` with the methods analyze and enhance.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from conversion.artifact import Delegation
from conversion.convert import convert, make_parser
from conversion.export import Converter, Form, Lowered, Source, require_one_delegate, toolchain
from training.commandline import run

MODEL = "model.pte"


def lower(source: Source, form: Form, folder: Path) -> Lowered:
    """Raises ConversionError: ExecuTorch is not installed, or enhance does not go into one delegate."""
    with toolchain("executorch"):
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

    programs = {
        "analyze": torch.export.export(source.analyze, (source.thumbnail,)),
        "enhance": torch.export.export(source.enhance, (source.tile, *source.condition)),
    }
    edge = to_edge_transform_and_lower(programs, partitioner={name: [XnnpackPartitioner()] for name in programs})
    delegation = {name: count(edge.exported_program(name).graph_module) for name in programs}
    require_one_delegate(delegation["enhance"])
    edge.to_executorch().save(str(folder / MODEL))
    return Lowered(
        source.entry_points("NCHW", form.io, analyze=(MODEL, "analyze"), enhance=(MODEL, "enhance")),
        {**delegation},
        tools=["executorch", "torchao"],
    )


def count(graph_module: torch.fx.GraphModule) -> Delegation:
    """Operators inside and outside the delegates of a lowered graph."""
    delegates = delegated = outside = 0
    for node in graph_module.graph.nodes:
        if str(node.target) == "executorch_call_delegate":
            delegates += 1
            program: Any = getattr(graph_module, node.args[0].target).original_module
            delegated += sum(_computes(inner) for inner in program.graph.nodes)
        else:
            outside += _computes(node)
    return Delegation(delegates, delegated, delegated + outside)


def _computes(node: torch.fx.Node) -> bool:
    return node.op == "call_function" and node.target is not operator.getitem


CONVERTER = Converter(
    format="executorch",
    lower=lower,
    precisions=("fp32",),
    targets=("xnnpack",),
    ios=("float",),
    runs_here=("xnnpack",),
)


def main(argv: Sequence[str] | None = None) -> int:
    return run(make_parser(__doc__, CONVERTER), lambda args: convert(args, CONVERTER), argv)


if __name__ == "__main__":
    raise SystemExit(main())
