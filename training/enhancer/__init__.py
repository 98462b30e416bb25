"""Enhance photos of any size: `Enhancer.load("pocket-clean")(photo)`."""

from training.enhancer.enhancer import MAX_THREADS, Enhancer, blend, check_strength
from training.enhancer.tiles import (
    Array,
    Engine,
    enhance_photo,
    enhance_tiles,
    from_planes,
    thumbnail_planes,
    to_planes,
)
from training.enhancer.torch_engine import TILE_PX, ReadPart, TorchEngine

__all__ = [
    "MAX_THREADS",
    "TILE_PX",
    "Array",
    "Engine",
    "Enhancer",
    "ReadPart",
    "TorchEngine",
    "blend",
    "check_strength",
    "enhance_photo",
    "enhance_tiles",
    "from_planes",
    "thumbnail_planes",
    "to_planes",
]
