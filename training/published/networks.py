"""Published generators: from the variables of the authors' checkpoints to ours.

The three DPED generators (Ignatov et al., ICCV 2017) and PPCN student and teacher (Hui et al., PIRM 2018). Their
variables are `W<n>` (kernels, height x width x in x out), `b<n>`, and for instance norm k `Variable_<2k>` (shift) and
`Variable_<2k + 1>` (scale), where `Variable_0` is written `Variable`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from training.generators.base import Generator
from training.generators.dped import Dped
from training.generators.ppcn import PpcnStudent, PpcnTeacher
from training.published.tensorflow_checkpoint import PublishedError, TensorFlowCheckpoint


@dataclass(frozen=True)
class _Kind:
    """How one kind of generator names its variables, in the order of our modules."""

    build: Callable[[], Generator]
    scope: str
    first: int  # number of the first convolution
    convolutions: list[str]
    norms: list[str]

    def variables(self) -> dict[str, str]:
        """Our parameter -> its variable."""
        names = {}
        for n, module in enumerate(self.convolutions, self.first):
            names[f"{module}.weight"], names[f"{module}.bias"] = f"W{n}", f"b{n}"
        for k, module in enumerate(self.norms):
            names[f"{module}.bias"] = f"Variable_{2 * k}" if k else "Variable"
            names[f"{module}.weight"] = f"Variable_{2 * k + 1}"
        return {parameter: self.scope + name for parameter, name in names.items()}


def _numbered(name: str, numbers: range) -> list[str]:
    return [f"{name}.{k}" for k in numbers]


_KINDS = [
    _Kind(
        Dped,
        "generator/",
        1,
        ["head", *_numbered("body", range(8)), *_numbered("post", range(2)), "tail"],
        _numbered("norms", range(8)),
    ),
    # norms.0 of PPCN is the input contrast, which has no parameters.
    _Kind(PpcnStudent, "generator_little/", 0, _numbered("convolutions", range(5)), _numbered("norms", range(1, 3))),
    _Kind(PpcnTeacher, "generator_s/", 0, _numbered("convolutions", range(8)), _numbered("norms", range(1, 5))),
]


def to_generator(checkpoint: TensorFlowCheckpoint) -> Generator:
    """The generator that a checkpoint holds, recognised by the names and shapes of its variables.

    Variables outside its scope (a discriminator) and of optimizers (`generator/W1/Adam`) are passed over.

    Raises:
        PublishedError: no known generator; a variable missing, unknown, of another shape or with values not finite.
    """
    tensors = checkpoint.tensors
    kind = next((kind for kind in _KINDS if any(name.startswith(kind.scope) for name in tensors)), None)
    if kind is None:
        raise PublishedError(
            f"{checkpoint.prefix}: holds no generator known here, but {sorted(tensors)[:3]}; give one of DPED or PPCN"
        )
    generator, variables = kind.build(), kind.variables()

    def refuse(variable: str, fault: str) -> PublishedError:
        return PublishedError(
            f"{checkpoint.prefix}: not the published {generator.name} generator: {variable} {fault}; get it again"
        )

    own = {name for name in tensors if name.startswith(kind.scope) and "/" not in name[len(kind.scope) :]}
    for variable in sorted(own - set(variables.values())):
        raise refuse(variable, "is not part of it")
    state = {}
    for parameter, expected in generator.state_dict().items():
        variable = variables[parameter]
        if variable not in tensors:
            raise refuse(variable, "is missing")
        values = tensors[variable]
        if values.ndim == 4:
            values = values.transpose(3, 2, 0, 1)  # HWIO -> OIHW
        if values.dtype != np.float32 or values.shape != tuple(expected.shape):
            raise refuse(variable, f"is {tensors[variable].dtype} {list(tensors[variable].shape)}")
        if not np.isfinite(values).all():
            raise refuse(variable, "has values that are not finite numbers")
        state[parameter] = torch.tensor(values)
    generator.load_state_dict(state)
    return generator.eval()
