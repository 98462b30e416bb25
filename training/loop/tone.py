"""The mean colour of a network's answer, as a target for pairs that teach detail alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from training.checkpoint import Checkpoint
from training.enhancer import TorchEngine
from training.photos import Pixels, from_samples


def tone_of(checkpoint: Checkpoint) -> Callable[[Pixels], npt.NDArray[np.float32]]:
    """The mean colour [3] of a network's answer to a photo [H, W, 3]."""
    engine = TorchEngine(checkpoint.generator)

    def tone(photo: Pixels) -> npt.NDArray[np.float32]:
        mean: npt.NDArray[np.float32] = engine.whole(from_samples(photo)).mean((0, 1))
        return mean

    return tone
