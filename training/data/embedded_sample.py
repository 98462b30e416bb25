"""The embedded sample: photos that come with this package and with others, as the DSLR side of simulated pairs.

No network and no download. `sample/sample.csv` names each photo with author and licence and pins it by its checksum.
Those that a generator learns from are free to use; the motorcycle, whose benchmark states no licence, only calibrates.
Of the photos that this package brings, four judge every release and are learned from by none (data/held_out.py).
"""

from __future__ import annotations

import csv
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from training.commandline import UserError
from training.files import sha256

FOLDER = Path(__file__).parent / "sample"


class SampleError(UserError):
    """A photo of the embedded sample is absent or not the one that is expected."""


@dataclass(frozen=True)
class SamplePhoto:
    """split: "train", "validation", "calibration" or "fidelity", whose photos are held out for every judgement.

    package and file: where it is installed; without a package, it lies beside sample.csv.
    """

    name: str
    split: str
    package: str
    file: str
    author: str
    licence: str
    sha256: str

    def path(self) -> Path:
        """Where the photo is.

        Raises:
            SampleError: the package is not installed, or its photo is another one.
        """
        folders = [FOLDER] if not self.package else _folders_of(self.package)
        path = next((path for folder in folders if (path := folder / self.file).is_file()), None)
        source = self.package or "pocket-dslr"
        if path is None:
            raise SampleError(f"{self.file}: the package {source} does not bring it; reinstall it or give --pairs")
        if sha256(path) != self.sha256:
            raise SampleError(f"{path}: not the expected photo (sha256 differs); reinstall {source} or give --pairs")
        return path


def _folders_of(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)  # finds without importing
    return [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []


def _read() -> tuple[SamplePhoto, ...]:
    with (FOLDER / "sample.csv").open(newline="", encoding="utf-8") as file:
        return tuple(SamplePhoto(**row) for row in csv.DictReader(file))


SAMPLE = _read()
