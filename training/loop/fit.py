"""The loop: steps, and every so often a validation that keeps what is best."""

from __future__ import annotations

import json
import time
from typing import Any

from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from training.commandline import log
from training.data.batches import Timed
from training.files import write_text
from training.loop.build import Run
from training.loop.finish import save_best, save_last
from training.loop.validation import SCORE, Means, draw_row, validate


def fit(run: Run) -> None:
    """Steps until the last one, the end of the time, or the end of what can be gained; none if all are done already."""
    settings, progress, fabric = run.settings, run.progress, run.fabric
    began = time.monotonic()

    def minutes() -> float:
        return run.minutes_before + (time.monotonic() - began) / 60

    if run.writes and run.start == 0 and progress.before is not None:
        save_best(run, 0, None)
    finished = settings.minutes is not None and run.minutes_before >= settings.minutes
    steps = range(run.start, run.start if fabric.broadcast(finished) else settings.steps)
    loader = Timed(DataLoader(run.batches(), batch_size=None, sampler=steps, num_workers=settings.workers))
    writer = SummaryWriter(str(run.folder / "tensorboard"), purge_step=run.start) if run.writes else None
    bar = tqdm(total=settings.steps, initial=run.start, unit="step", desc=f"training {settings.generator}",
               mininterval=1, disable=None if run.writes else True)  # fmt: skip
    losses = Means()
    with logging_redirect_tqdm(), bar:
        for step, batches in enumerate(loader, run.start + 1):
            if step > progress.last_step:
                break
            named = run.recipe.step(step - 1, *(batch.to(fabric.device) for batch in batches))
            run.average.update_parameters(run.generator)
            losses.add(named)
            bar.update()
            bar.set_postfix({name: f"{value:.4g}" for name, value in named.items()}, refresh=False)
            out_of_time = settings.minutes is not None and fabric.broadcast(minutes() >= settings.minutes)
            if progress.validates(step) or out_of_time:
                elapsed_s = time.monotonic() - began
                speed = {"images_per_s": (step - run.start) * settings.batch / elapsed_s,
                         "waiting_share": loader.waited_s / elapsed_s}  # fmt: skip
                if run.writes:
                    _look(run, step, {"minutes": minutes(), **speed, "loss": losses.take()}, writer)
                    run.save_state(step, minutes())
                progress.decay_from = fabric.broadcast(progress.decay_from)
            if out_of_time:
                break
    if writer:
        writer.close()


def _look(run: Run, step: int, facts: dict[str, Any], writer: SummaryWriter | None) -> None:
    """Validate, write the log, and keep the weights if they are the best so far."""
    row = {"step": step, **facts, **(validate(run.averaged, run.validation, writer, step) if run.validation else {})}
    best = bool(run.validation) and run.progress.add(row)
    if run.validation:
        log.info("step %d: validation %.2f dB (phone photo %.2f)", step, row[SCORE], row[f"identity_{SCORE}"])
        write_text(run.folder / "log.jsonl", "".join(json.dumps(row) + "\n" for row in run.progress.rows))
    if writer:
        draw_row(writer, row)
    save_last(run, step, row)
    if best:
        save_best(run, step, row)
