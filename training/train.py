"""python training/train.py

Trains a generator from phone/DSLR pairs. Without flags: the Pocket generator on the embedded sample, in minutes
on a processor. `--generator dped --preset code --keep last --pairs dped` trains the paper's with all four losses.
`--finetune pocket-iphone --pairs MY_DIR` teaches a released network your own camera and says what that gained.
What validated best is kept, and where nothing more is gained it stops. The same command again resumes a run that was
interrupted; with more --steps a finished one goes on. Several GPUs, of one machine or many that share a disk:
`torchrun --nproc-per-node 8 training/train.py ...`; the network is the one that a single process would make.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from training.commandline import run
from training.files import locked
from training.loop.settings import FINETUNE_DEFAULTS, make_parser, settings_of


def train(args: argparse.Namespace) -> Path:
    """Returns the checkpoint."""
    settings = settings_of(args)
    # The modules below load torch, which takes seconds: not before the flags are known to be right.
    from training.loop.build import build
    from training.loop.fit import finish, fit
    from training.loop.processes import make_fabric

    fabric = make_fabric(settings.accelerator, settings.precision, settings.batch)
    with locked(settings.folder) if fabric.is_global_zero else nullcontext():
        progress = build(settings, fabric)  # 1. pairs, networks, batches; the state of an interrupted run
        fit(progress)  # 2. steps; now and then validate, 3., which keeps the best weights and may call the end
        return finish(progress)  # 4. the checkpoint of the kept weights


def main(argv: Sequence[str] | None = None) -> int:
    parser = make_parser(__doc__)
    before = argparse.ArgumentParser(add_help=False)  # whose defaults depend on one flag
    before.add_argument("--finetune")
    if before.parse_known_args(argv)[0].finetune:
        parser.set_defaults(**FINETUNE_DEFAULTS)
    return run(parser, train, argv)


if __name__ == "__main__":
    raise SystemExit(main())
