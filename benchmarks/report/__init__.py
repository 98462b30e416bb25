"""The Report: what one artifact did on one target. JSON with units in its field names (standard library only)."""

from benchmarks.report.record import (
    LARGEST_BYTES,
    SCHEMA_VERSION,
    ArtifactFacts,
    FidelityVerdict,
    Kind,
    LatencyVerdict,
    Pictures,
    Protocol,
    Report,
    ReportError,
    Target,
    Verdict,
    canonical_json,
    is_safe_path,
    load_reports,
    safe_name,
)

__all__ = [
    "LARGEST_BYTES",
    "SCHEMA_VERSION",
    "ArtifactFacts",
    "FidelityVerdict",
    "Kind",
    "LatencyVerdict",
    "Pictures",
    "Protocol",
    "Report",
    "ReportError",
    "Target",
    "Verdict",
    "canonical_json",
    "is_safe_path",
    "load_reports",
    "safe_name",
]
