"""Generators by name. To add one: a file with a config dataclass and a `Generator`, and a line here."""

from __future__ import annotations

from typing import Any

from training.generators.base import Generator
from training.generators.baselines import PerPixel, PerPixelConfig, Srcnn, SrcnnConfig
from training.generators.dped import Dped, DpedConfig
from training.generators.pocket import Pocket, PocketConfig
from training.generators.ppcn import PpcnConfig, PpcnStudent, PpcnTeacher

_BUILDERS: dict[str, tuple[type, type[Generator]]] = {
    "pocket": (PocketConfig, Pocket),
    "dped": (DpedConfig, Dped),
    "ppcn_student": (PpcnConfig, PpcnStudent),
    "ppcn_teacher": (PpcnConfig, PpcnTeacher),
    "srcnn": (SrcnnConfig, Srcnn),
    "per_pixel": (PerPixelConfig, PerPixel),
}
NAMES = tuple(_BUILDERS)


def build(name: str, config: dict[str, Any] | None = None) -> Generator:
    """A new generator from its name and config, as `Generator.describe` gives them.

    Raises:
        ValueError: no such generator, or a config with unknown, missing or absurd values.
    """
    if name not in _BUILDERS:
        raise ValueError(f"no generator is named {name!r}; there are {', '.join(NAMES)}")
    config_type, generator_type = _BUILDERS[name]
    config = config or {}
    for key, value in config.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 4096:
            raise ValueError(f"{name}: {key} must be a whole number from 1 to 4096, not {value!r}")
    try:
        return generator_type(config_type(**config))
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None
