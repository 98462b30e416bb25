"""Decode and encode photos, in one place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from training.commandline import UserError


class PhotoError(UserError):
    """A photo cannot be read or written; the message names the file and the remedy."""


def printable(path: Path | str) -> str:
    """A file name for people: control characters and undecodable bytes are replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(path))


def read_pixels(path: Path) -> npt.NDArray[np.uint8]:
    """[H, W, 3] uint8 sRGB."""
    try:
        with Image.open(path) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise PhotoError(f"{printable(path)}: not a photo that can be decoded ({error}); replace it") from error
