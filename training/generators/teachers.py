"""The mean answer of several generators, for a student to learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils import convert_conv2d_weight_memory_format

from training.generators.base import Generator
from training.tiling import thumbnail, to_uint8

Pixels = npt.NDArray[np.uint8]
Images = npt.NDArray[np.float32]
Random = np.random.Generator


class Answers:
    """The teachers' mean outputs, clamped: detail of a random orientation, tone of the upright photo.

    A student that sees the answers in every orientation learns the mean over orientations, which has finer detail than
    any of them. Tone is best where the photo stands upright, as the teachers' own pairs did: so every answer gets the
    mean colour of the answer to the upright photo.
    """

    def __init__(self, generators: Sequence[Generator], device: str):
        for generator in generators:  # twice as fast on the CPU in this layout
            convert_conv2d_weight_memory_format(generator, torch.channels_last)  # type: ignore[no-untyped-call]
        self.generators = [generator.eval().to(device) for generator in generators]
        self.device = device

    def __call__(self, photos: Sequence[Pixels], random: Random) -> list[Pixels]:
        """Of photos [H, W, 3] of one size, which are turned alike."""
        turns, mirror = int(random.integers(4)), bool(random.integers(2))
        upright = np.stack(photos)
        turned = np.rot90(upright, turns, axes=(1, 2))
        answers = self._mean(np.ascontiguousarray(turned[:, :, ::-1] if mirror else turned))
        answers = np.rot90(answers[:, :, ::-1] if mirror else answers, -turns, axes=(1, 2))
        if turns or mirror:
            sides = (1, 2)
            answers = answers + (self._mean(upright).mean(sides, keepdims=True) - answers.mean(sides, keepdims=True))
        return list(to_uint8(answers))

    @torch.inference_mode()
    def _mean(self, photos: Pixels) -> Images:
        planes = (torch.from_numpy(photos).permute(0, 3, 1, 2).float() / 255).to(self.device)
        outputs = []
        for generator in self.generators:
            side = generator.thumbnail_px
            thumbnails = np.stack([thumbnail(photo, side, side) for photo in photos])
            small = torch.from_numpy(thumbnails).permute(0, 3, 1, 2).float() / 255
            outputs.append(generator(planes, small.to(self.device)).clamp(0, 1))
        mean: Images = torch.stack(outputs).mean(0).permute(0, 2, 3, 1).cpu().numpy()
        return mean
