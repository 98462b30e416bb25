"""Fine-tuning for one's own camera: what `train.py --finetune` chooses by itself, when it stops, what it gained.

The photos held out are halved: one half says when to stop, the other one, which neither learning nor stopping has seen,
what was gained. Patches of one photo stay together.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from training.data.pairs import PhotoPair
from training.enhancer import TorchEngine
from training.files import write_text
from training.generators.base import Generator
from training.loop.validation import SCORE
from training.photos import from_samples
from training.quality.metrics import Scores

MAX_TO_STOP_BY = 100  # pairs, evenly drawn: validation is not to take longer than learning
FIGURES = {SCORE: ("PSNR dB, mean of images", ".2f"), "psnr_of_mean_mse_db": ("PSNR dB, of mean MSE", ".2f"),
           "ms_ssim": ("MS-SSIM", ".4f"), "delta_e_2000": ("dE 2000", ".2f")}  # fmt: skip


def halves(held_out: Sequence[PhotoPair]) -> tuple[list[PhotoPair], list[PhotoPair]]:
    """(to stop by, to judge by), no photo in both. With one photo only, both are its pairs."""
    photos = list(dict.fromkeys(pair.photo for pair in held_out))
    first = set(photos[: len(photos) // 2])
    judged = [pair for pair in held_out if pair.photo not in first]
    stopping = [pair for pair in held_out if pair.photo in first] or judged
    return stopping[:: max(1, -(-len(stopping) // MAX_TO_STOP_BY))], judged


@torch.inference_mode()
def report(
    before: Generator, after: Generator, pairs: Sequence[PhotoPair], base: str, folder: Path, *, seen: bool = False
) -> dict[str, Any]:
    """Scores of the phone photo as it is, of the network before and after, on pairs that neither has learned from.

    Args:
        seen: whether stopping has looked at these pairs: with one photo held out there are no others.

    Writes gain.json and gain.md into `folder`; returns the JSON.
    """
    networks = {"before": before.eval(), "after": after.eval()}
    engines = {name: TorchEngine(net, next(net.parameters()).device.type) for name, net in networks.items()}
    scores = {"identity": Scores(), **{name: Scores() for name in engines}}
    for pair in tqdm(pairs, desc="what it gained", unit="photo", leave=False):
        phone, dslr = map(from_samples, pair.load())
        outputs = {"identity": phone, **{name: engine.whole(phone) for name, engine in engines.items()}}
        for name, output in outputs.items():
            scores[name].add(output, dslr)
    psnr_db = {name: np.array([image["psnr_db"] for image in scores[name].per_image]) for name in engines}
    gains = psnr_db["after"] - psnr_db["before"]
    facts = {
        "base": base,
        "pairs": len(pairs),
        "photos": len({pair.photo for pair in pairs}),
        "seen": seen,
        "simulated_pairs": sum(pair.simulated for pair in pairs),
        "gain_db": float(gains.mean()),
        "worst_gain_db": float(gains.min()),
        "better": int((gains > 0).sum()),
        "scores": {name: {key: score.means()[key] for key in FIGURES} for name, score in scores.items()},
    }
    write_text(folder / "gain.json", json.dumps(facts, indent=1, allow_nan=False) + "\n")
    write_text(folder / "gain.md", table(facts))
    return facts


def table(facts: dict[str, Any]) -> str:
    """gain.json in Markdown."""
    names = {"identity": "phone photo", "before": facts["base"], "after": "after fine-tuning"}
    lines = ["| | " + " | ".join(title for title, _ in FIGURES.values()) + " |", "|---" + "|--:" * len(FIGURES) + "|"]
    for name, row in facts["scores"].items():
        lines.append(f"| {names[name]} | " + " | ".join(f"{row[k]:{form}}" for k, (_, form) in FIGURES.items()) + " |")
    return "\n".join(lines) + (
        f"\n\nGained: **{facts['gain_db']:+.2f} dB** on {facts['pairs']} pairs of {facts['photos']} "
        f"photo{'s' * (facts['photos'] != 1)} that {_unseen(facts)};\n{facts['better']} of the pairs are better, the "
        f"worst changed by {facts['worst_gain_db']:+.2f} dB.\n"
    )


def _unseen(facts: dict[str, Any]) -> str:
    if facts["seen"]:
        return "learning did not see, but stopping did: hold out more photos for a figure to rely on"
    return "neither learning nor stopping saw"
