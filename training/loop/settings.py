"""All that a run of train.py can be told. Its command line is made from this class; no torch here: --help is quick."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from training import generators
from training.commandline import UserError, real, whole
from training.losses.presets import PIXEL_PRESETS, PRESETS

DEFAULT_STEPS = 2000
# What --finetune takes where the user gives no other. LOG.md has what led to them.
FINETUNE_DEFAULTS: dict[str, Any] = {
    "preset": "scores", "lr": 1e-3, "batch": 24, "patch": 64, "steps": 800, "validate_every": 50,
}  # fmt: skip
# A run may be resumed with others of these: they say how long it goes on and what is kept, not what a step does.
CHANGEABLE = ("out", "steps", "minutes", "patience", "keep", "finetune")


def parse_fold(text: str) -> tuple[int, int]:
    """ "0/5" -> (0, 5), for argparse."""
    fold, _, folds = text.partition("/")
    if not (fold.isdecimal() and folds.isdecimal() and int(fold) < int(folds)):
        raise argparse.ArgumentTypeError(f"{text!r} is no K/N, such as 0/5 for the first of five parts")
    return int(fold), int(folds)


def parse_size(text: str) -> tuple[str, int]:
    """ "channels=16" -> ("channels", 16), for argparse."""
    name, _, size = text.partition("=")
    if not size.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=N, such as channels=16")
    return name, int(size)


def _flag(default: Any, description: str, **argument: Any) -> Any:
    """A field and what argparse needs to make its flag."""
    return field(default=default, metadata={"help": description, **argument})


# ruff: noqa: RUF009 (_flag makes dataclass fields)
@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """One field a flag, with the flag's default.

    Raises:
        UserError: flags that exclude each other.
    """

    # what it learns from
    pairs: Path | None = _flag(None, "DPED root, or a folder with <phone>/ and canon/ (default: the embedded sample)",
                               type=Path)  # fmt: skip
    phone: str | None = _flag(None, "which phone, where the folder has several (default: the only one, else iphone)")
    fold: tuple[int, int] | None = _flag(None, "cross-validation: hold out the K-th of N parts of the pairs to judge",
                                         type=parse_fold, metavar="K/N")  # fmt: skip
    all_pairs: bool = _flag(False, "learn from the validation pairs, too, for a release that cross-validation has "
                            "judged", action="store_true")  # fmt: skip
    packed: tuple[Path, ...] = _flag((), "samples of pack.py, teach.py or simulate.py", type=Path, nargs="*",
                                     metavar="FOLDER")  # fmt: skip
    packed_share: float = _flag(0.7, "of them in every batch; 1 learns from no pair (default: %(default)s)",
                                type=real(0, 1))  # fmt: skip
    tone_of: str | None = _flag(None, "pairs teach detail alone: the DSLR side gets the mean colour of this network's "
                                "answer to the phone side (default: no)", metavar="CHECKPOINT")  # fmt: skip

    # what it starts from
    finetune: str | None = _flag(None, "--init with the flags that suit it, and a report of what was gained",
                                 metavar="CHECKPOINT")  # fmt: skip
    init: str | None = _flag(None, "start from these weights (default: from scratch)", metavar="CHECKPOINT")
    keep_initial: float = _flag(0.0, "of the weights of --init in the result, for fine-tuning that is not to forget "
                                "(default: %(default)s)", type=real(0, 1), metavar="SHARE")  # fmt: skip
    generator: str = _flag("pocket", "what to train (default: %(default)s)", choices=generators.NAMES)
    config: tuple[tuple[str, int], ...] = _flag((), "sizes of a new generator other than its own, such as channels=16",
                                                type=parse_size, nargs="*", metavar="NAME=N")  # fmt: skip

    # how it learns
    preset: str | None = _flag(None, "losses: pixel is absolute error and structure, scores adds squared error and "
        "coarser structure, structure is that with four times the weight of structure; code and paper: DPED's four "
        "terms with the weights of the authors' code or of the paper (default: pixel for pocket, else code)",
        choices=PRESETS)  # fmt: skip
    steps: int = _flag(DEFAULT_STEPS, "optimizer steps, at most (default: %(default)s)", type=whole(1))
    minutes: float | None = _flag(None, "stop after this time, too, summed over resumed runs", type=real(0, above=True))
    batch: int = _flag(16, "patches per step; the paper's is 50 (default: %(default)s)", type=whole(1))
    patch: int = _flag(100, "side of a patch in px (default: %(default)s, as in DPED)", type=whole(8))
    lr: float | None = _flag(None, "learning rate (default: 2e-3 for pixel, else 5e-4)", type=real(0, above=True))
    seed: int = _flag(0, "of what is random (default: %(default)s)", type=whole())
    vgg: Path | None = _flag(None, "imagenet-vgg-verydeep-19.mat for the content loss (default: the installed copy)",
                             type=Path)  # fmt: skip

    # when it stops, and what is kept
    validate_every: int = _flag(100, "steps between validations, each with a checkpoint; the first come sooner "
                                "(default: %(default)s)", type=whole(1))  # fmt: skip
    patience: int = _flag(6, "after N validations without a better one the learning rate falls and the run ends; 0 "
        "takes all steps, along one cosine (default: %(default)s)", type=whole(), metavar="N")  # fmt: skip
    keep: str = _flag("best", "the weights that validated best become checkpoint.safetensors, or the last; "
        "last.safetensors always has those (default: %(default)s)", choices=("best", "last"))  # fmt: skip

    # where it runs
    accelerator: str = _flag("auto", "to compute on (default: %(default)s)", choices=("auto", "cpu", "cuda"))
    precision: str = _flag("32-true", "arithmetic (default: %(default)s)", choices=("32-true", "bf16-mixed"))
    workers: int = _flag(0, "processes that read photos (default: in the training process)", type=whole())
    out: Path | None = _flag(None, "folder of the run (default: runs/<generator>)", type=Path)

    def __post_init__(self) -> None:
        if self.finetune and not self.pairs:
            raise UserError("--finetune needs --pairs: a folder that align.py made, or one with <phone>/ and canon/")
        if self.finetune and self.init:
            raise UserError("--finetune and --init both name a checkpoint to start from; leave one out")
        if self.start_from and self.config:
            raise UserError(f"--config: {self.start_from} has its own sizes; leave one of --init and --config out")

    @property
    def start_from(self) -> str | None:
        """The checkpoint whose weights it starts from."""
        return self.finetune or self.init

    @property
    def folder(self) -> Path:
        """Of the run."""
        name = f"{Path(self.finetune).stem}-finetuned" if self.finetune else self.generator
        return self.out or Path("runs") / name

    @property
    def losses(self) -> str:
        """The preset, the generator's own where none is named."""
        return self.preset or ("pixel" if self.generator == "pocket" else "code")

    @property
    def by_pixel(self) -> bool:
        """Whether the losses compare pixels alone, without a discriminator."""
        return self.losses in PIXEL_PRESETS

    @property
    def validation_decides(self) -> bool:
        """False where its pairs are learned from, or where they are the fold that is to judge the network."""
        return not self.all_pairs and not self.fold

    @property
    def keeps_best(self) -> bool:
        """Whether the weights that validated best are kept, not the last."""
        return self.keep == "best" and self.validation_decides

    @property
    def effective_patience(self) -> int:
        """0 where validation does not say when to stop."""
        return self.patience if self.validation_decides else 0

    def as_text(self) -> dict[str, str]:
        """What the steps of a run depend on, for its checkpoint and for comparing."""
        names = [setting.name for setting in fields(self) if setting.name not in CHANGEABLE]
        return {name: str(getattr(self, name)) for name in [*names, "steps"]}


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """The command line of train.py: one flag for each setting."""
    parser = argparse.ArgumentParser(
        prog="train.py", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for setting in fields(TrainSettings):
        parser.add_argument(f"--{setting.name.replace('_', '-')}", default=setting.default, **setting.metadata)
    return parser


def settings_of(args: argparse.Namespace) -> TrainSettings:
    """From parsed flags; lists become tuples, since settings do not change."""
    flags: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in vars(args).items()}
    return TrainSettings(**flags)
