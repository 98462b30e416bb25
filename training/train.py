"""python training/train.py

Trains a generator from phone/DSLR pairs. Without flags: the Pocket generator on the embedded sample, in minutes
on two cores. `--generator dped --preset code --pairs dped` trains the paper's with all four of its losses.
`--finetune pocket-iphone --pairs MY_DIR` teaches a released network your own camera and says what that gained.
The weights that validate best are kept, from the first validation on; training stops when nothing more is gained.
The same command again resumes a run that was interrupted, also with more --steps. Several GPUs, of one machine or many
that share a disk: `torchrun --nproc-per-node 8 training/train.py ...`; the network is the one that a single process
would make.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from training.commandline import real, run, whole
from training.data.folds import parse_fold
from training.files import locked
from training.loop.settings import FINE_TUNING, GENERATORS, PRESETS, TrainSettings


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="train.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    share = real(0, 1)
    add("--pairs", type=Path, help="DPED root, or a folder with <phone>/ and canon/ (default: the embedded sample)")
    add("--phone", help="which phone, where there are several (default: the only one, or iphone)")
    add("--fold", type=parse_fold, metavar="K/N", help="cross-validation: hold out the K-th of N parts of all pairs")
    add("--all-pairs", action="store_true", help="learn from the validation pairs, too: for a release that "
        "cross-validation has judged")  # fmt: skip
    add("--packed", type=Path, nargs="*", default=[], metavar="FOLDER", help="samples of pack.py, teach.py or "
        "simulate.py")  # fmt: skip
    add("--packed-share", type=share, default=0.7, help="of them in every batch; 1 learns from no pair (default: "
        "%(default)s)")  # fmt: skip
    add("--finetune", metavar="CHECKPOINT", help="--init with the flags that suit it, and a report of the gain")
    add("--init", metavar="CHECKPOINT", help="start from these weights (default: from scratch)")
    add("--keep-initial", type=share, default=0.0, metavar="SHARE", help="of the weights of --init in the result, for "
        "fine-tuning that is not to forget (default: %(default)s)")  # fmt: skip
    add("--tone-of", metavar="CHECKPOINT", help="pairs teach detail alone: the DSLR side gets the mean colour of this "
        "network's answer to the phone side (default: no)")  # fmt: skip
    add("--generator", choices=GENERATORS, default="pocket", help="what to train (default: %(default)s)")
    add("--config", type=parse_size, nargs="*", default=[], metavar="NAME=N", help="sizes of a new generator "
        "that are to differ from its own, such as channels=16")  # fmt: skip
    add("--preset", choices=PRESETS, help="losses: pixel is absolute error and structure, scores adds squared error "
        "and coarser structure, structure is that with four times the weight of structure; code and paper: DPED's "
        "four terms with the weights of the authors' code or of the paper (default: pixel for pocket, else "
        "code)")  # fmt: skip
    add("--steps", type=whole(1), default=2000, help="optimizer steps at most (default: %(default)s)")
    add("--minutes", type=real(0, above=True), help="stop after this time, too, summed over resumed runs")
    add("--batch", type=whole(1), default=16, help="patches per step; the paper's is 50 (default: %(default)s)")
    add("--patch", type=whole(8), default=100, help="side of a patch in px (default: %(default)s, as in DPED)")
    add("--lr", type=real(0, above=True), help="learning rate of Adam (default: 2e-3 for pixel, else 5e-4)")
    add("--seed", type=whole(0), default=0, help="of what is random (default: %(default)s)")
    add("--validate-every", type=whole(1), default=200, help="steps between validations and saves, of which the first "
        "come sooner (default: %(default)s)")  # fmt: skip
    add("--patience", type=whole(0), default=8, metavar="N", help="end after N validations without a better one; 0 "
        "makes all steps (default: %(default)s)")  # fmt: skip
    add("--keep", choices=("best", "last"), default="best", help="the weights that validated best, or, as in the "
        "paper, the last (default: %(default)s)")  # fmt: skip
    add("--vgg", type=Path, help="imagenet-vgg-verydeep-19.mat for the content loss (default: the installed copy)")
    add("--accelerator", choices=("auto", "cpu", "cuda"), default="auto", help="to compute on (default: %(default)s)")
    add("--precision", choices=("32-true", "bf16-mixed"), default="32-true", help="arithmetic (default: %(default)s)")
    add("--workers", type=whole(0), default=0, help="processes that read photos (default: in the training process)")
    add("--out", type=Path, help="folder of the run (default: runs/<generator>)")
    return parser


def parse_size(text: str) -> tuple[str, int]:
    name, _, size = text.partition("=")
    if not size.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=N, such as channels=16")
    return name, int(size)


def train(args: argparse.Namespace) -> Path:
    settings = TrainSettings.of(args)  # 1. what is asked for, checked

    from training.loop.build import build  # now, so that --help need not wait for torch
    from training.loop.finish import finish
    from training.loop.fit import fit
    from training.loop.processes import make_fabric

    fabric = make_fabric(settings.accelerator, settings.precision, settings.batch)
    with locked(settings.folder) if fabric.is_global_zero else nullcontext():
        training = build(settings, fabric)  # 2. pairs, networks, recipe; an earlier part of the run
        fit(training)  # 3. steps and validations; the best weights are kept
        return finish(training)  # 4. what was kept, what was gained


def main(argv: Sequence[str] | None = None) -> int:
    parser = parse()
    if parser.parse_known_args(argv)[0].finetune:
        parser.set_defaults(**FINE_TUNING)
    return run(parser, train, argv)


if __name__ == "__main__":
    raise SystemExit(main())
