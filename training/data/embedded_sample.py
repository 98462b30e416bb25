"""The embedded sample: photos that ship inside installed packages, as the DSLR side of simulated pairs.

No network and no download. Each photo is named with its author and licence and pinned by its checksum. Those that
a generator learns from are free to use; the motorcycle, whose benchmark states no licence, only calibrates.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from training.commandline import UserError
from training.files import sha256

PUBLIC_DOMAIN, CC0, CC_BY = "public domain", "CC0-1.0", "CC-BY-2.0"


class SampleError(UserError):
    """A photo of the embedded sample is absent or not the one that is expected."""


@dataclass(frozen=True)
class SamplePhoto:
    """split: "train", "validation", "calibration" or "fidelity"; package and file: where it is installed."""

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
        spec = importlib.util.find_spec(self.package)  # finds without importing
        folders = (spec.submodule_search_locations or []) if spec else []
        path = next((path for folder in folders if (path := Path(folder, self.file)).is_file()), None)
        if path is None:
            raise SampleError(
                f"{self.file}: the package {self.package} does not bring it; reinstall {self.package} or give --pairs"
            )
        if sha256(path) != self.sha256:
            raise SampleError(
                f"{path}: not the expected photo (sha256 differs); reinstall {self.package} or give --pairs"
            )
        return path


# Held out are two ordinary photos of daylight and of a room, unlike each other and those trained on.
SAMPLE = (
    SamplePhoto("astronaut", "train", "skimage", "data/astronaut.png", "NASA", PUBLIC_DOMAIN,
                "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"),
    SamplePhoto("chelsea", "train", "skimage", "data/chelsea.png", "Stefan van der Walt", CC0,
                "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb"),
    SamplePhoto("rocket", "train", "skimage", "data/rocket.jpg", "SpaceX", PUBLIC_DOMAIN,
                "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c"),
    SamplePhoto("china", "train", "sklearn", "datasets/images/china.jpg", "danielbuechele", CC_BY,
                "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29"),
    SamplePhoto("coffee", "validation", "skimage", "data/coffee.png", "Rachel Michetti", CC0,
                "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7"),
    SamplePhoto("motorcycle", "calibration", "skimage", "data/motorcycle_left.png", "Middlebury stereo benchmark 2014",
                "none stated", "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179"),
    SamplePhoto("flower", "fidelity", "sklearn", "datasets/images/flower.jpg", "vultilion", CC_BY,
                "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638"),
)  # fmt: skip
