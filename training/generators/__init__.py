"""Generators by name. To add one: a file with a config dataclass and a `Generator`, and a line here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.generators.base import Generator

# Name -> module, config, generator. The modules load torch, so they are imported where one is built.
_BUILDERS = {
    "pocket": ("pocket", "PocketConfig", "Pocket"),
    "dped": ("dped", "DpedConfig", "Dped"),
    "ppcn_student": ("ppcn", "PpcnConfig", "PpcnStudent"),
    "ppcn_teacher": ("ppcn", "PpcnConfig", "PpcnTeacher"),
    "srcnn": ("baselines", "SrcnnConfig", "Srcnn"),
    "per_pixel": ("baselines", "PerPixelConfig", "PerPixel"),
}
NAMES = tuple(_BUILDERS)


def build(name: str, config: dict[str, Any] | None = None) -> Generator:
    """A new generator from its name and config, as `Generator.describe` gives them.

    Raises:
        ValueError: no such generator, or a config with unknown, missing or absurd values.
    """
    if name not in _BUILDERS:
        raise ValueError(f"no generator is named {name!r}; there are {', '.join(NAMES)}")
    module_name, *class_names = _BUILDERS[name]
    module = import_module(f"{__name__}.{module_name}")
    config_type, generator_type = (getattr(module, class_name) for class_name in class_names)
    config = config or {}
    for key, value in config.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 4096:
            raise ValueError(f"{name}: {key} must be a whole number from 1 to 4096, not {value!r}")
    try:
        generator: Generator = generator_type(config_type(**config))
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None
    return generator
