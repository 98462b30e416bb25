"""What a converter offers, and its flags: light, so that `--help` and mistakes in flags are answered at once."""

from __future__ import annotations

import argparse
import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from conversion.artifact import SIDE_PX_MAX, Format, Precision, Target
from training.commandline import real, whole
from training.weights import default_release

if TYPE_CHECKING:
    from conversion.export import Lowered, Source

TILE_PX = 256
PSNR_MAX_DB = 120.0  # where it is capped
JUDGES_MAX = 24  # photos that judge fidelity, unless told otherwise
OUT = Path("runs/artifacts")
Io = Literal["float", "uint8"]


@dataclass(frozen=True)
class Form:
    """What is asked of a converter.

    io: type of thumbnail, tile and output: float32 in [0, 1], or 8 bits (in Core ML: images).
    float_layers: convolutions of enhance that are not quantized, by their names in `Source.layers`.
    """

    precision: Precision
    target: Target
    io: Io = "float"
    float_layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Converter:
    """A toolchain: how it lowers and what it offers.

    lowering: the module whose `lower(source, form, folder)` does it; imported when it is needed, with PyTorch.
    precisions, targets: what `--precision` and `--target` may be, the best of each first.
    ios: forms of input and output. runs_here: targets that this project can run on this kind of machine.
    runs_on_gpu: whether phones may take a GPU for it, which is then checked.
    """

    format: Format
    lowering: str
    precisions: tuple[Precision, ...]
    targets: tuple[Target, ...]
    ios: tuple[Io, ...]
    runs_here: tuple[Target, ...]
    runs_on_gpu: bool = False

    def lower(self, source: Source, form: Form, folder: Path) -> Lowered:
        """Leave the model files in a folder.

        Raises:
            ConversionError: the toolchain is not installed, or does not take this network in this form.
        """
        lowered: Lowered = importlib.import_module(self.lowering).lower(source, form, folder)
        return lowered


def artifact_name(checkpoint: str, converter: Converter, form: Form) -> str:
    """Of the folder: what is not the default is part of it."""
    parts = [_file_name(checkpoint), converter.format, form.precision]
    if form.target != converter.targets[0]:
        parts.append(form.target)
    if form.io != converter.ios[0]:
        parts.append(form.io)
    return "-".join(parts)


def _file_name(name: str) -> str:
    """A checkpoint's name, fit for a folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:80] or "checkpoint"


def make_parser(description: str | None, converter: Converter) -> argparse.ArgumentParser:
    """The flags of every converter."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--checkpoint", metavar="NAME_OR_PATH", default=default_release(), help="a released name or a path (default: "
        "%(default)s)")  # fmt: skip
    add("--precision", choices=converter.precisions, default=converter.precisions[0], help="default: %(default)s")
    if len(converter.targets) > 1:
        add("--target", choices=converter.targets, default=converter.targets[0], help="default: %(default)s")
    if len(converter.ios) > 1:
        add("--io", choices=converter.ios, default=converter.ios[0], help="thumbnail, tile and output as float in "
            "[0, 1] or as 8 bits (default: %(default)s)")  # fmt: skip
    add("--tile", type=whole(1, SIDE_PX_MAX), default=TILE_PX, metavar="PX", help="side of a tile with its halo, fixed "
        "in the artifact (default: %(default)s)")  # fmt: skip
    add("--photos", type=Path, metavar="DIR", help="photos, by turns for calibration and to judge fidelity (default: "
        "the embedded sample's)")  # fmt: skip
    add("--judges", type=whole(1), default=JUDGES_MAX, metavar="N", help="photos that judge at most (default: "
        "%(default)s)")  # fmt: skip
    add("--min-psnr", type=real(0, PSNR_MAX_DB), metavar="DB", help="mean PSNR that fidelity must reach: layers stay "
        "float, the most sensitive first, until it does (default: the precision's floor, all quantized)")  # fmt: skip
    add("--min-worst-psnr", type=real(0, PSNR_MAX_DB), metavar="DB", help="the same for the worst photo")
    add("--allow-below-floor", action="store_true", help="write the artifact all the same; its manifest says it")
    add("--out", type=Path, default=OUT, help="folder of artifacts (default: %(default)s)")
    return parser
