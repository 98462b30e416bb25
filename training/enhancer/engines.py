"""Checkpoints as models for photos, by the float generator."""

from __future__ import annotations

from pathlib import Path

from training.commandline import UserError, how_to_install
from training.enhancer.photo_model import PhotoModel
from training.weights import release_file


def open_model(name_or_path: str | Path, device: str) -> PhotoModel:
    """By the name of a release or a checkpoint's path.

    Raises:
        UserError: no such release or file, a broken one, or no PyTorch here.
    """
    try:
        from training.checkpoint import Checkpoint
        from training.enhancer.torch_engine import float_model
    except ModuleNotFoundError as error:
        if not release_file(str(name_or_path)) and not Path(name_or_path).exists():
            raise UserError(f"{name_or_path}: neither a file or folder nor a released name") from None
        raise UserError(f"{name_or_path}: a checkpoint {how_to_install(error.name or str(error))}") from error

    return float_model(Checkpoint.load(name_or_path), device)
