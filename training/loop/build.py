"""What a run of train.py needs before its first step: pairs, networks, recipe, batches, and the state to go on from."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import Module
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training import generators
from training.checkpoint import Checkpoint, CheckpointError
from training.commandline import UserError, log
from training.data.batches import Batches
from training.data.pairs import PairSplits, find_pairs, fold_of, usable
from training.data.photo_pair import PhotoPair
from training.data.shards import Samples, load_samples
from training.enhancer import TorchEngine
from training.generators.base import Generator
from training.loop import fine_tuning, resume
from training.loop.recipes import Recipe, Schedule, make_recipe, make_schedule
from training.loop.settings import TrainSettings
from training.loop.validation import SCORE, Validation, stalled_at
from training.photos import Pixels, from_samples
from training.process.threads import SMALL_MAC_PER_PX

Row = dict[str, Any]
Tensors = tuple[Tensor, ...] | list[Tensor]
MAX_DECAY = 0.999  # of the moving average
STATE = "resume.safetensors"


@dataclass
class Run:
    """A run between two steps.

    initial: the checkpoint that it starts from. averaged: the moving average of the generator; kept: the best of it
    so far, or the last, as the settings say. kept_row: how that validated; None before the first validation.
    judged: the held-out pairs that a fine-tuning is judged by. rows: one for each validation. step: steps done.
    """

    settings: TrainSettings
    fabric: Fabric
    splits: PairSplits
    pairs: list[PhotoPair]
    validation: Validation
    judged: list[PhotoPair]
    initial: Checkpoint | None
    averaged: AveragedModel
    kept: Generator
    recipe: Recipe
    batches: Batches
    schedule: Schedule
    licences: list[str]
    identity: dict[str, str]
    kept_row: Row | None = None
    rows: list[Row] = field(default_factory=list)
    step: int = 0
    minutes_before: float = 0.0

    @property
    def is_first(self) -> bool:
        """Of the processes: it validates and writes."""
        return self.fabric.is_global_zero

    @property
    def generator(self) -> Generator:
        """The moving average, which is what is released."""
        return cast(Generator, self.averaged.module)

    @property
    def modules(self) -> dict[str, Module]:
        """All whose weights a resumed run needs."""
        return {**self.recipe.modules, "ema": self.averaged, "kept": self.kept}

    @property
    def stalled_at(self) -> int | None:
        """The step at which validation gave up hope of better weights."""
        return stalled_at(self.rows, self.settings.effective_patience)

    def reschedule(self) -> None:
        """The learning rate and the end, as the rows have them now."""
        self.schedule = make_schedule(self.settings.steps, self.settings.effective_patience, self.stalled_at)


def build(settings: TrainSettings, fabric: Fabric) -> Run:
    """A run at its first step, or at the one where it was interrupted.

    Raises:
        UserError: pairs, samples, checkpoints or settings that cannot be used.
    """
    splits = find_pairs(settings.pairs, settings.phone, settings.seed)
    if settings.fold:
        splits = fold_of(splits, *settings.fold)
    log.info("%s", splits.description)
    held_out = usable(splits.validation, log.warning)
    pairs = [] if settings.packed and settings.packed_share == 1 else usable(splits.train, log.warning)
    stopping, judged = fine_tuning.halves(held_out) if settings.finetune else (held_out, held_out)

    _make_repeatable(fabric.device, settings.seed)
    initial = Checkpoint.load(settings.start_from) if settings.start_from else None
    toning = Checkpoint.load(settings.tone_of) if settings.tone_of else None
    generator = _generator(settings, initial)
    if fabric.device.type == "cpu" and generator.mac_per_px() < SMALL_MAC_PER_PX:
        torch.set_num_threads(1)
    packed = [load_samples(path, settings.patch, generator.thumbnail_px, settings.seed) for path in settings.packed]
    recipe = make_recipe(settings.losses, fabric, generator, settings.lr, settings.vgg)
    averaged = AveragedModel(generator, multi_avg_fn=moving_average)
    learned = pairs + held_out if settings.all_pairs else pairs
    batches = Batches(
        learned, steps=settings.steps, batch=settings.batch, patch_px=settings.patch,
        thumbnail_px=generator.thumbnail_px, seed=settings.seed, packed=packed, packed_share=settings.packed_share,
        rank=fabric.global_rank, processes=fabric.world_size, batches_per_step=recipe.batches_per_step,
        tone=tone_of(toning) if toning else None,
    )  # fmt: skip
    run = Run(
        settings, fabric, splits, learned, Validation(stopping), judged, initial, averaged,
        kept=copy.deepcopy(cast(Generator, averaged.module)), recipe=recipe, batches=batches,
        schedule=make_schedule(settings.steps, settings.effective_patience, None),
        licences=_licences(learned if batches.from_packed < settings.batch else [], packed, toning, initial),
        identity=_identity(settings, packed, initial, toning),
    )  # fmt: skip
    _restore(run)
    return run


def moving_average(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
    """Exponential, over a ninth of the steps so far and at most 1,000, so that a short run forgets its start."""
    decay = min(MAX_DECAY, (1 + int(count)) / (10 + int(count)))
    get_ema_multi_avg_fn(decay)(averaged, current, count)  # type: ignore[no-untyped-call]


def tone_of(checkpoint: Checkpoint) -> Callable[[Pixels], npt.NDArray[np.float32]]:
    """The mean colour [3] in [0, 1] of a network's answer to a photo [H, W, 3] uint8."""
    engine = TorchEngine(checkpoint.generator)

    def tone(photo: Pixels) -> npt.NDArray[np.float32]:
        mean: npt.NDArray[np.float32] = engine.whole(from_samples(photo)).mean((0, 1))
        return mean

    return tone


def _make_repeatable(device: torch.device, seed: int) -> None:
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(device.type == "cpu", warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # it only costs time


def _generator(settings: TrainSettings, initial: Checkpoint | None) -> Generator:
    """What is to learn; the checkpoint's own stays as it was, for comparing."""
    if initial is None:
        try:
            return generators.build(settings.generator, dict(settings.config))
        except ValueError as error:
            raise UserError(f"--config: {error}") from None
    if initial.generator.name != settings.generator:
        name = initial.generator.name
        raise UserError(f"{settings.start_from}: is a {name}; give --generator {name}")
    return copy.deepcopy(initial.generator).train()


def _identity(
    settings: TrainSettings, packed: Sequence[Samples], initial: Checkpoint | None, toning: Checkpoint | None
) -> dict[str, str]:
    """The settings with the contents of the files that they name: by these, two runs are the same."""
    contents = {
        "packed": str([samples.facts["sha256"] for samples in packed]),
        "init": initial.sha256 if initial else "None",
        "tone_of": toning.sha256 if toning else "None",
    }
    return settings.as_text() | contents


def _licences(
    pairs: Sequence[PhotoPair], packed: Sequence[Samples], toning: Checkpoint | None, initial: Checkpoint | None
) -> list[str]:
    """Of all that the weights come from."""
    licences = {pair.licence for pair in pairs}
    licences |= {licence for samples in packed for licence in samples.facts["licences"]}
    licences |= {f"{toning.name}: {toning.licence}"} if toning else set()
    licences |= set(initial.provenance.get("licences", [initial.licence])) if initial else set()
    return sorted(licences)


def _restore(run: Run) -> None:
    """Go on from the state in the run's folder; without one, what it starts from is the first to be kept."""
    state = run.settings.folder / STATE
    if state.exists():
        header = resume.load(state, run.modules, run.recipe.optimizers)
        if _without_steps(header["settings"]) != _without_steps(run.identity):
            raise CheckpointError(
                f"{run.settings.folder}: holds a run with other settings; choose another --out or remove it"
            )
        run.step, run.minutes_before = header["step"], header["minutes"]
        run.rows, run.kept_row = header["rows"], header["kept_row"]
        if not run.settings.keeps_best:
            run.kept.load_state_dict(run.generator.state_dict())
            run.kept_row = run.rows[-1]
        log.info("resuming at step %d", run.step)
    elif run.initial and run.settings.keeps_best and run.is_first:
        run.kept_row = {"step": 0, **run.validation.of(run.generator)}
        run.rows.append(run.kept_row)
        log.info("step 0: validation %.2f dB", run.kept_row[SCORE])
    run.reschedule()
    run.schedule = run.fabric.broadcast(run.schedule)


def _without_steps(settings: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if name != "steps"}
