"""Fine-tuning for one's own camera: which pairs say when to stop, which judge, and what was gained.

The pairs held out are halved by photo: one half says when to stop, the other one, which neither learning nor stopping
has seen, what was gained. Where the photos are not known a half is a run of neighbours by name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from training.data.photo_pair import PhotoPair, count_of
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
    """(to stop by, to judge by). Patches of the only photo are halved, too; with one pair, both are that pair."""
    photos = list(dict.fromkeys(pair.scene for pair in held_out))
    if len(photos) > 1:
        early = set(photos[: len(photos) // 2])
        stopping = [pair for pair in held_out if pair.scene in early]
        judged = [pair for pair in held_out if pair.scene not in early]
    else:
        middle = len(held_out) // 2
        stopping, judged = list(held_out[:middle]) or list(held_out), list(held_out[middle:])
    return stopping[:: max(1, -(-len(stopping) // MAX_TO_STOP_BY))], judged


@torch.no_grad()
def keep(initial: Generator, share: float, tuned: Generator) -> None:
    """Move the weights of `tuned` back towards the initial ones (Wortsman et al., CVPR 2022: WiSE-FT).

    What fine-tuning on few pairs gains is mostly kept, what it forgets mostly comes back.
    """
    for before, after in zip(initial.parameters(), tuned.parameters(), strict=True):
        after.lerp_(before, share)


@torch.inference_mode()
def report(
    before: Generator, after: Generator, pairs: Sequence[PhotoPair], *, base: str, folder: Path,
    seen: Sequence[PhotoPair],
) -> dict[str, Any]:  # fmt: skip
    """Scores of the phone photo as it is, of the network before and after, on pairs that are new to both.

    seen: what learning and stopping saw; of photos that are among them, the report says so. Writes gain.json and
    gain.md into `folder`; returns the JSON.
    """
    networks = {"before": before.eval(), "after": after.eval()}
    engines = {name: TorchEngine(net, next(net.parameters()).device.type) for name, net in networks.items()}
    scores = {"identity": Scores(), **{name: Scores() for name in engines}}
    for pair in tqdm(pairs, desc="what it gained", unit="photo", leave=False, disable=None):
        phone, dslr = map(from_samples, pair.load())
        outputs = {"identity": phone, **{name: engine.whole(phone) for name, engine in engines.items()}}
        for name, output in outputs.items():
            scores[name].add(output, dslr)
    psnr_db = {name: np.array([image["psnr_db"] for image in scores[name].per_image]) for name in engines}
    gains = psnr_db["after"] - psnr_db["before"]
    facts = {
        "base": base,
        "pairs": len(pairs),
        "photos": len({pair.scene for pair in pairs}),
        "counted": count_of(pairs),
        "photos_seen": len({pair.scene for pair in pairs} & {pair.scene for pair in seen}),
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
    new = " that neither learning nor stopping saw"
    if facts["photos_seen"]:
        new = "; learning or stopping saw the same photos in other patches, so expect less on new ones"
    return "\n".join(lines) + (
        f"\n\nGained: **{facts['gain_db']:+.2f} dB** on {facts['counted']}{new};\n"
        f"{facts['better']} of {facts['pairs']} are better, the worst changed by {facts['worst_gain_db']:+.2f} dB.\n"
    )
