"""How sure a mean is: confidence intervals by bootstrap over photos."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
CONFIDENCE = 0.95


def bootstrap_interval(
    scores: Sequence[float] | npt.NDArray[np.float64], groups: Sequence[Hashable] | None = None, seed: int = 0
) -> tuple[float, float]:
    """The percentile interval of the mean (Efron 1979), 95 %, from 2,000 resamples with a fixed seed.

    Args:
        scores: one per image.
        groups: the photo that each image was cut from: images of one photo are drawn together, since they resemble
            each other. None: each image is a photo.

    Raises:
        ValueError: no scores, or not one group for each.
    """
    values = np.asarray(scores, np.float64)
    names = list(range(len(values))) if groups is None else list(groups)
    if not len(values) or len(names) != len(values):
        raise ValueError(f"{len(values)} scores and {len(names)} groups: one group for each of at least one score")
    index = {name: number for number, name in enumerate(dict.fromkeys(names))}
    members = np.array([index[name] for name in names])
    sums, counts = np.bincount(members, values), np.bincount(members)
    draws = np.random.default_rng(seed).integers(0, len(index), (RESAMPLES, len(index)))
    means = sums[draws].sum(1) / counts[draws].sum(1)
    low, high = np.percentile(means, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return float(low), float(high)
