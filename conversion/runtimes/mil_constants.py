"""MIL operators of quantized networks: rounding, and weights that are stored in fewer bits. See `mil_operators`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from conversion.runtimes.mil_operators import Arguments, operator


def unpack_bits(packed: Tensor, bits: int, count: int) -> Tensor:
    """The first `count` unsigned numbers of `bits` bits in a uint8 tensor, lowest bit first -> uint8 [count]."""
    flat = (packed.reshape(-1, 1) >> torch.arange(8, dtype=torch.uint8, device=packed.device)) & 1
    digits = flat.reshape(-1)[: count * bits].reshape(count, bits)
    return (digits << torch.arange(bits, dtype=torch.uint8, device=packed.device)).sum(1, dtype=torch.uint8)


def _along(axis: int, numbers: Tensor, data: Tensor) -> Tensor:
    """One number for all of `data`, or one for each index of `axis`, shaped to broadcast."""
    if numbers.numel() == 1:
        return numbers.reshape(()).float()
    if numbers.shape != (data.shape[axis],):
        raise ValueError(f"has {list(numbers.shape)} numbers for axis {axis} of {list(data.shape)}")
    shape = [1] * data.ndim
    shape[axis] = -1
    return numbers.reshape(shape).float()


def _over_blocks(numbers: Tensor, data: Tensor) -> Tensor:
    """Numbers for the blocks of a regular grid, repeated to the shape of `data`."""
    if numbers.ndim != data.ndim or any(size % parts for size, parts in zip(data.shape, numbers.shape, strict=True)):
        raise ValueError(f"has blocks {list(numbers.shape)} that do not divide {list(data.shape)}")
    for axis in range(data.ndim):
        numbers = numbers.repeat_interleave(data.shape[axis] // numbers.shape[axis], axis)
    return numbers


@operator("quantize")
def quantize(given: Arguments) -> Tensor:
    """round(input / scale) + zero_point, saturated; halves go to the even number."""
    x, axis = given.tensor("input"), given.integer("axis", 0)
    ranges = {"int8": (-128, 127, torch.int8), "uint8": (0, 255, torch.uint8)}
    if given.text("output_dtype") not in ranges:
        raise ValueError(f"quantizes to {given.text('output_dtype')!r}; known are int8 and uint8")
    low, high, dtype = ranges[given.text("output_dtype")]
    levels = torch.round(x / _along(axis, given.tensor("scale"), x))
    if "zero_point" in given:
        levels = levels + _along(axis, given.tensor("zero_point"), x)
    return levels.nan_to_num(0).clamp(low, high).to(dtype)


@operator("dequantize")
def dequantize(given: Arguments) -> Tensor:
    x, axis = given.tensor("input"), given.integer("axis", 0)
    shifted = x.float()
    if "zero_point" in given:
        shifted = shifted - _along(axis, given.tensor("zero_point"), x)
    return shifted * _along(axis, given.tensor("scale"), x)


@operator("constexpr_affine_dequantize")
def constexpr_affine_dequantize(given: Arguments) -> Tensor:
    data, axis = given.tensor("quantized_data"), given.integer("axis")
    shifted = data.float() - _along(axis, given.tensor("zero_point"), data)
    return shifted * _along(axis, given.tensor("scale"), data)


@operator("constexpr_blockwise_shift_scale")
def constexpr_blockwise_shift_scale(given: Arguments) -> Tensor:
    data, offset = given.tensor("data"), given.optional("offset")
    shifted = data.float() if offset is None else data.float() - _over_blocks(offset.float(), data)
    return shifted * _over_blocks(given.tensor("scale"), data)


@operator("constexpr_lut_to_dense")
def constexpr_lut_to_dense(given: Arguments) -> Tensor:
    """Palettized weights: one flat table and packed indices (iOS 16), or a table for each block (iOS 18)."""
    indices, tables = given.tensor("indices"), given.tensor("lut")
    if "shape" in given:
        shape = given.integers("shape")
        bits, count = tables.numel().bit_length() - 1, math.prod(shape)
        if tables.shape != (1 << bits,) or bits > 8 or -(-count * bits // 8) != indices.numel():
            raise ValueError(f"has {indices.numel()} bytes of indices into {tables.numel()} numbers for shape {shape}")
        return tables[unpack_bits(indices, bits, count).int()].reshape(shape)
    *blocks, size, vector = tables.shape
    if vector != 1:
        raise ValueError("has a table of vectors, which is not known here")
    table = _over_blocks(torch.arange(math.prod(blocks), device=tables.device).reshape(blocks), indices)
    return tables.reshape(-1, size)[table, indices.int()]
