"""Checkpoints as models for photos: `Enhancer.load` finds this file and takes what it opens, the float generator."""

from __future__ import annotations

from pathlib import Path

from training.enhancer.photo_model import PhotoModel


def open_model(name_or_path: str | Path, device: str) -> PhotoModel:
    """By the name of a release or a checkpoint's path.

    Raises:
        CheckpointError: no such release or file, or a broken one.
        ModuleNotFoundError: no PyTorch here.
    """
    from training.checkpoint import Checkpoint
    from training.enhancer.torch_engine import float_model

    return float_model(Checkpoint.load(name_or_path), device)
