"""A sheet to look at: one row per photo, one column per version of it, each with its name above."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from training.files import replacing
from training.tiling import to_uint8

ROWS = 4
CELL_PX = 300
LABEL_PX = 26
GAP_PX = 6


class Sheet:
    """Collects the first rows it is given; pictures are [H, W, 3] float in [0, 1]."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Image.Image]] = []

    def add(self, versions: Mapping[str, npt.NDArray[np.floating[Any]]]) -> None:
        """One photo in its versions, all of one size, by name."""
        if len(self._rows) < ROWS:
            self._rows.append({name: _fitted(Image.fromarray(to_uint8(picture))) for name, picture in versions.items()})

    def save(self, path: Path) -> Path:
        """Write as JPEG; the rows must have been given the same versions."""
        heights = [next(iter(row.values())).height for row in self._rows]
        columns = max(len(row) for row in self._rows)
        size = (columns * (CELL_PX + GAP_PX) + GAP_PX, LABEL_PX + sum(height + GAP_PX for height in heights))
        canvas = Image.new("RGB", size, "white")
        draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(15)
        for column, name in enumerate(self._rows[0]):
            draw.text((GAP_PX + column * (CELL_PX + GAP_PX), 4), name[:38], "black", font)
        top = LABEL_PX
        for row, height in zip(self._rows, heights, strict=True):
            for column, picture in enumerate(row.values()):
                canvas.paste(picture, (GAP_PX + column * (CELL_PX + GAP_PX), top))
            top += height + GAP_PX
        with replacing(path) as temporary:
            canvas.save(temporary, "JPEG", quality=92)
        return path


def _fitted(picture: Image.Image) -> Image.Image:
    """CELL_PX wide: large photos are reduced, patches enlarged pixel by pixel."""
    height = round(picture.height * CELL_PX / picture.width)
    method = Image.Resampling.LANCZOS if picture.width > CELL_PX else Image.Resampling.NEAREST
    return picture.resize((CELL_PX, height), method)
