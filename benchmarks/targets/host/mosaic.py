"""A photo of the size that phones take, made of the embedded sample where no real one is given."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image

from training.data.embedded_sample import SAMPLE
from training.photos import Pixels, read_pixels

PHOTO_PX = (3024, 4032)  # 12 MP; twice each side is 48 MP
CELL_PX = 288


def mosaic(height: int, width: int) -> Pixels:
    """Pieces of the embedded sample's photos side by side: the detail of photos at a size that none of them has."""
    photos = [read_pixels(photo.path()) for photo in SAMPLE]
    pieces = [photo[:CELL_PX, :CELL_PX] for photo in photos]
    rows, columns = math.ceil(height / CELL_PX), math.ceil(width / CELL_PX)
    cells = [[pieces[(2 * row + column) % len(pieces)] for column in range(columns)] for row in range(rows)]
    return np.concatenate([np.concatenate(row, axis=1) for row in cells])[:height, :width]


def encode(pixels: Pixels, path: Path) -> None:
    Image.fromarray(pixels).save(path, "JPEG", quality=95, subsampling="4:4:4")
