"""Core ML packages on any machine: `MilProgram.load(package).run({"x": array})`.

A saved `.mlpackage` of type ML Program (single or multifunction) is read with protobuf, and its MIL operators
are computed by torch on the CPU: each in float32, its result rounded to the dtype that MIL declares for it. That
checks what a converter did to the network: structure, weights, quantization, half precision. It is not the
arithmetic of the Neural Engine, nor of any Apple device, which accumulate and fuse in their own ways.

A package is not trusted: all shapes are checked, without memory being taken for them, before anything is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from coremltools.proto import MIL_pb2
from torch import Tensor

from conversion.runtimes import mil_constants  # noqa: F401  (registers its operators)
from conversion.runtimes.mil_operators import OPERATORS, Arguments, Value
from conversion.runtimes.mil_package import LIMIT_ELEMENTS, UNFIT, Declared, MilError, MilPackage, first_line

__all__ = ["MilError", "MilProgram"]

See = Callable[[str, Tensor], None]

# Dtypes that results may have, and what torch computes them in.
_COMPUTED = {
    MIL_pb2.FLOAT16: torch.float32,
    MIL_pb2.FLOAT32: torch.float32,
    MIL_pb2.INT8: torch.int8,
    MIL_pb2.UINT8: torch.uint8,
}


@dataclass(frozen=True)
class _Name:
    """An argument that is an input or an earlier result, rather than a constant."""

    name: str


@dataclass(frozen=True)
class _Step:
    """One operation, ready to run."""

    operator: str
    arguments: Mapping[str, list[_Name | Value]]
    outputs: Mapping[str, Declared]
    released: tuple[str, ...]  # names that nothing after this step uses

    @property
    def where(self) -> str:
        return f"operator {self.operator}, which makes {next(iter(self.outputs))!r}"

    def evaluate(self, known: Mapping[str, Tensor], device: str) -> tuple[list[Tensor], set[str]]:
        """-> results, rounded as declared, and the parameters that the operator did not look at."""
        given = Arguments(
            {
                parameter: [known[value.name] if isinstance(value, _Name) else value for value in values]
                for parameter, values in self.arguments.items()
            },
            device,
        )
        made = OPERATORS[self.operator](given)
        made = [made] if isinstance(made, Tensor) else made
        if len(made) != len(self.outputs):
            raise ValueError(f"gives {len(made)} results where {len(self.outputs)} are declared")
        rounded = [_rounded(one, declared.dtype) for one, declared in zip(made, self.outputs.values(), strict=True)]
        return rounded, given.unread


def _rounded(result: Tensor, dtype: int) -> Tensor:
    return result.half().float() if dtype == MIL_pb2.FLOAT16 and result.is_floating_point() else result


def _names(operation: Any) -> set[str]:
    """The inputs, results and constants that an operation refers to."""
    bindings = (binding for argument in operation.inputs.values() for binding in argument.arguments)
    return {binding.name for binding in bindings if binding.WhichOneof("binding") == "name"}


class MilProgram:
    """One function of a Core ML package.

    Inputs and outputs are float32 arrays of the declared shapes. Image inputs and outputs are arrays as well:
    [1, 3, H, W] with values 0..255, channels in the order of the model's description, used as they are; Core ML
    itself would round both to whole numbers and clamp the output to 0..255.
    """

    def __init__(self, package: MilPackage, function: Any):
        self._package = package
        self._inputs = {given.name: package.declared(given.type, given.name) for given in function.inputs}
        self._steps: list[_Step] = []
        self._constants: dict[str, Value] = {}
        for name, declared in self._inputs.items():
            if declared.dtype not in (MIL_pb2.FLOAT16, MIL_pb2.FLOAT32):
                raise package.error(f"input {name!r} is {declared}, and float inputs are wanted")
        block = function.block_specializations[function.opset]
        self.input_names = tuple(self._inputs)
        self.output_names = tuple(block.outputs)
        self._build(block)

    @classmethod
    def load(cls, package: Path, function: str = "main") -> MilProgram:
        """Read and check a function of a package.

        Raises:
            MilError: not a readable ML Program, damaged or tampered with; no such function; an operator, dtype or
                parameter that this evaluator does not know; a shape that is not what the operator makes; too large.
        """
        opened = MilPackage(Path(package))
        model = opened.model()
        if model.WhichOneof("Type") != "mlProgram":
            raise opened.error(f"is a {model.WhichOneof('Type')}, not an ML Program")
        functions = model.mlProgram.functions
        if function not in functions:
            raise MilError(f"{package}: has no function {function!r}; it has {', '.join(sorted(functions)) or 'none'}")
        if functions[function].opset not in functions[function].block_specializations:
            raise opened.error(f"function {function!r} has no operations")
        return cls(opened, functions[function])

    @torch.inference_mode()
    def run(self, feeds: Mapping[str, npt.NDArray[Any]], see: See | None = None) -> dict[str, npt.NDArray[np.float32]]:
        """Evaluate.

        Args:
            feeds: an array of the declared shape for every name in `input_names`.
            see: is shown every input and result as it is made, by its name in the program.

        Returns:
            By name in the order of `output_names`: float32, rounded as declared.

        Raises:
            MilError: an input is missing, unknown or of another shape.
        """
        if set(feeds) != set(self._inputs):
            raise MilError(f"{self._package.name}: wants the inputs {list(self._inputs)}, got {sorted(feeds)}")
        known: dict[str, Tensor] = {}
        for name, declared in self._inputs.items():
            if np.shape(feeds[name]) != declared.shape:
                raise MilError(
                    f"{self._package.name}: input {name!r} must be {declared}, not {list(np.shape(feeds[name]))}"
                )
            known[name] = _rounded(torch.from_numpy(np.array(feeds[name], np.float32)), declared.dtype)
        if see:
            for name, value in known.items():
                see(name, value)
        for step in self._steps:
            made, _ = self._evaluate(step, known, "cpu")
            for name, value in zip(step.outputs, made, strict=True):
                known[name] = value
                if see:
                    see(name, value)
            for name in step.released:
                del known[name]
        return {name: np.array(known[name].numpy(), np.float32) for name in self.output_names}

    def _evaluate(self, step: _Step, known: Mapping[str, Tensor], device: str) -> tuple[list[Tensor], set[str]]:
        try:
            return step.evaluate(known, device)
        except UNFIT as error:
            raise self._package.error(f"{step.where}: {first_line(error)}") from None

    def _build(self, block: Any) -> None:
        """Turn operations into steps, and run them once on shapes alone."""
        package = self._package
        known = {name: torch.empty(given.shape, device="meta") for name, given in self._inputs.items()}
        live_elements = sum(tensor.numel() for tensor in known.values())
        made = set(known)
        last_use = {name: at for at, operation in enumerate(block.operations) for name in _names(operation)}
        for at, operation in enumerate(block.operations):
            if not operation.outputs or (operation.type != "const" and operation.type not in OPERATORS):
                raise package.error(f"uses the operator {operation.type!r}, which is not known here")
            outputs = {output.name: package.declared(output.type, output.name) for output in operation.outputs}
            if len(outputs) < len(operation.outputs) or made & set(outputs):
                raise package.error(f"makes {operation.outputs[0].name!r} twice")
            made.update(outputs)
            if operation.type == "const":
                (name,) = outputs
                self._constants[name] = package.constant(operation.attributes["val"], name)
                continue
            live_elements += sum(math.prod(declared.shape) for declared in outputs.values())
            if live_elements > LIMIT_ELEMENTS:
                raise package.error(f"has results of more than {LIMIT_ELEMENTS} elements at once")
            done_with = {name for name in _names(operation) | set(outputs) if last_use.get(name, at) == at}
            released = tuple(done_with - set(self.output_names) - set(self._constants))
            step = _Step(operation.type, self._arguments(operation, known), outputs, released)
            results = self._checked(step, known)
            if operation.type.startswith("constexpr_"):
                (name,), (self._constants[name],) = outputs, self._evaluate(step, {}, "cpu")[0]
                continue
            known.update(zip(outputs, results, strict=True))
            self._steps.append(step)
            for name in released:
                live_elements -= known.pop(name).numel()
        missing = [name for name in self.output_names if name not in known]
        if missing:
            raise package.error(f"computes no {missing[0]!r}, which it declares as output")

    def _arguments(self, operation: Any, known: Mapping[str, Tensor]) -> dict[str, list[_Name | Value]]:
        """Inputs and attributes of an operation: constants as they are, the rest by name."""
        output = operation.outputs[0].name
        arguments: dict[str, list[_Name | Value]] = {}
        for parameter, argument in operation.inputs.items():
            values: list[_Name | Value] = []
            arguments[parameter] = values
            for binding in argument.arguments:
                if binding.WhichOneof("binding") == "value":
                    values.append(self._package.constant(binding.value, output))
                elif binding.name in self._constants:
                    values.append(self._constants[binding.name])
                elif binding.name in known:
                    values.append(_Name(binding.name))
                else:
                    raise self._package.error(f"uses {binding.name!r} before it is made")
        for parameter, value in operation.attributes.items():
            if parameter != "name":
                arguments[parameter] = [self._package.constant(value, output)]
        return arguments

    def _checked(self, step: _Step, known: Mapping[str, Tensor]) -> list[Tensor]:
        """The step on the meta device: shapes and dtypes of its results, which must be the declared ones."""
        results, unread = self._evaluate(step, known, "meta")
        if unread:
            raise self._package.error(f"{step.where}: the parameter {min(unread)!r} is not known here")
        for result, declared in zip(results, step.outputs.values(), strict=True):
            if tuple(result.shape) != declared.shape or result.dtype != _COMPUTED.get(declared.dtype):
                made = f"{str(result.dtype).removeprefix('torch.')} {list(result.shape)}"
                raise self._package.error(f"{step.where}: gives {made} where {declared} is declared")
        return results
