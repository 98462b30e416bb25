"""The embedded sample: photos as the DSLR side of simulated pairs, without network or download.

Fourteen lie in sample/, the others ship inside installed packages. sample/photos.csv names each with its split, author
and licence and pins it by its checksum. All are free to use but the motorcycle, whose benchmark states no licence: it
only calibrates.
"""

from __future__ import annotations

import csv
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from training.commandline import UserError
from training.files import sha256

FOLDER = Path(__file__).parent / "sample"
FREE_LICENCES = ("public domain", "no known copyright restrictions", "CC0-1.0", "CC-BY-2.0")


class SampleError(UserError):
    """A photo of the embedded sample is absent or not the one that is expected."""


@dataclass(frozen=True)
class SamplePhoto:
    """split: "train", "validation", "calibration" or "fidelity".

    package, file: where it is installed; without a package in sample/.
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
        package = self.package or "pocket-dslr"
        path = next((path for folder in self._folders() if (path := Path(folder, self.file)).is_file()), None)
        if path is None:
            raise SampleError(
                f"{self.file}: the package {package} does not bring it; reinstall {package} or give --pairs"
            )
        if sha256(path) != self.sha256:
            raise SampleError(f"{path}: not the expected photo (sha256 differs); reinstall {package} or give --pairs")
        return path

    def _folders(self) -> list[str]:
        if not self.package:
            return [str(FOLDER)]
        spec = importlib.util.find_spec(self.package)  # finds without importing
        return list(spec.submodule_search_locations or []) if spec else []


def _read(table: Path) -> tuple[SamplePhoto, ...]:
    with table.open(newline="", encoding="utf-8") as file:
        return tuple(SamplePhoto(**row) for row in csv.DictReader(file))


# Scenes of different splits are unlike each other. Nothing is learned from those of "fidelity" or chosen by them.
SAMPLE = _read(FOLDER / "photos.csv")
