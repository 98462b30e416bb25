"""Builds a run from its settings: pairs, networks, recipe, and the state of an earlier part of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from lightning_fabric import Fabric
from torch.optim.swa_utils import AveragedModel

from training import generators
from training.checkpoint import Checkpoint, CheckpointError
from training.commandline import UserError, log
from training.data.batches import Batches
from training.data.pairs import PairSplits, PhotoPair, find_pairs, fold_of, usable
from training.data.shards import Samples, load_samples
from training.generators.base import Generator
from training.loop import fine_tuning, resume
from training.loop.averaging import moving_average
from training.loop.progress import Progress
from training.loop.recipes import Recipe, make_recipe
from training.loop.settings import TrainSettings
from training.loop.tone import tone_of
from training.loop.validation import SCORE, validate


@dataclass
class Run:
    """All that fit, validate and finish need. Pairs are judged by `judged`, and stopping looks at `validation`."""

    settings: TrainSettings
    fabric: Fabric
    splits: PairSplits
    pairs: list[PhotoPair]
    validation: list[PhotoPair]
    judged: list[PhotoPair]
    packed: list[Samples]
    initial: Checkpoint | None
    toning: Checkpoint | None
    generator: Generator
    recipe: Recipe
    average: AveragedModel
    progress: Progress
    recorded: dict[str, str]
    start: int = 0
    minutes_before: float = 0.0

    @property
    def folder(self) -> Path:
        return self.settings.folder

    @property
    def writes(self) -> bool:
        """One of the processes validates and writes."""
        return bool(self.fabric.is_global_zero)

    @property
    def averaged(self) -> Generator:
        return cast(Generator, self.average.module)

    def batches(self) -> Batches:
        return Batches(
            self.pairs, self.settings.steps, self.settings.batch, self.settings.patch, self.generator.thumbnail_px,
            self.settings.seed, self.packed, self.settings.packed_share, self.fabric.global_rank,
            self.fabric.world_size, self.recipe.batches_per_step, tone_of(self.toning) if self.toning else None,
        )  # fmt: skip

    def save_state(self, step: int, minutes: float) -> None:
        header = {"step": step, "minutes": minutes, "settings": self.recorded, "rows": self.progress.rows,
                  "before": self.progress.before, "decay_from": self.progress.decay_from}  # fmt: skip
        resume.save(self.folder / resume.FILE, self.modules, self.recipe.optimizers, header)

    @property
    def modules(self) -> dict[str, torch.nn.Module]:
        return {**self.recipe.modules, "ema": self.average}


def build(settings: TrainSettings, fabric: Fabric) -> Run:
    """A run, ready for its next step.

    Raises:
        UserError: pairs, checkpoints or settings that cannot be used; the message names them.
    """
    splits, pairs, validation, judged = _split(settings)
    torch.manual_seed(settings.seed)
    torch.use_deterministic_algorithms(fabric.device.type == "cpu", warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # it only costs time
    initial = Checkpoint.load(settings.init) if settings.init else None
    toning = Checkpoint.load(settings.tone_of) if settings.tone_of else None
    generator = _generator(settings)
    packed = [load_samples(path, settings.patch, generator.thumbnail_px, settings.seed) for path in settings.packed]
    recorded = settings.recorded() | {
        "packed": str([samples.facts["sha256"] for samples in packed]),
        "init": initial.sha256 if initial else "None",
        "tone_of": toning.sha256 if toning else "None",
    }
    progress = Progress(settings.steps, settings.validate_every, settings.patience if validation else 0, SCORE)
    recipe = make_recipe(settings.losses, fabric, generator, settings.lr, progress.rate, settings.vgg)
    average = AveragedModel(generator, multi_avg_fn=moving_average)
    run = Run(settings, fabric, splits, pairs, validation, judged, packed, initial, toning, generator, recipe, average,
              progress, recorded)  # fmt: skip
    _resume(run)
    return run


def _split(settings: TrainSettings) -> tuple[PairSplits, list[PhotoPair], list[PhotoPair], list[PhotoPair]]:
    """(splits, pairs to learn from, to validate on, to judge by)."""
    splits = find_pairs(settings.pairs, settings.phone, settings.seed)
    if settings.fold:
        splits = fold_of(splits, *settings.fold)
    log.info("%s", splits.description)
    validation = usable(splits.validation, log.warning)
    no_pairs = settings.packed and settings.packed_share == 1
    pairs = [] if no_pairs else usable(splits.train, log.warning)
    if settings.all_pairs:  # then nothing is left to judge by
        pairs, validation = pairs + validation, []
    stopping, judged = fine_tuning.halves(validation) if settings.finetune else (validation, validation)
    return splits, pairs, stopping, judged


def _generator(settings: TrainSettings) -> Generator:
    """The network to train, of the checkpoint that it starts from, or new."""
    if settings.init:
        generator = Checkpoint.load(settings.init).generator.train()
        if generator.name != settings.generator:
            raise UserError(f"{settings.init}: is a {generator.name}; give --generator {generator.name}")
        return generator
    try:
        return generators.build(settings.generator, dict(settings.config))
    except ValueError as error:
        raise UserError(f"--config: {error}") from None


def _resume(run: Run) -> None:
    """Take up the state of an earlier part of the run, or note how good the weights are that it starts from."""
    path = run.folder / resume.FILE
    if path.exists():
        header = resume.load(path, run.modules, run.recipe.optimizers)
        if header["settings"] != run.recorded:
            differing = sorted(k for k in run.recorded if header["settings"].get(k) != run.recorded[k])
            raise CheckpointError(
                f"{run.folder}: holds a run with other settings ({', '.join(differing)}); choose another --out or "
                "remove it"
            )
        run.start, run.minutes_before = header["step"], header["minutes"]
        run.progress.rows, run.progress.before = header["rows"], header["before"]
        run.progress.decay_from = header["decay_from"]
        log.info("resuming at step %d", run.start)
    elif run.writes and run.initial and run.validation:
        run.progress.before = validate(run.averaged, run.validation)[SCORE]
