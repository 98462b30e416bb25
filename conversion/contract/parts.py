"""The parts of a manifest, each of which refuses values that cannot be: tensors, files, tiling, figures."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from training.commandline import UserError
from training.files import sha256

MANIFEST = "manifest.json"
CHECKSUM = "manifest.json.sha256"  # as `sha256sum` writes it: the manifest guards all files, this one the manifest
SIDE_PX_MAX = 4096
VALUES_MAX = 2**28  # of one tensor: 1 GB of float32

Format = Literal["executorch", "tflite", "coreml"]
Precision = Literal["fp32", "fp16", "w8", "dyn8", "w8a8", "pal6", "pal4"]
# The backend of an ExecuTorch program, the runtime of a TFLite model, the oldest system of a Core ML package.
Target = Literal["xnnpack", "vulkan", "coreml", "litert", "ios17", "ios18"]
Dtype = Literal["float32", "uint8"]
Layout = Literal["NCHW", "NHWC", "NRC"]  # NRC: a batch of matrices, rows by columns


class ArtifactError(UserError):
    """An artifact that must not be run; the message names the file and the remedy."""


def require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def require_sha256(text: str) -> None:
    require(re.fullmatch(r"[0-9a-f]{64}", text) is not None, f"{text!r:.80} is not a sha256")


def require_inside(path: str) -> None:
    """A plain relative path that cannot leave the artifact's folder on any system."""
    parts = PurePosixPath(path).parts
    plain = path == "/".join(parts) and bool(parts) and not path.startswith("/")
    require(plain and ".." not in parts and not re.search(r"[\\:\x00-\x1f]", path),
             f"{path!r:.80} is not a path inside the artifact")  # fmt: skip


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of an entry point.

    name: as the runtime knows it. range: of the values, or None where they are not bounded.
    channel_order: "RGB" for images, None for the condition.
    dtype: "uint8" has the range 0 to 255; in a Core ML package it is an image (`CVPixelBuffer`), not a tensor.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Dtype
    layout: Layout
    range: tuple[float, float] | None
    channel_order: Literal["RGB"] | None

    def __post_init__(self) -> None:
        require(
            re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", self.name) is not None,
            f"{self.name!r:.80} is not a tensor name",
        )
        require(len(self.shape) == len(self.layout), f"shape {list(self.shape)!s:.80} does not fit {self.layout}")
        require(all(side >= 1 for side in self.shape) and math.prod(self.shape) <= VALUES_MAX,
                 f"shape {list(self.shape)!s:.80} is absurd")  # fmt: skip
        require(self.dtype == "float32" or self.range == (0.0, 255.0), f"{self.name}: uint8 is 0 to 255")

    @property
    def nchw(self) -> tuple[int, ...]:
        """The shape in the order that `training` uses."""
        if self.layout != "NHWC":
            return self.shape
        n, h, w, c = self.shape
        return n, c, h, w


@dataclass(frozen=True)
class EntryPoint:
    """function: the ExecuTorch method, the TFLite signature or the Core ML function inside `file`."""

    name: Literal["analyze", "enhance"]
    file: str
    function: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class ModelFile:
    """A file, or a folder that is one package (`.mlpackage`): then the sum and the checksum of all in it."""

    path: str
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        require_inside(self.path)
        require_sha256(self.sha256)
        require(0 <= self.bytes < 2**40, f"{self.path}: {self.bytes} bytes is absurd")

    @classmethod
    def of(cls, folder: Path, path: str) -> ModelFile:
        """Measure what lies at `folder / path`.

        Raises:
            ArtifactError: nothing there, or it leads out of `folder` by a link.
        """
        whole = folder / path
        inside = sorted(p for p in whole.rglob("*") if not p.is_dir()) if whole.is_dir() else [whole]
        for file in inside:
            if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
                raise ArtifactError(f"{file}: missing, or a link that leads out of the artifact; convert again")
        size = sum(file.stat().st_size for file in inside)
        if not whole.is_dir():
            return cls(path, sha256(whole), size)
        listing = "".join(sorted(f"{file.relative_to(whole).as_posix()}\0{sha256(file)}\n" for file in inside))
        return cls(path, hashlib.sha256(listing.encode()).hexdigest(), size)

    @classmethod
    def all_in(cls, folder: Path, packages: Collection[str]) -> tuple[ModelFile, ...]:
        """All in an artifact's folder but its manifest, in order; `packages` are folders that count as one file."""
        inside = [path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir()]
        listed = {path.parts[0] if path.parts[0] in packages else path.as_posix() for path in inside}
        return tuple(cls.of(folder, path) for path in sorted(listed - {MANIFEST, CHECKSUM}))


@dataclass(frozen=True)
class TilingSpec:
    """training.tiling.Tiling with the side of a tile (halo included), in pixels."""

    tile_px: int
    halo_px: int
    align_px: int
    border: Literal["clamp", "shift"]

    def __post_init__(self) -> None:
        require(1 <= self.tile_px <= SIDE_PX_MAX, f"a tile of {self.tile_px} px is absurd")
        require(1 <= self.align_px <= self.tile_px, f"an alignment of {self.align_px} px is absurd")
        require(self.halo_px >= 0 and 2 * self.halo_px < self.tile_px, f"a halo of {self.halo_px} px is absurd")
        require(self.tile_px % self.align_px == 0 and self.halo_px % self.align_px == 0,
                 "tile and halo must be multiples of align_px")  # fmt: skip


@dataclass(frozen=True)
class Delegation:
    """delegates: programs of the backend; delegated: operators inside them; total: all operators.

    exceptions: names of the operators that the backend does not take.
    """

    delegates: int
    delegated: int
    total: int
    exceptions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Quantization:
    """What is not float32, in words, and what the ranges were found on.

    weights, activations: of enhance's convolutions, with granularity; analyze: of that entry point.
    float_layers: convolutions of enhance that stay float, by their names in the generator.
    calibration_sha256: of the photos' pixels in order; None where no range is calibrated.
    """

    weights: str
    activations: str
    analyze: str
    float_layers: tuple[str, ...]
    calibration_photos: int
    calibration_sha256: str | None

    def __post_init__(self) -> None:
        if self.calibration_sha256 is not None:
            require_sha256(self.calibration_sha256)


@dataclass(frozen=True)
class Golden:
    """What the float reference makes of one tile, for a self-test on any device.

    Paths of raw little-endian float32, each in shape and layout of the entry points' TensorSpec, images in [0, 1] even
    where the artifact takes 8 bits. An image
    that agrees with `output` to `tolerance_psnr_db` passes, be it made with `condition` or with that of `analyze`.
    """

    thumbnail: str
    condition: tuple[str, ...]
    tile: str
    output: str
    tolerance_psnr_db: float

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.thumbnail, *self.condition, self.tile, self.output)


@dataclass(frozen=True)
class Fidelity:
    """The artifact against the clamped float reference on whole photos, [0, 1] RGB, PSNR capped at 120 dB.

    enhance_*: with the float condition instead of the artifact's own, so of the tile network alone.
    colour_shift_worst: largest |mean difference| of a channel of a photo.
    border_step_*: step of the error across tile borders in grey levels; mean over borders, of all photos and of the
    worst. None where no photo is larger than a tile.
    below_floor: what misses the floor, in words; None where all is met, or where the precision has no floor.
    """

    photos: int
    psnr_mean_db: float
    psnr_worst_db: float
    enhance_psnr_mean_db: float
    enhance_psnr_worst_db: float
    delta_e_2000_mean: float
    colour_shift_worst: float
    border_step_mean_levels: float | None
    border_step_worst_levels: float | None
    below_floor: str | None


@dataclass(frozen=True)
class Provenance:
    """The checkpoint that was converted. generator: as `training.generators.build` takes it."""

    name: str
    sha256: str
    generator: str
    config: dict[str, int]

    def __post_init__(self) -> None:
        require_sha256(self.sha256)
