"""The loop of train.py: steps, and now and then a validation that keeps the best weights; then the checkpoint."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from training.checkpoint import Checkpoint
from training.commandline import log
from training.data.batches import Timed
from training.files import write_text
from training.generators.base import Generator
from training.loop import fine_tuning, resume
from training.loop.build import STATE, Row, Run
from training.loop.validation import IDENTITY, SCORE, Means, draw_row

CHECKPOINT, LAST = "checkpoint.safetensors", "last.safetensors"
FIRST_VALIDATION = 25  # then at twice as many steps, until --validate-every takes over
OVERFIT_DB = 0.3  # below the best, while the loss still falls


def fit(run: Run) -> None:
    """Steps from where the run stands to the end that its schedule has, or until its time is over."""
    settings, device = run.settings, run.fabric.device
    remaining = range(run.step, max(run.step, 0 if _out_of_time(run, 0.0) else run.schedule.end))
    loader = Timed(DataLoader(run.batches, batch_size=None, sampler=remaining, num_workers=settings.workers))
    means, began, start = Means(), time.monotonic(), run.step
    with ExitStack() as held:
        writer = None
        if run.is_first:
            writer = SummaryWriter(str(settings.folder / "tensorboard"), purge_step=start)
            held.callback(writer.close)
        silent = None if run.is_first else True  # None: a bar on a terminal
        bar = tqdm(total=run.schedule.end, initial=start, unit="step", mininterval=1, disable=silent)
        held.enter_context(bar)
        for index, batches in enumerate(loader, start):
            losses = run.recipe.step(index, [batch.to(device) for batch in batches], run.schedule.share(index))
            run.averaged.update_parameters(run.recipe.modules["generator"])
            run.step = index + 1
            means.add(losses)
            elapsed_s = time.monotonic() - began
            facts = {"minutes": run.minutes_before + elapsed_s / 60,
                     "images_per_s": (run.step - start) * settings.batch / elapsed_s,
                     "waiting_share": loader.waited_s / elapsed_s}  # fmt: skip
            bar.update()
            bar.set_postfix({name: f"{value:.4g}" for name, value in losses.items()}, refresh=False)
            finished = run.step >= run.schedule.end or _out_of_time(run, elapsed_s / 60)
            if not finished and not is_due(run.step, settings.validate_every):
                continue
            if run.is_first:
                validate(run, {"step": run.step, **facts, "loss": means.take()}, writer)
            run.schedule = run.fabric.broadcast(run.schedule)
            bar.total = run.schedule.end
            if finished or run.step >= run.schedule.end:
                break


def is_due(step: int, every: int) -> bool:
    """Whether to validate after `step` steps: at 25, 50, 100 ... below `every`, then at its multiples."""
    early = step < every and step % FIRST_VALIDATION == 0 and (step // FIRST_VALIDATION).bit_count() == 1
    return early or step % every == 0


def validate(run: Run, facts: Row, writer: SummaryWriter | None) -> None:
    """Score the averaged weights, keep them if they are the best, write all that a killed run needs to go on."""
    row = {**facts, **run.validation.of(run.generator, writer, run.step)}
    run.rows.append(row)
    is_best = run.kept_row is None or row[SCORE] > run.kept_row[SCORE] or not run.settings.keeps_best
    if is_best:
        run.kept.load_state_dict(run.generator.state_dict())
        run.kept_row = row
    if writer:
        draw_row(writer, row)
    end = run.schedule.end
    run.reschedule()

    folder = run.settings.folder
    lines = "".join(json.dumps(row) + "\n" for row in run.rows if row["step"])
    write_text(folder / "log.jsonl", lines)
    header = {"step": run.step, "minutes": row["minutes"], "settings": run.identity, "rows": run.rows,
              "kept_row": run.kept_row}  # fmt: skip
    resume.save(folder / STATE, run.modules, run.recipe.optimizers, header)
    _checkpoint(run, run.generator, row, {}).save(folder / LAST)
    if is_best:
        _checkpoint(run, run.kept, row, {}).save(folder / CHECKPOINT)
    log.info("step %d of %d: validation %.2f dB (phone photo %.2f)%s", run.step, run.schedule.end, row[SCORE],
             row[IDENTITY], ", the best so far" if is_best and run.settings.keeps_best else "")  # fmt: skip
    if run.stalled_at == run.step and run.schedule.end != end:
        log.info("%s", _why_it_ends(run))


def finish(run: Run) -> Path:
    """The checkpoint of the kept weights, with what a fine-tuning gained. Returns its path."""
    folder = run.settings.folder
    if not run.is_first:
        return folder / CHECKPOINT
    row = run.kept_row or {}
    if run.initial and run.settings.keep_initial:
        fine_tuning.keep(run.initial.generator, run.settings.keep_initial, run.kept)
        row = {**row, **run.validation.of(run.kept)}
    scores: dict[str, Any] = {"validation": row} if row else {}
    if run.initial and run.settings.finetune:
        base, learned = Path(run.settings.finetune).stem, [*run.pairs, *run.validation.pairs]
        scores["gain"] = fine_tuning.report(
            run.initial.generator, run.kept, run.judged, base=base, folder=folder, seen=learned
        )
        log.info("%s", (folder / "gain.md").read_text(encoding="utf-8"))
    path = _checkpoint(run, run.kept, row, scores).save(folder / CHECKPOINT)
    if run.rows:
        log.info("%s", _what_was_kept(run))
    return path


def _checkpoint(run: Run, generator: Generator, row: Row, scores: dict[str, Any]) -> Checkpoint:
    provenance = {
        "settings": run.identity | {"pairs": run.splits.description},
        "preset": run.settings.losses,
        "steps": row.get("step", run.step),
        "licences": run.licences,
    }
    licence = "trained on photos of these licences: " + "; ".join(run.licences)
    name = run.settings.folder.name
    return Checkpoint(generator.eval(), licence, scores or {"validation": row}, provenance, name=name)


def _out_of_time(run: Run, minutes: float) -> bool:
    limit = run.settings.minutes
    return limit is not None and run.fabric.broadcast(run.minutes_before + minutes >= limit)


def _why_it_ends(run: Run) -> str:
    """Validation has stalled: whether it learns its photos by heart, and when it ends."""
    best = run.kept_row or run.rows[-1]
    text = (
        f"no better validation since step {best['step']}: the learning rate falls, the end is step {run.schedule.end}"
    )
    losses = [next(iter(row["loss"].values())) for row in (best, run.rows[-1]) if "loss" in row]
    if best[SCORE] - run.rows[-1][SCORE] > OVERFIT_DB and len(losses) == 2 and losses[1] < losses[0]:
        text = f"overfitting: the loss falls and validation gets worse, more photos would help; {text}"
    return text


def _what_was_kept(run: Run) -> str:
    last, kept = run.rows[-1], run.kept_row or run.rows[-1]
    text = f"kept step {kept['step']}: {kept[SCORE]:.1f} dB; the last was {last[SCORE]:.1f}"
    if IDENTITY in kept and kept[SCORE] < kept[IDENTITY]:
        text += f". The phone photo itself has {kept[IDENTITY]:.1f}: it needs more steps or other photos"
    return text
