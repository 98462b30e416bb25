"""What a lowering is given (`Source`) and what it gives back (`Lowered`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from conversion.artifact import SIDE_PX_MAX, Delegation, EntryPoint, Quantization, TensorSpec
from conversion.calibration import Calibration
from conversion.converter import Form, Io
from training.checkpoint import Checkpoint
from training.commandline import UserError
from training.generators.base import Condition, Generator
from training.generators.statistics import StatisticsGenerator
from training.tiling import plan


class ConversionError(UserError):
    """A checkpoint could not be converted faithfully; nothing is left behind."""


class AnalyzeForExport(nn.Module):
    """`analyze` as a module of its own, for exporters that want a `forward`."""

    def __init__(self, generator: Generator):
        super().__init__()
        self.generator = generator

    def forward(self, thumbnail: Tensor) -> Condition:
        return self.generator.analyze(thumbnail)


class AnalyzeStatisticsForExport(nn.Module):
    """`StatisticsGenerator.analyze` for runtimes that sum 65,536 numbers one after the other.

    XNNPACK's mean of such a plane is off by about 1e-5 of its value; the mean of what is left after subtracting it puts
    that right. Without it PPCN's student stays far below the fp32 floor.
    """

    def __init__(self, generator: StatisticsGenerator):
        super().__init__()
        self.generator = generator

    def forward(self, thumbnail: Tensor) -> Condition:
        return (torch.cat(self.generator.with_own_statistics(thumbnail, _accurate_mean_and_variance)[1], 1),)


def _accurate_mean_and_variance(x: Tensor) -> tuple[Tensor, Tensor]:
    rough = _plane_mean(x)
    mean = rough + _plane_mean(x - rough)
    centred = x - mean
    return mean, _plane_mean(centred * centred)


def _plane_mean(x: Tensor) -> Tensor:
    return x.mean((2, 3), keepdim=True)


def clamp(x: Tensor) -> Tensor:
    return x.clamp(0, 1)


class EnhanceForExport(nn.Module):
    """`enhance`, clamped to [0, 1] inside the graph, in the form that the backend takes."""

    def __init__(self, generator: Generator, clamp: Callable[[Tensor], Tensor] = clamp):
        super().__init__()
        self.generator, self.clamp = generator, clamp

    def forward(self, tile: Tensor, *condition: Tensor) -> tuple[Tensor]:
        return (self.clamp(self.generator.enhance(tile, *condition)),)


class Source:
    """Two modules in eval mode, each a tuple of tensors to a tuple of tensors, and inputs of the fixed shapes (NCHW).

    layers: names of the generator's convolutions that `enhance` runs, in their order.
    calibration: None where the precision needs none.

    Raises:
        ConversionError: a tile that this generator cannot be cut into.
    """

    def __init__(self, checkpoint: Checkpoint, tile_px: int, calibration: Calibration | None = None):
        generator = checkpoint.generator.eval()
        try:
            if not 1 <= tile_px <= SIDE_PX_MAX:
                raise ValueError(f"choose from 1 to {SIDE_PX_MAX} px")
            next(plan(tile_px, tile_px, tile_px, generator.tiling))
        except ValueError as error:
            raise ConversionError(f"--tile {tile_px}: {error}") from None
        self.checkpoint, self.generator, self.tile_px = checkpoint, generator, tile_px
        self.analyze: nn.Module = AnalyzeForExport(generator).eval()
        if isinstance(generator, StatisticsGenerator):
            self.analyze = AnalyzeStatisticsForExport(generator).eval()
        self.enhance = EnhanceForExport(generator).eval()
        self.thumbnail = torch.full((1, 3, generator.thumbnail_px, generator.thumbnail_px), 0.5)
        self.tile = torch.full((1, 3, tile_px, tile_px), 0.5)
        with torch.no_grad():
            self.condition: Condition = tuple(part.clone() for part in generator.analyze(self.thumbnail))
        self.calibration = calibration
        self.layers = _convolutions_of_enhance(generator, self.tile, self.condition)

    def quantization(self, form: Form, weights: str, activations: str, analyze: str) -> Quantization:
        """What a converter did, for the manifest; names the calibration where there is one."""
        calibration = self.calibration
        return Quantization(
            weights, activations, analyze, form.float_layers,
            calibration_photos=calibration.photos if calibration else 0,
            calibration_sha256=calibration.sha256 if calibration else None,
        )  # fmt: skip

    def entry_points(
        self, layout: Literal["NCHW", "NHWC"], io: Io, analyze: tuple[str, str], enhance: tuple[str, str]
    ) -> tuple[EntryPoint, ...]:
        """Describe both, given the layout of their 4-D tensors and (file, function) of each."""
        names = self.generator.condition_names
        condition = tuple(_spec(name, part, layout) for name, part in zip(names, self.condition, strict=True))
        images = {"thumbnail": self.thumbnail, "tile": self.tile, "output": self.tile}
        thumbnail, tile, output = (_image_spec(name, image, layout, io) for name, image in images.items())
        return (
            EntryPoint("analyze", *analyze, (thumbnail,), condition),
            EntryPoint("enhance", *enhance, (tile, *condition), (output,)),
        )


def inner(layers: Sequence[str]) -> Sequence[str]:
    """Those whose activations w8a8 has in 8 bits.

    Not the first and the last: they are cheap, make much of the error, and nothing smooths what they do to colours.
    """
    return layers[1:-1]


@torch.no_grad()
def _convolutions_of_enhance(generator: Generator, tile: Tensor, condition: Condition) -> tuple[str, ...]:
    ran: list[str] = []
    handles = [
        module.register_forward_hook(lambda module, given, made, name=name: ran.append(name))
        for name, module in generator.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    generator.enhance(tile, *condition)
    for handle in handles:
        handle.remove()
    return tuple(dict.fromkeys(ran))


def _spec(name: str, tensor: Tensor, layout: Literal["NCHW", "NHWC"]) -> TensorSpec:
    if tensor.ndim == 3:
        return TensorSpec(name, tuple(tensor.shape), "float32", "NRC", range=None, channel_order=None)
    n, c, h, w = tensor.shape
    return TensorSpec(name, (n, c, h, w) if layout == "NCHW" else (n, h, w, c), "float32", layout, None, None)


def _image_spec(name: str, tensor: Tensor, layout: Literal["NCHW", "NHWC"], io: Io) -> TensorSpec:
    spec = replace(_spec(name, tensor, layout), range=(0.0, 1.0), channel_order="RGB")
    return spec if io == "float" else replace(spec, dtype="uint8", range=(0.0, 255.0))


@dataclass(frozen=True)
class Lowered:
    """What `lower` left in its folder.

    delegation: by entry point, None where unknown. tools: package names. quantization: None in fp32.
    """

    entry_points: tuple[EntryPoint, ...]
    delegation: dict[str, Delegation | None]
    tools: Sequence[str]
    quantization: Quantization | None = None


@contextmanager
def toolchain(extra: str) -> Iterator[None]:
    """Around a converter's imports of its vendor packages: an absent one becomes a sentence."""
    try:
        yield
    except ImportError as error:
        raise ConversionError(f"{error.name or error}: not installed; pip install -e .[{extra}]") from error


def require_one_delegate(delegation: Delegation) -> None:
    """`enhance` in one piece, or no artifact.

    Raises:
        ConversionError: the backend took it in several pieces, or left operators out.
    """
    if delegation.delegates != 1 or delegation.delegated != delegation.total:
        raise ConversionError(
            f"enhance: {delegation.delegates} delegates took {delegation.delegated} of {delegation.total} operators; "
            "write the generator with operators that the backend takes in one piece (conversion/README.md)"
        )
