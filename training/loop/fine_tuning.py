"""Fine-tuning for one's own camera: what `train.py --finetune` chooses by itself, when it stops, what it gained.

The pairs held out are halved: one half says when to stop, the other one, which neither learning nor stopping has seen,
what was gained. Patches of one photo are neighbours by name, so a half is a run of neighbours.
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

# Of train.py's flags, where the user gives none. LOG.md has what led to them.
DEFAULTS: dict[str, Any] = {
    "phone": None, "preset": "scores", "lr": 1e-3, "batch": 24, "patch": 64, "steps": 800, "validate_every": 50,
    "patience": 6,
}  # fmt: skip
MOST_TO_STOP_BY = 100  # pairs, evenly drawn: validation is not to take longer than learning
FIGURES = {SCORE: ("PSNR dB, mean of images", ".2f"), "psnr_of_mean_mse_db": ("PSNR dB, of mean MSE", ".2f"),
           "ms_ssim": ("MS-SSIM", ".4f"), "delta_e_2000": ("dE 2000", ".2f")}  # fmt: skip


def halves(held_out: Sequence[PhotoPair]) -> tuple[list[PhotoPair], list[PhotoPair]]:
    """(to stop by, to judge by). With one pair only, both are that pair."""
    middle = len(held_out) // 2
    stopping, judged = list(held_out[:middle]) or list(held_out), list(held_out[middle:])
    return stopping[:: max(1, -(-len(stopping) // MOST_TO_STOP_BY))], judged


def exhausted(scores: Sequence[float], patience: int) -> bool:
    """Whether the best of all scores lies `patience` validations back or more."""
    return len(scores) - 1 - int(np.argmax(scores)) >= patience


@torch.inference_mode()
def report(before: Generator, after: Generator, pairs: Sequence[PhotoPair], base: str, folder: Path) -> dict[str, Any]:
    """Scores of the phone photo as it is, of the network before and after, on pairs that are new to both.

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
        f"\n\nGained: **{facts['gain_db']:+.2f} dB** on {facts['pairs']} pairs that neither learning nor stopping saw; "
        f"{facts['better']} of them are better,\nthe worst changed by {facts['worst_gain_db']:+.2f} dB.\n"
    )
