"""What a training run is asked to do: the flags of train.py, checked, without torch."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from training.commandline import UserError

PRESETS = ("pixel", "scores", "structure", "code", "paper")
GENERATORS = ("pocket", "dped", "ppcn_student", "ppcn_teacher", "srcnn", "per_pixel")
# Of the flags, where --finetune is given and the user gives none. LOG.md has what led to them.
FINE_TUNING: dict[str, Any] = {
    "phone": None, "preset": "scores", "lr": 1e-3, "batch": 24, "patch": 64, "steps": 800, "validate_every": 50,
    "patience": 6,
}  # fmt: skip
MAY_DIFFER = ("out", "minutes", "steps", "patience", "keep", "finetune")  # between a run and its resumption


@dataclass(frozen=True)
class TrainSettings:
    """One run. Names and meanings are those of train.py's flags; `--help` explains them.

    Raises:
        UserError: settings that contradict each other.
    """

    pairs: Path | None = None
    fold: tuple[int, int] | None = None
    all_pairs: bool = False
    packed: tuple[Path, ...] = ()
    packed_share: float = 0.7
    finetune: str | None = None
    init: str | None = None
    keep_initial: float = 0.0
    tone_of: str | None = None
    phone: str | None = None
    generator: str = "pocket"
    config: tuple[tuple[str, int], ...] = ()
    preset: str | None = None
    steps: int = 2000
    minutes: float | None = None
    batch: int = 16
    patch: int = 100
    lr: float | None = None
    seed: int = 0
    validate_every: int = 200
    patience: int = 8
    keep: Literal["best", "last"] = "best"
    vgg: Path | None = None
    accelerator: str = "auto"
    precision: str = "32-true"
    workers: int = 0
    out: Path | None = None

    def __post_init__(self) -> None:
        if self.finetune and not self.pairs:
            raise UserError("--finetune needs --pairs: a folder that align.py made, or one with <phone>/ and canon/")
        if self.init and self.config:
            raise UserError(f"--config: {self.init} has its own sizes; leave one of --init and --config out")

    @classmethod
    def of(cls, args: argparse.Namespace) -> TrainSettings:
        """From parsed flags. Fine-tuning starts from the checkpoint that it names."""
        flags = {field.name: getattr(args, field.name) for field in fields(cls)}
        settings = cls(**flags | {"packed": tuple(args.packed), "config": tuple(args.config)})
        return replace(settings, init=settings.finetune) if settings.finetune else settings

    @property
    def folder(self) -> Path:
        """Where the run is kept."""
        name = f"{Path(self.finetune).stem}-finetuned" if self.finetune else self.generator
        return self.out or Path("runs") / name

    @property
    def losses(self) -> str:
        """The preset: pixel for Pocket, the authors' code for others, where none is named."""
        return self.preset or ("pixel" if self.generator == "pocket" else "code")

    def recorded(self) -> dict[str, str]:
        """What a resumed run must have in common with this one, as text."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: str(value) for name, value in sorted(values.items()) if name not in MAY_DIFFER}
