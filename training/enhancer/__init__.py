"""Enhance photos of any size: `Enhancer.load("pocket-clean")(photo)`. (`full_size` does it from file to file.)"""

from training.enhancer.enhancer import (
    MAX_THREADS,
    TILE_PX,
    Array,
    Engine,
    Enhancer,
    ReadPart,
    TorchEngine,
    blend,
    check_strength,
    enhance_photo,
    enhance_tiles,
    from_planes,
    thumbnail_planes,
    to_planes,
)

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
