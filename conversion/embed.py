"""python conversion/embed.py runs/release/pocket-clean-tflite-fp32

Puts a release's artifact into `conversion/releases/`, from where the package runs it without PyTorch: its model, its
manifest and its card, without the golden pair, which is larger than all the rest. `make embedded` converts it before.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from conversion.artifact import CHECKSUM, MANIFEST, Artifact, ArtifactError
from conversion.engines import RELEASES
from training.commandline import run
from training.files import replacing, sha256
from training.weights import release_file

CARD = "MODEL_CARD.md"


def embed(artifact: Artifact, out: Path) -> Path:
    """`<out>/<release>/`.

    Raises:
        ArtifactError: a file differs from its checksum, fidelity is below its floor, or it is not of a release.
    """
    manifest = artifact.verify().manifest
    weights = release_file(manifest.source.name)
    if weights is None or sha256(weights) != manifest.source.sha256:
        raise ArtifactError(f"{artifact.folder}: was not made of a release as it is; convert the release again")
    if manifest.fidelity is None or manifest.fidelity.below_floor:
        raise ArtifactError(f"{artifact.folder}: has no proven fidelity; choose another precision")
    folder = out / manifest.source.name
    models = {point.file for point in manifest.entry_points}
    for name in [*sorted(models), CARD, CHECKSUM, MANIFEST]:
        with replacing(folder / name) as temporary:
            shutil.copyfile(artifact.folder / name, temporary)
    return folder


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="embed.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("artifact", type=Path, metavar="ARTIFACT_FOLDER", help="what to_tflite.py made of a release")
    parser.add_argument("--out", type=Path, default=RELEASES, help="folder (default: conversion/releases)")
    return run(parser, lambda args: embed(Artifact.load(args.artifact), args.out), argv)


if __name__ == "__main__":
    raise SystemExit(main())
