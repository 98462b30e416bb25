"""Rows of evaluate.py: every model's outputs on every pair, scored against the DSLR side."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from training.checkpoint import Checkpoint
from training.commandline import UserError
from training.data.photo_pair import PhotoPair
from training.enhancer import Array, Enhancer, TorchEngine, float_model
from training.quality.auto_levels import PHOTO_APP, auto_levels
from training.quality.judging import PEERS, Judgement
from training.quality.metrics import Scores
from training.quality.sheet import Sheet
from training.quality.stlpips import load_stlpips

WHOLE_PX = 2_000_000  # larger photos run in tiles, under the same condition, to bound memory
Row = dict[str, Any]


@dataclass
class Model:
    """A row to be: what is known of a model, and how it enhances [H, W, 3] in [0, 1]."""

    facts: Row
    enhance: Callable[[Array], Array]


def without_weights(name: str, enhance: Callable[[Array], Array]) -> Model:
    facts = {"model": name, "params": 0, "mac_per_px": 0.0, "checkpoint_sha256": None, "licence": None}
    return Model(facts, enhance)


def load_model(name_or_path: str, device: str) -> Model:
    checkpoint = Checkpoint.load(name_or_path)
    facts = {
        "model": re.sub(r"[^\w.+-]", "_", checkpoint.name),  # names come from files and must not break the table
        "params": checkpoint.generator.parameter_count(),
        "mac_per_px": round(checkpoint.generator.mac_per_px(), 1),
        "checkpoint_sha256": checkpoint.sha256,
        "licence": checkpoint.licence,
    }
    enhancer, engine = Enhancer(float_model(checkpoint, device)), TorchEngine(checkpoint.generator, device)

    def enhance(photo: Array) -> Array:
        small = photo.shape[0] * photo.shape[1] <= WHOLE_PX
        return engine.whole(photo) if small else enhancer(photo)

    return Model(facts, enhance)


def load_models(names_or_paths: Sequence[str], device: str, photo_app: bool, peers: bool = False) -> list[Model]:
    """`identity`, auto levels or all peers without a network if they are asked for, and the checkpoints.

    Those of one name get the beginning of their checksum beside it.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError(f"--accelerator {device}: no GPU that CUDA can use is here; give cpu")
    loaded = [load_model(name, device) for name in names_or_paths]
    count = Counter(model.facts["model"] for model in loaded)
    for model in loaded:
        if count[model.facts["model"]] > 1:
            model.facts["model"] += "@" + model.facts["checkpoint_sha256"][:8]
    plain = [without_weights("identity", lambda photo: photo)]
    if peers:
        plain += [without_weights(name, enhance) for name, enhance in PEERS.items()]
    return plain + [without_weights(PHOTO_APP, auto_levels)] * (photo_app and not peers) + loaded


def score(
    models: Sequence[Model], pairs: Sequence[PhotoPair], split: str, sheet: Sheet, *, judge: bool = False
) -> list[Row]:
    """One row per model: its facts, the means of its scores over the pairs, and on how many pairs.

    Args:
        judge: by perceptual distance and fitted colours, too, with intervals.
    """
    scores = [Scores() for _ in models]
    network = load_stlpips() if judge else None
    judgements = [Judgement(network) for _ in models] if network else []
    with tqdm(total=len(pairs) * len(models), desc="evaluate", unit="photo", disable=None) as progress:
        for pair in pairs:
            phone, dslr = (np.divide(side, 255, dtype=np.float32) for side in pair.load())
            versions = {}
            for index, (model, total) in enumerate(zip(models, scores, strict=True)):
                versions[model.facts["model"]] = enhanced = model.enhance(phone)
                total.add(enhanced, dslr)
                if judge:
                    judgements[index].add(enhanced, dslr, total.per_image[-1], pair.scene)
                progress.update()
            sheet.add({**versions, "DSLR photo": dslr})
    used = {"images": len(pairs), "simulated_images": sum(pair.simulated for pair in pairs),
            "photos": len({pair.scene for pair in pairs}), "split": split}  # fmt: skip
    judged = [judgement.row() for judgement in judgements] or [{}] * len(models)
    return [
        model.facts | total.means() | used | more for model, total, more in zip(models, scores, judged, strict=True)
    ]
