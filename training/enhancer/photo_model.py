"""A network that is ready for photos, whatever runs it, and where such are found (no torch here).

Engines register themselves: in each folder beside `training`, a file `engines.py` may say what it opens, as the one
here does. So `training` imports nothing of the folders above it, in a checkout as well as installed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from training.commandline import UserError
from training.enhancer.tiles import Array, Engine
from training.tiling import Tiling

if TYPE_CHECKING:
    from training.enhancer.torch_engine import TorchEngine

REGISTRATION = "engines"  # the module of a folder that has `open_model(name_or_path, device) -> PhotoModel | None`
MAX_THREADS = 4  # each needs memory for a tile
ReadPart = Callable[[int, int, int, int], Array]  # (y0, y1, x0, x1) -> [y1 - y0, x1 - x0, 3]


@dataclass(frozen=True)
class PhotoModel:
    """An engine with what a photo needs besides.

    engine: where `threads` is above 1, several threads may call it.
    sha256: of the weights; results of one photo by models with the same one are the same.
    tile_px: side of a tile with its halo. any_size: whether the engine takes tiles of other sizes, too.
    threads: tiles at a time. prepare: what each thread does before its first tile.
    float_engine: the engine, if it is the float generator, which finds exact statistics of a photo and takes it whole.
    """

    engine: Engine
    name: str
    licence: str
    sha256: str
    tiling: Tiling
    tile_px: int
    thumbnail_px: int
    any_size: bool
    threads: int
    prepare: Callable[[], object]
    float_engine: TorchEngine | None = None


def open_model(name_or_path: str | Path, device: str = "cpu") -> PhotoModel:
    """By the name of a release, a checkpoint's path or an artifact's folder.

    Of a release, its artifact runs on the CPU if it has one; else the float generator of its checkpoint.

    Raises:
        UserError: none of them, or one that is broken or needs what is not installed.
    """
    folders, file = Path(__file__).parents[2], f"{REGISTRATION}.py"
    prefix = __name__.removesuffix("training.enhancer.photo_model")  # "pocket_dslr." where it is installed
    # Checkpoints last: an artifact of the same name is faster.
    for path in (*sorted(folders.glob(f"*/{file}")), Path(__file__).with_name(file)):
        module = importlib.import_module(prefix + ".".join(path.relative_to(folders).with_suffix("").parts))
        model: PhotoModel | None = module.open_model(name_or_path, device)
        if model:
            return model
    raise UserError(f"{name_or_path}: nothing that enhances photos; give a release, a checkpoint or an artifact")
