"""The MIL operators that this project's Core ML packages use, computed by torch in float32.

To add one: a function of its `Arguments`, registered under its MIL name, and a test that compares it with
torch. Semantics follow the operator reference of coremltools 9.0; images and features are [N, C, H, W].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Value = Tensor | str


class Arguments:
    """What one operation is given, by parameter name.

    `tensor` and `tensors` read data; while shapes are checked, data is on torch's meta device, which has shapes
    and no values. The other readers read constants, which have values always.

    Raises (all readers):
        ValueError: the parameter is missing, or not of the kind that the operator wants.
    """

    def __init__(self, values: Mapping[str, Sequence[Value]], device: str):
        self._values = values
        self._device = device
        self.unread = set(values)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def tensors(self, name: str) -> list[Tensor]:
        if name not in self._values:
            raise ValueError(f"has no {name!r}")
        self.unread.discard(name)
        found = [value for value in self._values[name] if isinstance(value, Tensor)]
        if not found or len(found) != len(self._values[name]):
            raise ValueError(f"{name!r} is not made of tensors")
        return [value.to(self._device) for value in found]

    def tensor(self, name: str) -> Tensor:
        found = self.tensors(name)
        if len(found) != 1:
            raise ValueError(f"{name!r} is {len(found)} tensors, not one")
        return found[0]

    def optional(self, name: str) -> Tensor | None:
        return self.tensor(name) if name in self else None

    def _constant(self, name: str) -> list[float]:
        """The numbers of a constant tensor, flat."""
        self.tensor(name)  # one tensor
        value = self._values[name][0]
        assert isinstance(value, Tensor)
        if value.device.type == "meta":
            raise ValueError(f"{name!r} must be a constant")
        return value.flatten().tolist()

    def integers(self, name: str, default: list[int] | None = None) -> list[int]:
        if name not in self and default is not None:
            return default
        return [int(number) for number in self._constant(name)]

    def number(self, name: str) -> float:
        numbers = self._constant(name)
        if len(numbers) != 1:
            raise ValueError(f"{name!r} is {len(numbers)} numbers, not one")
        return numbers[0]

    def integer(self, name: str, default: int | None = None) -> int:
        return default if name not in self and default is not None else int(self.number(name))

    def text(self, name: str) -> str:
        self.unread.discard(name)
        values = self._values.get(name, ())
        if len(values) != 1 or not isinstance(values[0], str):
            raise ValueError(f"{name!r} is not one string")
        return values[0]


Operator = Callable[[Arguments], Tensor | list[Tensor]]
OPERATORS: dict[str, Operator] = {}


def operator(name: str) -> Callable[[Operator], Operator]:
    def register(function: Operator) -> Operator:
        OPERATORS[name] = function
        return function

    return register


def _elementwise(name: str, function: Callable[..., Tensor], *parameters: str) -> None:
    OPERATORS[name] = lambda given: function(*(given.tensor(parameter) for parameter in parameters))


_elementwise("add", torch.add, "x", "y")
_elementwise("sub", torch.sub, "x", "y")
_elementwise("mul", torch.mul, "x", "y")
_elementwise("real_div", torch.div, "x", "y")
_elementwise("maximum", torch.maximum, "x", "y")
_elementwise("minimum", torch.minimum, "x", "y")
_elementwise("relu", torch.relu, "x")
_elementwise("tanh", torch.tanh, "x")
_elementwise("sqrt", torch.sqrt, "x")
_elementwise("exp", torch.exp, "x")


@operator("leaky_relu")
def leaky_relu(given: Arguments) -> Tensor:
    return F.leaky_relu(given.tensor("x"), given.number("alpha"))


@operator("clip")
def clip(given: Arguments) -> Tensor:
    return given.tensor("x").clamp(given.number("alpha"), given.number("beta"))


@operator("rsqrt")
def rsqrt(given: Arguments) -> Tensor:
    return torch.rsqrt(given.tensor("x") + given.number("epsilon"))


@operator("log")
def log(given: Arguments) -> Tensor:
    return torch.log(given.tensor("x") + given.number("epsilon"))


@operator("cast")
def cast(given: Arguments) -> Tensor:
    """The rounding itself follows from the dtype that the program declares for the result."""
    if given.text("dtype") not in ("fp16", "fp32"):
        raise ValueError(f"casts to {given.text('dtype')!r}; known are fp16 and fp32")
    return given.tensor("x").float()


@operator("fill_like")
def fill_like(given: Arguments) -> Tensor:
    return torch.full_like(given.tensor("ref_tensor"), given.number("value"))


# Shape -----------------------------------------------------------------------------------------------------


@operator("reshape")
def reshape(given: Arguments) -> Tensor:
    return given.tensor("x").reshape(given.integers("shape"))


@operator("transpose")
def transpose(given: Arguments) -> Tensor:
    return given.tensor("x").permute(given.integers("perm"))


@operator("expand_dims")
def expand_dims(given: Arguments) -> Tensor:
    x, axes = given.tensor("x"), given.integers("axes")
    for axis in sorted(axis % (x.ndim + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


@operator("squeeze")
def squeeze(given: Arguments) -> Tensor:
    return given.tensor("x").squeeze(tuple(given.integers("axes")))


@operator("concat")
def concat(given: Arguments) -> Tensor:
    if given.integer("interleave", 0):
        raise ValueError("interleaves, which is not known here")
    return torch.cat(given.tensors("values"), given.integer("axis"))


@operator("split")
def split(given: Arguments) -> list[Tensor]:
    x, axis = given.tensor("x"), given.integer("axis")
    if "split_sizes" in given:
        sizes = given.integers("split_sizes")
        if given.integer("num_splits", len(sizes)) != len(sizes):
            raise ValueError(f"splits into {given.integer('num_splits')} parts of {len(sizes)} sizes")
        return list(torch.split(x, sizes, axis))
    parts = given.integer("num_splits")
    if parts < 1 or x.shape[axis] % parts:
        raise ValueError(f"splits {x.shape[axis]} into {parts} parts")
    return list(torch.split(x, x.shape[axis] // parts, axis))


@operator("tile")
def tile(given: Arguments) -> Tensor:
    return given.tensor("x").repeat(given.integers("reps"))


@operator("slice_by_index")
def slice_by_index(given: Arguments) -> Tensor:
    x = given.tensor("x")
    zeros, ones = [0] * x.ndim, [1] * x.ndim
    from_start, to_end, drop = (given.integers(f"{kind}_mask", zeros) for kind in ("begin", "end", "squeeze"))
    axes = zip(given.integers("begin"), given.integers("end"), given.integers("stride", ones), strict=True)
    return x[
        tuple(
            begin if drop[k] else slice(None if from_start[k] else begin, None if to_end[k] else end, stride)
            for k, (begin, end, stride) in enumerate(axes)
        )
    ]


@operator("pixel_shuffle")
def pixel_shuffle(given: Arguments) -> Tensor:
    return F.pixel_shuffle(given.tensor("x"), given.integer("upscale_factor"))


@operator("pixel_unshuffle")
def pixel_unshuffle(given: Arguments) -> Tensor:
    return F.pixel_unshuffle(given.tensor("x"), given.integer("downscale_factor"))


# Layers ----------------------------------------------------------------------------------------------------


def _same(length: int, extent: int, stride: int) -> tuple[int, int]:
    """Padding before and after, so that the result has ceil(length / stride) elements; the odd one goes after."""
    total = max((-(-length // stride) - 1) * stride + extent - length, 0)
    return total // 2, total - total // 2


@operator("conv")
def conv(given: Arguments) -> Tensor:
    x, weight, bias = given.tensor("x"), given.tensor("weight"), given.optional("bias")
    strides, dilations = given.integers("strides", [1, 1]), given.integers("dilations", [1, 1])
    kind, pad = given.text("pad_type"), given.integers("pad", [0, 0, 0, 0])
    if x.ndim != 4 or weight.ndim != 4 or len(strides) != 2 or len(dilations) != 2 or len(pad) != 4:
        raise ValueError("is not two-dimensional")
    if min(strides) < 1 or min(dilations) < 1:
        raise ValueError(f"has strides {strides} and dilations {dilations}; they start at 1")
    extents = [(size - 1) * dilation + 1 for size, dilation in zip(weight.shape[2:], dilations, strict=True)]
    if kind == "same":
        rows, columns = (_same(x.shape[2 + k], extents[k], strides[k]) for k in range(2))
    elif kind == "valid":
        rows, columns = (0, 0), (0, 0)
    elif kind == "custom":
        rows, columns = (pad[0], pad[1]), (pad[2], pad[3])
    else:
        raise ValueError(f"has pad_type {kind!r}; known are same, valid and custom")
    if min(rows + columns) < 0 or max(rows) > extents[0] or max(columns) > extents[1]:
        raise ValueError(f"pads rows by {rows} and columns by {columns}, more than its kernel covers")
    padding = (rows[0], columns[0])
    if padding != (rows[1], columns[1]):
        x, padding = F.pad(x, columns + rows), (0, 0)
    return F.conv2d(x, weight, bias, strides, padding, dilations, given.integer("groups", 1))


@operator("linear")
def linear(given: Arguments) -> Tensor:
    return F.linear(given.tensor("x"), given.tensor("weight"), given.optional("bias"))


@operator("matmul")
def matmul(given: Arguments) -> Tensor:
    x, y = given.tensor("x"), given.tensor("y")
    if given.integer("transpose_x", 0):
        x = x.transpose(-1, -2)
    if given.integer("transpose_y", 0):
        y = y.transpose(-1, -2)
    if x.shape[:-2] != y.shape[:-2]:
        raise ValueError(f"repeats matrices, {list(x.shape)} by {list(y.shape)}, which is not known here")
    return torch.matmul(x, y)


@operator("reduce_mean")
def reduce_mean(given: Arguments) -> Tensor:
    return given.tensor("x").mean(given.integers("axes"), keepdim=bool(given.integer("keep_dims", 0)))


def _normalized(given: Arguments, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    x = (x - mean) * torch.rsqrt(variance + given.number("epsilon"))
    gamma, beta = given.optional("gamma"), given.optional("beta")
    if gamma is not None:
        x = x * gamma.reshape(1, -1, 1, 1)
    return x if beta is None else x + beta.reshape(1, -1, 1, 1)


@operator("batch_norm")
def batch_norm(given: Arguments) -> Tensor:
    mean, variance = (given.tensor(name).reshape(1, -1, 1, 1) for name in ("mean", "variance"))
    return _normalized(given, given.tensor("x"), mean, variance)


@operator("instance_norm")
def instance_norm(given: Arguments) -> Tensor:
    x = given.tensor("x")
    mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), correction=0, keepdim=True)
    return _normalized(given, x, mean, variance)
