"""The Artifact: what conversion hands over. A folder with model files, a golden pair and `manifest.json`.

Standard library only: apps, benchmarks and the phone-side tools read the same file, and what it says is
checked here before any runtime sees it. The language-neutral form is `conversion/contract/manifest.schema.json`.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from conversion.contract import strict_json
from conversion.contract.parts import (
    CHECKSUM,
    MANIFEST,
    SIDE_PX_MAX,
    VALUES_MAX,
    ArtifactError,
    Delegation,
    Dtype,
    EntryPoint,
    Fidelity,
    Format,
    Golden,
    Layout,
    ModelFile,
    Precision,
    Provenance,
    Quantization,
    Target,
    TensorSpec,
    TilingSpec,
    require,
)
from training.files import sha256, write_text

__all__ = [
    "CHECKSUM",
    "MANIFEST",
    "SIDE_PX_MAX",
    "VALUES_MAX",
    "Artifact",
    "ArtifactError",
    "Delegation",
    "Dtype",
    "EntryPoint",
    "Fidelity",
    "Format",
    "Golden",
    "Layout",
    "Manifest",
    "ModelFile",
    "Precision",
    "Provenance",
    "Quantization",
    "Target",
    "TensorSpec",
    "TilingSpec",
]

SCHEMA_VERSION = 1
MANIFEST_BYTES_MAX = 1_000_000


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
        require(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", self.name) is not None,
                 f"{self.name!r:.80} is not an artifact name")  # fmt: skip
        require(1 <= self.thumbnail_px <= SIDE_PX_MAX, f"a thumbnail of {self.thumbnail_px} px is absurd")
        require(sorted(point.name for point in self.entry_points) == ["analyze", "enhance"],
                 "entry_points must be analyze and enhance")  # fmt: skip
        listed = {file.path for file in self.files}
        require(len(listed) == len(self.files), "a file is listed twice")
        for path in (*(point.file for point in self.entry_points), *self.golden.paths):
            require(path in listed, f"{path!r:.80} is not listed in files")
        analyze, enhance = self.entry_point("analyze"), self.entry_point("enhance")
        thumbnail, tile = (1, 3, *[self.thumbnail_px] * 2), (1, 3, *[self.tiling.tile_px] * 2)
        require([spec.nchw for spec in analyze.inputs] == [thumbnail], "analyze does not take the thumbnail")
        require([spec.nchw for spec in enhance.outputs] == [tile], "enhance does not give a tile")
        require([spec.nchw for spec in enhance.inputs] == [tile, *(spec.nchw for spec in analyze.outputs)],
                 "enhance does not take a tile and the condition that analyze gives")  # fmt: skip
        require(len(self.golden.condition) == len(analyze.outputs), "golden has not the condition of analyze")
        sizes = {file.path: file.bytes for file in self.files}
        specs = (*analyze.inputs, *analyze.outputs, enhance.inputs[0], *enhance.outputs)
        for path, spec in zip(self.golden.paths, specs, strict=True):
            require(sizes[path] == 4 * math.prod(spec.shape), f"{path} is not {spec.name} in float32")

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
            require(version is not True and version == SCHEMA_VERSION,
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
