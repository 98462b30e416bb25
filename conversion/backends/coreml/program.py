"""A torch module as a Core ML program: inputs and outputs as the manifest describes them, and the manifest's facts."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import coremltools
import numpy as np
import torch
from torch import Tensor, nn

from conversion.artifact import EntryPoint, TensorSpec
from conversion.converter import Form
from conversion.export import Source

TARGETS = {"ios17": coremltools.target.iOS17, "ios18": coremltools.target.iOS18}


class Images(nn.Module):
    """An entry point whose outputs fill images: 0 to 255 instead of [0, 1]."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(output * 255.0 for output in self.module(*inputs))


def convert_to_program(
    module: nn.Module, examples: Sequence[Tensor], point: EntryPoint, form: Form, is_half: Callable[[Any], bool]
) -> Any:
    """An MLModel with float weights.

    Args:
        module: [0, 1] in and out, a tuple of tensors to a tuple of tensors; images are scaled here.
        is_half: which operators compute in float16, unless the precision is fp32.
    """
    precision: Any = coremltools.precision.FLOAT32
    if form.precision != "fp32":
        precision = coremltools.transform.FP16ComputePrecision(op_selector=is_half)
    if point.outputs[0].dtype == "uint8":
        module = Images(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing turns shapes into constants: on purpose, tiles are fixed
        traced = torch.jit.trace(module.eval(), tuple(examples))  # type: ignore[no-untyped-call]
    return coremltools.convert(
        traced,
        inputs=[_input(spec) for spec in point.inputs],
        outputs=[_output(spec) for spec in point.outputs],
        convert_to="mlprogram",
        compute_precision=precision,
        minimum_deployment_target=TARGETS[form.target],
        skip_model_load=True,
    )


def _input(spec: TensorSpec) -> Any:
    if spec.dtype == "uint8":
        return coremltools.ImageType(spec.name, shape=spec.shape, scale=1 / 255, color_layout="RGB")
    # float32 inputs and outputs must be asked for: the default is float16.
    return coremltools.TensorType(spec.name, shape=spec.shape, dtype=np.float32)


def _output(spec: TensorSpec) -> Any:
    if spec.dtype == "uint8":
        return coremltools.ImageType(spec.name, color_layout="RGB")
    return coremltools.TensorType(spec.name, dtype=np.float32)


def describe(program: Any, artifact: str, point: EntryPoint, source: Source, form: Form) -> None:
    """The manifest's facts inside the model, where Xcode shows them. Nobody is named as author."""
    checkpoint, tiling = source.checkpoint, source.generator.tiling
    program.short_description = f"Pocket DSLR: {point.name}"
    program.license = checkpoint.licence
    program.user_defined_metadata.update(
        {
            "name": artifact,
            "precision": form.precision,
            "checkpoint_sha256": checkpoint.sha256,
            "tile_px": str(source.tile_px),
            "halo_px": str(tiling.halo),
        }
    )
    # A date would make two conversions of one checkpoint differ. The manifest names the other tools.
    for fact in ("conversion_date", "source", "source_dialect"):
        program.user_defined_metadata.pop(f"com.github.apple.coremltools.{fact}", None)
