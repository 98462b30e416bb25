"""The float generator as an engine."""

from __future__ import annotations

import numpy as np
import torch

from training.checkpoint import Checkpoint
from training.commandline import UserError
from training.enhancer.photo_model import MAX_THREADS, PhotoModel, ReadPart
from training.enhancer.tiles import Array, from_planes, thumbnail_planes, to_planes
from training.generators.base import Generator
from training.generators.statistics import StatisticsGenerator

TILE_PX = 320  # DPED is fastest at 256 to 320, Pocket about as fast from 256 to 768; memory grows with the square


def check_accelerator(device: str) -> None:
    """Raises UserError: PyTorch sees no GPU here."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--accelerator cuda: PyTorch sees no CUDA GPU on this machine; choose --accelerator cpu")


def float_model(checkpoint: Checkpoint, device: str = "cpu") -> PhotoModel:
    """The float generator of a checkpoint, ready for photos."""
    engine = TorchEngine(checkpoint.generator, device)
    return PhotoModel(
        engine=engine,
        name=checkpoint.name,
        licence=checkpoint.licence,
        sha256=checkpoint.sha256,
        tiling=checkpoint.generator.tiling,
        tile_px=TILE_PX,
        thumbnail_px=checkpoint.generator.thumbnail_px,
        any_size=True,
        # Tiles side by side, as torch's own threads wait for each other: with another program on one of two cores,
        # 12 MP took Pocket 2.5 s this way and 13 s or more the other.
        threads=min(torch.get_num_threads(), MAX_THREADS) if device == "cpu" else 1,
        prepare=lambda: torch.set_num_threads(1),
        float_engine=engine,
    )


class TorchEngine:
    """The float generator itself."""

    def __init__(self, generator: Generator, device: str = "cpu"):
        self.generator = generator.eval().to(device)
        self.device = device

    @torch.inference_mode()
    def analyze(self, thumbnail: Array) -> tuple[Array, ...]:
        condition = self.generator.analyze(torch.from_numpy(thumbnail).to(self.device))
        return tuple(part.cpu().numpy() for part in condition)

    @torch.inference_mode()
    def enhance(self, tile: Array, condition: tuple[Array, ...]) -> Array:
        given = [torch.from_numpy(part).to(self.device) for part in condition]
        planes = torch.from_numpy(np.ascontiguousarray(tile)).to(self.device)
        return self.generator.enhance(planes, *given).clamp_(0, 1).cpu().numpy()

    def exact_condition(self, photo: Array) -> tuple[Array, ...]:
        """The condition of the whole photo; for generators without statistics, `analyze` of the thumbnail."""
        exact = self.statistics((photo.shape[0], photo.shape[1]), lambda y0, y1, x0, x1: photo[y0:y1, x0:x1])
        return exact or self.analyze(thumbnail_planes(photo, self.generator.thumbnail_px))

    @property
    def statistics_passes(self) -> int:
        """How often `statistics` reads the photo."""
        return len(self.generator.norms) if isinstance(self.generator, StatisticsGenerator) else 0

    @torch.inference_mode()
    def statistics(self, size: tuple[int, int], read: ReadPart) -> tuple[Array, ...] | None:
        """The exact condition of a photo that is read in parts; None for generators without statistics.

        Args:
            size: (height, width).
        """

        def read_planes(y0: int, y1: int, x0: int, x1: int) -> torch.Tensor:
            return torch.from_numpy(to_planes(read(y0, y1, x0, x1))).to(self.device)

        exact = self.generator.exact_condition(size, read_planes, TILE_PX)
        return None if exact is None else tuple(part.cpu().numpy() for part in exact)

    @torch.inference_mode()
    def whole(self, photo: Array) -> Array:
        """The reference: the whole photo [H, W, 3] at once, clamped."""
        small = torch.from_numpy(thumbnail_planes(photo, self.generator.thumbnail_px)).to(self.device)
        output = self.generator(torch.from_numpy(to_planes(photo)).to(self.device), small)
        return from_planes(output.cpu().numpy()).clip(0, 1)
