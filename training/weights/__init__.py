"""The released checkpoints that are installed, by name (standard library only)."""

from __future__ import annotations

import re
from pathlib import Path

WEIGHTS_FOLDER = Path(__file__).parent


def released() -> list[str]:
    """Names of the releases that are installed."""
    return sorted(path.stem for path in WEIGHTS_FOLDER.glob("*.safetensors"))


def default_release() -> str:
    """What scripts use when no checkpoint is named: pocket-clean, which may be used for anything and harms no photo."""
    return next((name for name in ("pocket-clean", "pocket-iphone") if name in released()), "runs/pocket")


def is_release_name(name: str) -> bool:
    """Whether a release may have this name, which then is no path."""
    return re.fullmatch(r"[a-z0-9][a-z0-9-]*", name) is not None


def release_file(name: str) -> Path | None:
    """The file of a release; None if there is none of that name."""
    path = WEIGHTS_FOLDER / f"{name}.safetensors"
    return path if is_release_name(name) and path.is_file() else None
