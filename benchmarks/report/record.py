"""The Report: what one artifact did on one target. JSON with units in its field names (standard library only).

`conversion/contract/report.schema.json` says the same for other languages. The JSON is canonical: keys sorted,
two spaces of indent, every float in fixed point with six decimals, so equal reports are equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from benchmarks.report.measured import (
    Conditions,
    Fidelity,
    Instructions,
    Sustained,
    Timing,
    WholePhoto,
    is_sha256,
    require,
)
from conversion.contract import strict_json
from training.commandline import UserError
from training.files import write_text

SCHEMA_VERSION = 1
LARGEST_BYTES = 8 << 20

Kind = Literal["host", "emulated", "physical"]
FidelityVerdict = Literal["pass", "fail", "invalid"]
LatencyVerdict = Literal["valid", "invalid", "unranked", "evaluator: fidelity only"]


class ReportError(UserError):
    """A report cannot be read; the message names the file and what is wrong in it."""


@dataclass(frozen=True)
class ArtifactFacts:
    """What was measured. `sha256` has one digest per file; delegation counts are None where a format has none."""

    name: str
    format: str
    precision: str
    bytes: int
    sha256: dict[str, str]
    source_checkpoint_sha256: str
    tile_px: int
    halo_px: int
    delegated_nodes: int | None
    total_nodes: int | None

    def __post_init__(self) -> None:
        require(bool(self.name and self.format and self.precision), "name, format and precision must not be empty")
        require(self.bytes >= 0 and bool(self.sha256), "an artifact has files")
        require(all(map(is_sha256, [*self.sha256.values(), self.source_checkpoint_sha256])), "not a sha256")
        require(0 <= 2 * self.halo_px < self.tile_px, "tile_px must exceed twice the halo_px")
        for count in (self.delegated_nodes, self.total_nodes):
            require(count is None or count >= 0, "node counts must not be negative")


@dataclass(frozen=True)
class Target:
    """Where it ran. The compute unit that was asked for and the one that did the work may differ.

    facts: what the device says of itself, such as its model and build; never what identifies one device or its owner.
    """

    kind: Kind
    name: str
    cpu: str
    os: str
    compute_unit_asked: str
    compute_unit_actual: str
    facts: dict[str, str]

    def __post_init__(self) -> None:
        require(bool(self.name), "a target has a name")


@dataclass(frozen=True)
class Protocol:
    """How it ran. No runs: latency was not measured."""

    warm_up_runs: int
    runs: int
    threads: int
    cool_down_s: float

    def __post_init__(self) -> None:
        require(min(self.warm_up_runs, self.runs, self.cool_down_s) >= 0 < self.threads, "protocol out of range")


@dataclass(frozen=True)
class Verdict:
    """What `verdict.judge` concludes from all else in the report; `reasons` says why in sentences.

    fidelity: invalid if the reference is not what the artifact was made from. latency: valid only on a physical device.
    """

    fidelity: FidelityVerdict
    latency: LatencyVerdict
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Pictures:
    """What the artifact really produced on one photo: PNG paths relative to the folder of the report.

    error_map: |after - reference| per channel times `error_amplification`, clipped. dslr: None without a partner.
    """

    photo: str
    before: str
    after: str
    reference: str
    error_map: str
    error_amplification: int
    dslr: str | None

    def __post_init__(self) -> None:
        for path in (self.before, self.after, self.reference, self.error_map, self.dslr):
            require(path is None or is_safe_path(path), f"picture path {path!r} leaves the folder of the report")
        require(self.error_amplification >= 1, "error_amplification must be at least 1")


@dataclass(frozen=True)
class Report:
    """One artifact on one target.

    What is None, the target cannot tell. Memory is resident, in 10^6 bytes, of a process that runs this artifact alone;
    the baseline was reached before the model was loaded.
    """

    schema_version: int
    artifact: ArtifactFacts
    target: Target
    protocol: Protocol
    timing: Timing | None
    instructions: Instructions | None
    sustained: Sustained | None
    conditions: Conditions | None
    whole_photos: tuple[WholePhoto, ...]
    peak_memory_mb: float | None
    baseline_memory_mb: float | None
    fidelity: Fidelity
    verdict: Verdict
    tool_versions: dict[str, str]
    date: str
    pictures: tuple[Pictures, ...]

    def __post_init__(self) -> None:
        require(self.schema_version == SCHEMA_VERSION, f"schema_version must be {SCHEMA_VERSION}")
        for memory_mb in (self.peak_memory_mb, self.baseline_memory_mb):
            require(memory_mb is None or memory_mb >= 0, "memory must not be negative")
        require(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", self.date) is not None, "date must be ISO 8601, UTC")
        datetime.fromisoformat(self.date)
        kept_px = (self.artifact.tile_px - 2 * self.artifact.halo_px) ** 2
        if self.timing:
            require(self.protocol.runs == self.timing.enhance_tile.count, "protocol.runs is not the number of samples")
            per_megapixel = self.timing.enhance_tile.p50_ms / kept_px * 1e6
            require(
                math.isclose(self.timing.enhance_ms_per_megapixel, per_megapixel, rel_tol=1e-3, abs_tol=0.1),
                f"enhance_ms_per_megapixel is not that of a tile ({per_megapixel:.6f})",
            )
        if self.instructions:
            per_px = self.instructions.enhance_tile.total / kept_px
            require(
                math.isclose(self.instructions.instructions_per_px, per_px, rel_tol=1e-5),
                f"instructions_per_px is not that of a tile ({per_px:.6f})",
            )

    @property
    def stem(self) -> str:
        return f"{safe_name(self.artifact.name)}__{safe_name(self.target.name)}"

    def to_json(self) -> str:
        return canonical_json(asdict(self)) + "\n"

    def save(self, folder: Path) -> Path:
        """Write `<artifact>__<target>.json` atomically."""
        return write_text(folder / f"{self.stem}.json", self.to_json())

    @classmethod
    def load(cls, path: Path) -> Report:
        """Read a report and check every field of it.

        Raises:
            ReportError: unreadable, not JSON, or a field that is missing, unknown, of a wrong type or out of range.
        """
        try:
            with path.open("rb") as file:
                content = file.read(LARGEST_BYTES + 1)  # whatever its size is said to be: a device has none
            require(len(content) <= LARGEST_BYTES, f"larger than {LARGEST_BYTES >> 20} MiB")
            return strict_json.read(cls, strict_json.loads(content.decode()))
        except (OSError, ValueError) as error:
            raise ReportError(
                f"{path}: not a report of this project ({error}); benchmark the artifact again"
            ) from error


def load_reports(folder: Path) -> list[Report]:
    """All reports of a folder, by name.

    Raises:
        ReportError: no folder, no report in it, or one of them is broken.
    """
    reports = [Report.load(path) for path in sorted(folder.glob("*__*.json"))]
    if not reports:
        raise ReportError(f"{folder}: no report in it (<artifact>__<target>.json); make some with on_host.py")
    return reports


def safe_name(text: str) -> str:
    """`text` as part of a file name: letters, digits, '.', '-' and single '_'; a digest keeps changed names apart."""
    safe = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9._-]", "-", text)).strip("._-")[:100]
    return (
        safe
        if safe == text
        else f"{safe or 'unnamed'}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    )


def is_safe_path(path: str) -> bool:
    """Relative, forward, and of plain characters: it cannot leave the folder that it is relative to."""
    return re.fullmatch(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*", path) is not None


def canonical_json(value: Any, indent: str = "") -> str:
    """JSON with sorted keys and floats in fixed point, six decimals."""
    inner = indent + "  "
    if isinstance(value, float):
        return f"{value:.6f}" if round(value, 6) else "0.000000"  # no minus zero
    if isinstance(value, dict) and value:
        lines = (f"{inner}{json.dumps(key)}: {canonical_json(value[key], inner)}" for key in sorted(value))
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, (list, tuple)) and value:
        return "[\n" + ",\n".join(inner + canonical_json(item, inner) for item in value) + f"\n{indent}]"
    return json.dumps(value)
