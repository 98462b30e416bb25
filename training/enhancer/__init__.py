"""Enhance photos of any size: `Enhancer.load("pocket-clean")(photo)`.

What needs torch is imported when it is asked for, so that scripts parse their arguments first.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from training.enhancer.tiles import (
    Array,
    Engine,
    enhance_photo,
    enhance_tiles,
    from_planes,
    thumbnail_planes,
    to_planes,
)

if TYPE_CHECKING:
    from training.enhancer.enhancer import Enhancer, blend, check_strength
    from training.enhancer.torch_engine import TILE_PX, TorchEngine, float_model

__all__ = [
    "TILE_PX",
    "Array",
    "Engine",
    "Enhancer",
    "TorchEngine",
    "blend",
    "check_strength",
    "enhance_photo",
    "enhance_tiles",
    "float_model",
    "from_planes",
    "thumbnail_planes",
    "to_planes",
]
OF_TORCH_ENGINE = ("TILE_PX", "TorchEngine", "float_model")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "torch_engine" if name in OF_TORCH_ENGINE else "enhancer"
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
