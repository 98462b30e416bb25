"""python training/train.py

Trains a generator from phone/DSLR pairs. Without flags: the Pocket generator on the embedded sample, in minutes
on two cores. `--generator dped --preset code --pairs dped` trains the paper's with all four of its losses.
`--finetune pocket-iphone --pairs MY_DIR` teaches a released network your own camera and says what that gained.
The same command again resumes a run that was interrupted. Several GPUs, of one machine or many that share a disk:
`torchrun --nproc-per-node 8 training/train.py ...`; the network is the one that a single process would make.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import cast

import torch
from lightning_fabric import Fabric
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from training import generators
from training.checkpoint import Checkpoint, CheckpointError, load_tensors, save_tensors
from training.commandline import UserError, log, run
from training.data.batches import Batches, Timed
from training.data.pairs import find_pairs, fold_of, parse_fold, usable
from training.data.shards import load_samples
from training.files import locked, write_text
from training.generators.base import Generator
from training.loop import fine_tuning, resume
from training.loop.averaging import keep, moving_average
from training.loop.processes import make_fabric
from training.loop.recipes import PRESETS, make_recipe
from training.loop.tone import tone_of
from training.loop.validation import SCORE, Means, draw_row, validate

HOW_NOT_WHAT = ("out", "minutes", "patience", "finetune")  # flags with which a run may be resumed differently


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="train.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--pairs", type=Path, help="DPED root, or a folder with <phone>/ and canon/ (default: the embedded sample)")
    add("--fold", type=parse_fold, metavar="K/N", help="cross-validation: hold out the K-th of N parts of all pairs")
    add("--all-pairs", action="store_true", help="learn from the validation pairs, too: for a release that "
        "cross-validation has judged")  # fmt: skip
    add(
        "--packed",
        type=Path,
        nargs="*",
        default=[],
        metavar="FOLDER",
        help="samples of pack.py, teach.py or simulate.py",
    )
    add("--packed-share", type=float, default=0.7, help="of them in every batch; 1 learns from no pair (default: "
        "%(default)s)")  # fmt: skip
    add("--finetune", metavar="CHECKPOINT", help="--init with the flags that suit it, early stopping and a report")
    add("--init", metavar="CHECKPOINT", help="start from these weights (default: from scratch)")
    add("--keep-initial", type=float, default=0.0, metavar="SHARE", help="of the weights of --init in the result, for "
        "fine-tuning that is not to forget (default: %(default)s)")  # fmt: skip
    add("--tone-of", metavar="CHECKPOINT", help="pairs teach detail alone: the DSLR side gets the mean colour of this "
        "network's answer to the phone side (default: no)")  # fmt: skip
    add("--phone", default="iphone", help="which phone of a DPED root (default: %(default)s)")
    add("--generator", choices=generators.NAMES, default="pocket", help="what to train (default: %(default)s)")
    add("--config", type=parse_size, nargs="*", default=[], metavar="NAME=N", help="sizes of a new generator "
        "that are to differ from its own, such as channels=16")  # fmt: skip
    add("--preset", choices=PRESETS, help="losses: pixel is absolute error and structure, scores adds squared error "
        "and coarser structure, structure is that with four times the weight of structure; code and paper: DPED's "
        "four terms with the weights of the authors' code or of the paper (default: pixel for pocket, else "
        "code)")  # fmt: skip
    add("--steps", type=int, default=2000, help="optimizer steps (default: %(default)s)")
    add("--minutes", type=float, help="stop after this time, too, summed over resumed runs")
    add("--batch", type=int, default=16, help="patches per step; the paper's is 50 (default: %(default)s)")
    add("--patch", type=int, default=100, help="side of a patch in px (default: %(default)s, as in DPED)")
    add("--lr", type=float, help="learning rate of Adam (default: 2e-3 for pixel, else 5e-4)")
    add("--seed", type=int, default=0, help="of what is random (default: %(default)s)")
    add("--validate-every", type=int, default=200, help="steps between validations and saves (default: %(default)s)")
    add("--patience", type=int, metavar="N", help="stop after N validations without a better one, and keep the best "
        "weights (default: no, and the last)")  # fmt: skip
    add("--vgg", type=Path, help="imagenet-vgg-verydeep-19.mat for the content loss (default: the installed copy)")
    add("--accelerator", choices=("auto", "cpu", "cuda"), default="auto", help="to compute on (default: %(default)s)")
    add("--precision", choices=("32-true", "bf16-mixed"), default="32-true", help="arithmetic (default: %(default)s)")
    add("--workers", type=int, default=0, help="processes that read photos (default: in the training process)")
    add("--out", type=Path, help="folder of the run (default: runs/<generator>)")
    return parser


def train(args: argparse.Namespace) -> Path:
    if args.finetune:
        args.init, args.out = args.finetune, args.out or Path("runs") / f"{Path(args.finetune).stem}-finetuned"
    out: Path = args.out or Path("runs") / args.generator
    preset: str = args.preset or ("pixel" if args.generator == "pocket" else "code")

    for flag in ("packed_share", "keep_initial"):
        if not 0 <= getattr(args, flag) <= 1:
            raise UserError(f"--{flag.replace('_', '-')} {getattr(args, flag)}: must lie between 0 and 1")
    if args.finetune and not args.pairs:
        raise UserError("--finetune needs --pairs: a folder that align.py made, or one with <phone>/ and canon/")
    fabric = make_fabric(args.accelerator, args.precision, args.batch)
    with locked(out) if fabric.is_global_zero else nullcontext():
        return learn(args, out, preset, fabric)


def learn(args: argparse.Namespace, out: Path, preset: str, fabric: Fabric) -> Path:
    """In a folder that nobody else writes to. Returns the checkpoint."""
    first = fabric.is_global_zero  # of the processes: it validates and writes
    splits = find_pairs(args.pairs, args.phone, args.seed)
    if args.fold:
        splits = fold_of(splits, *args.fold)
    log.info("%s", splits.description)
    validation = usable(splits.validation, log.warning)
    pairs = [] if args.packed and args.packed_share == 1 else usable(splits.train, log.warning)
    if args.all_pairs:
        pairs += validation
    judged = validation
    if args.finetune:
        validation, judged = fine_tuning.halves(validation)

    torch.manual_seed(args.seed)
    torch.use_deterministic_algorithms(fabric.device.type == "cpu", warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # it only costs time
    if args.init and args.config:
        raise UserError(f"--config: {args.init} has its own sizes; leave one of --init and --config out")
    initial = Checkpoint.load(args.init) if args.init else None
    toning = Checkpoint.load(args.tone_of) if args.tone_of else None
    generator = initial.generator.train() if initial else new_generator(args.generator, dict(args.config))
    if generator.name != args.generator:
        raise UserError(f"{args.init}: is a {generator.name}; give --generator {generator.name}")
    packed = [load_samples(folder, args.patch, generator.thumbnail_px, args.seed) for folder in args.packed]
    recipe = make_recipe(preset, fabric, generator, args.lr, args.steps, args.vgg)
    ema = AveragedModel(generator, multi_avg_fn=moving_average)
    averaged = cast(Generator, ema.module)

    settings = {name: str(value) for name, value in sorted(vars(args).items()) if name not in HOW_NOT_WHAT}
    settings |= {"packed": str([samples.facts["sha256"] for samples in packed])}
    settings |= {"init": initial.sha256 if initial else "None", "tone_of": toning.sha256 if toning else "None"}
    state_file, best_file, log_file = out / "resume.safetensors", out / "best.safetensors", out / "log.jsonl"
    modules = {**recipe.modules, "ema": ema}
    start, minutes_before, rows = 0, 0.0, []
    scores = [validate(averaged, validation)[SCORE]] if first and args.patience and initial else []
    if state_file.exists():
        header = resume.load(state_file, modules, recipe.optimizers)
        if header["settings"] != settings:
            raise CheckpointError(f"{out}: holds a run with other settings; choose another --out or remove it")
        start, minutes_before, rows = header["step"], header["minutes"], header["rows"]
        log.info("resuming at step %d", start)
    if first and args.patience and not (start and best_file.exists()):
        save_tensors(best_file, averaged.state_dict(), {"step": start})
    scores += [row[SCORE] for row in rows]

    finished = args.minutes is not None and minutes_before >= args.minutes
    finished |= first and bool(scores) and args.patience is not None and fine_tuning.exhausted(scores, args.patience)
    finished = fabric.broadcast(finished)
    batches = Batches(
        pairs, args.steps, args.batch, args.patch, generator.thumbnail_px, args.seed, packed, args.packed_share,
        fabric.global_rank, fabric.world_size, recipe.independent, tone_of(toning) if toning else None,
    )  # fmt: skip
    remaining = range(start, start if finished else args.steps)
    loader = Timed(DataLoader(batches, batch_size=None, sampler=remaining, num_workers=args.workers))
    writer = SummaryWriter(str(out / "tensorboard"), purge_step=start) if first else None
    bar = tqdm(total=args.steps, initial=start, unit="step", desc=f"training {args.generator}", mininterval=1,
               disable=not first)  # fmt: skip
    began, step, sums = time.monotonic(), start, Means()

    def minutes() -> float:
        return minutes_before + (time.monotonic() - began) / 60

    with logging_redirect_tqdm(), bar:
        for step, (batch, other) in enumerate(loader, start + 1):
            here = batch.to(fabric.device)
            named = recipe.step(step - 1, here, here if other is batch else other.to(fabric.device))
            ema.update_parameters(generator)
            sums.add(named)
            bar.update()
            elapsed = time.monotonic() - began
            images_per_s = (step - start) * args.batch / elapsed
            bar.set_postfix(
                {"images/s": f"{images_per_s:.1f}", **{k: f"{v:.4g}" for k, v in named.items()}}, refresh=False
            )
            out_of_time = args.minutes is not None and fabric.broadcast(minutes() >= args.minutes)
            last = step == args.steps or out_of_time
            if not last and step % args.validate_every:
                continue
            if first:
                quality = validate(averaged, validation, writer, step)
                row = {"step": step, "minutes": minutes(), "images_per_s": images_per_s,
                       "waiting_share": loader.waited_s / elapsed, "loss": sums.take(), **quality}  # fmt: skip
                rows.append(row)
                scores.append(row[SCORE])
                if writer:
                    draw_row(writer, row)
                write_text(log_file, "".join(json.dumps(row) + "\n" for row in rows))
                if args.patience and scores[-1] == max(scores):
                    save_tensors(best_file, averaged.state_dict(), {"step": step})
                header = {"step": step, "minutes": minutes(), "settings": settings, "rows": rows}
                resume.save(state_file, modules, recipe.optimizers, header)
                log.info("step %d: validation %.2f dB (phone photo %.2f)", step, row[SCORE], row[f"identity_{SCORE}"])
                last |= args.patience is not None and fine_tuning.exhausted(scores, args.patience)
            if fabric.broadcast(last):
                break
    if not first:
        return out / "checkpoint.safetensors"  # the first process writes it

    if args.patience:
        best, header = load_tensors(best_file)
        averaged.load_state_dict(best)
        log.info("the best weights are those of step %d", header["step"])
        step, rows = header["step"], [row for row in rows if row["step"] <= header["step"]]
    if initial and args.keep_initial:
        keep(Checkpoint.load(args.init).generator, args.keep_initial, averaged)
        rows = [{**rows[-1], **validate(averaged, validation, writer, step)}] if rows else []
    gain = None
    if args.finetune:
        gain = fine_tuning.report(Checkpoint.load(args.init).generator, averaged, judged, Path(args.finetune).stem, out)
        log.info("%s", (out / "gain.md").read_text(encoding="utf-8"))
    if writer:
        writer.close()
    licences = {pair.licence for pair in pairs} if batches.from_packed < args.batch else set()
    licences |= {licence for samples in packed for licence in samples.facts["licences"]}
    licences |= {f"{toning.name}: {toning.licence}"} if toning else set()
    licences |= set(initial.provenance.get("licences", [initial.licence])) if initial else set()
    checkpoint = Checkpoint(
        averaged.eval(),
        licence="trained on photos of these licences: " + "; ".join(sorted(licences)),
        scores=({"validation": rows[-1]} if rows else {}) | ({"gain": gain} if gain else {}),
        provenance={
            "settings": settings | {"pairs": splits.description},
            "preset": preset,
            "steps": step,
            "licences": sorted(licences),
        },
        name=out.name,
    )
    return checkpoint.save(out / "checkpoint.safetensors")


def parse_size(text: str) -> tuple[str, int]:
    name, _, size = text.partition("=")
    if not size.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=N, such as channels=16")
    return name, int(size)


def new_generator(name: str, config: dict[str, int]) -> Generator:
    try:
        return generators.build(name, config)
    except ValueError as error:
        raise UserError(f"--config: {error}") from None


def main(argv: Sequence[str] | None = None) -> int:
    parser = parse()
    if parser.parse_known_args(argv)[0].finetune:
        parser.set_defaults(**fine_tuning.DEFAULTS)
    return run(parser, train, argv)


if __name__ == "__main__":
    raise SystemExit(main())
