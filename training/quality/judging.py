"""What plain scores do not tell: how different two pictures look, detail apart from tone, and how sure a mean is."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from training.quality.auto_levels import PHOTO_APP, auto_levels
from training.quality.exposure import CONSTANT_STOPS, MAX_GAIN, auto_exposure, brighten
from training.quality.fitted import fit_colours
from training.quality.intervals import CONFIDENCE, bootstrap_interval
from training.quality.metrics import Image, ms_ssim, psnr
from training.quality.stlpips import StLpips

# What anybody can do to a photo without a network: a model that does not beat these is not worth its arithmetic.
PEERS: dict[str, Callable[[Image], Image]] = {
    f"{CONSTANT_STOPS:g} stops brighter": brighten,
    "automatic exposure": auto_exposure,
    PHOTO_APP: auto_levels,
}
COLUMNS = {
    "psnr_db": ("PSNR dB, mean of images", ".2f"),
    "ms_ssim": ("MS-SSIM", ".4f"),
    "st_lpips": ("ST-LPIPS", ".4f"),
    "fitted_psnr_db": ("fitted PSNR dB", ".2f"),
    "fitted_ms_ssim": ("fitted MS-SSIM", ".4f"),
}
TARGETED_ON = "the median of 197 photos of other cameras"


@dataclass
class Judgement:
    """Of one model over a set of images: `add` each, then take the `row`."""

    network: StLpips
    scenes: list[Hashable] = field(default_factory=list)
    per_image: list[dict[str, float]] = field(default_factory=list)

    def add(self, image: Image, reference: Image, scores: Mapping[str, float], scene: Hashable) -> None:
        """Judge one output [H, W, 3] in [0, 1] against the DSLR side.

        Args:
            scores: its plain scores, of `Scores`.
            scene: the photo that it was cut from.
        """
        fitted = fit_colours(image, reference)
        self.scenes.append(scene)
        self.per_image.append(
            {
                "psnr_db": scores["psnr_db"],
                "ms_ssim": scores["ms_ssim"],
                "st_lpips": self.network.distance(image, reference),
                "fitted_psnr_db": psnr(fitted, reference),
                "fitted_ms_ssim": ms_ssim(fitted, reference),
            }
        )

    def row(self) -> dict[str, Any]:
        """`judged`: metric -> mean and the 95 % interval of the mean, images of one scene drawn together."""
        judged = {}
        for name in COLUMNS:
            values = [scores[name] for scores in self.per_image]
            judged[name] = {"mean": float(np.mean(values)), "interval": list(bootstrap_interval(values, self.scenes))}
        return {"judged": judged}


def judged_table(rows: Sequence[dict[str, Any]]) -> str:
    """The judgements in Markdown, with their protocol; "" where there are none."""
    if not rows or "judged" not in rows[0]:
        return ""
    titles = [title for title, _ in COLUMNS.values()]
    lines = ["", "| model | " + " | ".join(titles) + " |", "|---" + "|--:" * len(titles) + "|"]
    for row in rows:
        cells = []
        for name, (_, form) in COLUMNS.items():
            mean, (low, high) = row["judged"][name]["mean"], row["judged"][name]["interval"]
            cells.append(f"{mean:{form}} ({low:{form}} to {high:{form}})")
        lines.append(f"| {row['model']} | {' | '.join(cells)} |")
    return (
        "\n".join(lines)
        + f"""

In brackets: {CONFIDENCE:.0%} interval of the mean, by bootstrap over photos. ST-LPIPS: perceptual distance (Ghildyal
and Liu 2022, AlexNet), lower is closer. Fitted: after the 3x4 colour transform that brings the output closest to the
DSLR photo, so that tone counts for nothing and detail is left. `automatic exposure` brightens until the mean of linear
light is {TARGETED_ON}, at most {np.log2(MAX_GAIN):g} stops.
"""
    )
