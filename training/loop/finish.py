"""What a run leaves: the checkpoint to use, the last weights beside it, and for fine-tuning what it gained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.checkpoint import Checkpoint, load_tensors, save_tensors
from training.commandline import log
from training.loop import fine_tuning
from training.loop.averaging import keep
from training.loop.build import Run
from training.loop.validation import validate

CHECKPOINT, LAST, BEST = "checkpoint.safetensors", "last.safetensors", "best.safetensors"


def save_best(run: Run, step: int, row: dict[str, Any] | None) -> None:
    """The moving average as it is now, as the best so far. The checkpoint is there for whoever stops the run now."""
    save_tensors(run.folder / BEST, run.averaged.state_dict(), {"step": step, "row": row})
    if run.settings.keep == "best":
        save_checkpoint(run, CHECKPOINT, step, row)


def save_last(run: Run, step: int, row: dict[str, Any] | None) -> None:
    """The moving average as it is now, as the last; without validation, or on demand, it is the checkpoint to use."""
    save_checkpoint(run, LAST, step, row)
    if run.settings.keep == "last" or not run.validation:
        save_checkpoint(run, CHECKPOINT, step, row)


def save_checkpoint(run: Run, name: str, step: int, row: dict[str, Any] | None, **scores: Any) -> Path:
    checkpoint = Checkpoint(
        run.averaged.eval(),
        licence="trained on photos of these licences: " + "; ".join(licences(run)),
        scores=({"validation": row} if row else {}) | scores,
        provenance={
            "settings": run.recorded | {"steps": str(run.settings.steps), "pairs": run.splits.description},
            "preset": run.settings.losses,
            "steps": step,
            "licences": licences(run),
        },
        name=run.folder.name,
    )
    saved = checkpoint.save(run.folder / name)
    run.averaged.train()
    return saved


def finish(run: Run) -> Path:
    """Say what was kept; blend in the initial weights where that is asked for; report what fine-tuning gained.

    Returns:
        The checkpoint to use.
    """
    path, settings = run.folder / CHECKPOINT, run.settings
    if not run.writes:
        return path
    log.info("%s", run.progress.verdict(settings.keep if run.validation else "last"))
    if not settings.init or not (settings.finetune or settings.keep_initial):
        return path
    step, row = run.progress.rows[-1]["step"] if run.progress.rows else 0, None
    if settings.keep == "best" and run.validation:
        weights, header = load_tensors(run.folder / BEST)
        run.averaged.load_state_dict(weights)
        step, row = header["step"], header["row"]
    if settings.keep_initial:
        keep(Checkpoint.load(settings.init).generator, settings.keep_initial, run.averaged)
        row = {**(row or {}), **validate(run.averaged, run.validation)} if run.validation else None
    gain = {}
    if settings.finetune:
        seen = bool({pair.photo for pair in run.validation} & {pair.photo for pair in run.judged})
        before, name = Checkpoint.load(settings.init).generator, Path(settings.finetune).stem
        gain = {"gain": fine_tuning.report(before, run.averaged, run.judged, name, run.folder, seen=seen)}
        log.info("%s", (run.folder / "gain.md").read_text(encoding="utf-8"))
    return save_checkpoint(run, CHECKPOINT, step, row, **gain)


def licences(run: Run) -> list[str]:
    """Of everything that the weights learned from, sorted."""
    from_packed = round(run.settings.batch * run.settings.packed_share) if run.packed else 0
    names = {pair.licence for pair in run.pairs} if from_packed < run.settings.batch else set()
    names |= {licence for samples in run.packed for licence in samples.facts["licences"]}
    names |= {f"{run.toning.name}: {run.toning.licence}"} if run.toning else set()
    names |= set(run.initial.provenance.get("licences", [run.initial.licence])) if run.initial else set()
    return sorted(names)
