"""The Artifact: what conversion hands over. A folder with model files, a golden pair and `manifest.json`.

Standard library only: apps, benchmarks and the phone-side tools read the same file, and what it says is
checked here before any runtime sees it. The language-neutral form is `conversion/contract/manifest.schema.json`.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from conversion import strict_json
from training.commandline import UserError
from training.files import sha256, write_text

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
CHECKSUM = "manifest.json.sha256"  # as `sha256sum` writes it: the manifest guards all files, this one the manifest
MANIFEST_BYTES_MAX = 1_000_000
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


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _require_sha256(text: str) -> None:
    _require(re.fullmatch(r"[0-9a-f]{64}", text) is not None, f"{text!r:.80} is not a sha256")


def _require_inside(path: str) -> None:
    """A plain relative path that cannot leave the artifact's folder on any system."""
    parts = PurePosixPath(path).parts
    plain = path == "/".join(parts) and bool(parts) and not path.startswith("/")
    _require(plain and ".." not in parts and not re.search(r"[\\:\x00-\x1f]", path),
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
        _require(
            re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", self.name) is not None,
            f"{self.name!r:.80} is not a tensor name",
        )
        _require(len(self.shape) == len(self.layout), f"shape {list(self.shape)!s:.80} does not fit {self.layout}")
        _require(all(side >= 1 for side in self.shape) and math.prod(self.shape) <= VALUES_MAX,
                 f"shape {list(self.shape)!s:.80} is absurd")  # fmt: skip
        _require(self.dtype == "float32" or self.range == (0.0, 255.0), f"{self.name}: uint8 is 0 to 255")

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
        _require_inside(self.path)
        _require_sha256(self.sha256)
        _require(0 <= self.bytes < 2**40, f"{self.path}: {self.bytes} bytes is absurd")

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
        _require(1 <= self.tile_px <= SIDE_PX_MAX, f"a tile of {self.tile_px} px is absurd")
        _require(1 <= self.align_px <= self.tile_px, f"an alignment of {self.align_px} px is absurd")
        _require(self.halo_px >= 0 and 2 * self.halo_px < self.tile_px, f"a halo of {self.halo_px} px is absurd")
        _require(self.tile_px % self.align_px == 0 and self.halo_px % self.align_px == 0,
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
            _require_sha256(self.calibration_sha256)


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
        _require_sha256(self.sha256)


@dataclass(frozen=True)
class Manifest:
    """All that an app or a benchmark must know of an artifact.

    delegation: by entry point; None where the toolchain does not say. tools: package -> version.
    quantization: None in fp32. fidelity: None where this kind of machine has no runtime for the target.
    conversion_s: what lowering took.
    """

    schema_version: int
    name: str
    format: Format
    target: Target
    precision: Precision
    quantization: Quantization | None
    files: tuple[ModelFile, ...]
    entry_points: tuple[EntryPoint, ...]
    thumbnail_px: int
    tiling: TilingSpec
    colour: Literal["sRGB, encoded"]
    delegation: dict[str, Delegation | None]
    golden: Golden
    fidelity: Fidelity | None
    conversion_s: float
    source: Provenance
    tools: dict[str, str]
    licence: str

    def __post_init__(self) -> None:
        _require(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", self.name) is not None,
                 f"{self.name!r:.80} is not an artifact name")  # fmt: skip
        _require(1 <= self.thumbnail_px <= SIDE_PX_MAX, f"a thumbnail of {self.thumbnail_px} px is absurd")
        _require(sorted(point.name for point in self.entry_points) == ["analyze", "enhance"],
                 "entry_points must be analyze and enhance")  # fmt: skip
        listed = {file.path for file in self.files}
        _require(len(listed) == len(self.files), "a file is listed twice")
        for path in (*(point.file for point in self.entry_points), *self.golden.paths):
            _require(path in listed, f"{path!r:.80} is not listed in files")
        analyze, enhance = self.entry_point("analyze"), self.entry_point("enhance")
        thumbnail, tile = (1, 3, *[self.thumbnail_px] * 2), (1, 3, *[self.tiling.tile_px] * 2)
        _require([spec.nchw for spec in analyze.inputs] == [thumbnail], "analyze does not take the thumbnail")
        _require([spec.nchw for spec in enhance.outputs] == [tile], "enhance does not give a tile")
        _require([spec.nchw for spec in enhance.inputs] == [tile, *(spec.nchw for spec in analyze.outputs)],
                 "enhance does not take a tile and the condition that analyze gives")  # fmt: skip
        _require(len(self.golden.condition) == len(analyze.outputs), "golden has not the condition of analyze")
        sizes = {file.path: file.bytes for file in self.files}
        specs = (*analyze.inputs, *analyze.outputs, enhance.inputs[0], *enhance.outputs)
        for path, spec in zip(self.golden.paths, specs, strict=True):
            _require(sizes[path] == 4 * math.prod(spec.shape), f"{path} is not {spec.name} in float32")

    @property
    def model_bytes(self) -> int:
        """Of the model files alone: what an app carries."""
        models = {point.file for point in self.entry_points}
        return sum(file.bytes for file in self.files if file.path in models)

    @property
    def io(self) -> Literal["float", "uint8"]:
        return "uint8" if self.entry_point("enhance").inputs[0].dtype == "uint8" else "float"

    def entry_point(self, name: str) -> EntryPoint:
        return next(point for point in self.entry_points if point.name == name)

    @classmethod
    def parse(cls, text: str, where: str = MANIFEST) -> Manifest:
        """From JSON text.

        Raises:
            ArtifactError: not JSON, another schema version, a field missing, unknown or of wrong type or value.
        """
        try:
            record = strict_json.loads(text)
            version = record.get("schema_version") if isinstance(record, dict) else None
            _require(version is not True and version == SCHEMA_VERSION,
                     f"schema version {version!r:.80} is not {SCHEMA_VERSION}")  # fmt: skip
            return strict_json.read(cls, record)
        except ValueError as error:
            raise ArtifactError(f"{where}: not a manifest of this release: {error}; convert again") from None

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, folder: Path) -> None:
        """Write `manifest.json` and its checksum into an artifact's folder."""
        path = write_text(folder / MANIFEST, self.to_json())
        write_text(folder / CHECKSUM, f"{sha256(path)}  {MANIFEST}\n")


@dataclass(frozen=True)
class Artifact:
    """A converted model on disk."""

    folder: Path
    manifest: Manifest

    @classmethod
    def load(cls, folder: Path) -> Artifact:
        """Read and validate the manifest; call `verify` before running anything.

        Raises:
            ArtifactError: no such artifact, or a manifest that does not hold together.
        """
        path = folder / MANIFEST
        if not path.is_file():
            raise ArtifactError(f"{path}: no such file; give the folder that a converter (to_*.py) made")
        if path.stat().st_size > MANIFEST_BYTES_MAX:
            raise ArtifactError(f"{path}: larger than any manifest; convert again")
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ArtifactError(f"{path}: not UTF-8 text; convert again") from None
        return cls(folder, Manifest.parse(text, str(path)))

    def verify(self) -> Artifact:
        """Compare every file with its size and checksum. Returns itself.

        Raises:
            ArtifactError: names the first file that differs.
        """
        try:
            noted = (self.folder / CHECKSUM).read_bytes()
        except OSError:
            noted = b""
        if noted != f"{sha256(self.folder / MANIFEST)}  {MANIFEST}\n".encode():
            raise ArtifactError(f"{self.folder / MANIFEST}: differs from its checksum in {CHECKSUM}; convert again")
        for file in self.manifest.files:
            if ModelFile.of(self.folder, file.path) != file:
                raise ArtifactError(f"{self.folder / file.path}: differs from its checksum; convert or copy it again")
        return self

    def path(self, entry_point: EntryPoint) -> Path:
        return self.folder / entry_point.file
