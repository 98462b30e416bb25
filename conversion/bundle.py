"""python conversion/bundle.py ARTIFACT_FOLDER... [--out dist]

Packs artifacts for app developers, a zip each, and lists all that lies in the folder in SHA256SUMS, for
`sha256sum -c SHA256SUMS`. Equal artifacts become equal files: names in order, no times, no owners.
"""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Sequence
from pathlib import Path

from conversion.artifact import Artifact, ArtifactError
from training.commandline import run
from training.files import replacing, sha256, write_text

SUMS = "SHA256SUMS"
NO_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
PLAIN_FILE = 0o100644 << 16


def bundle(artifact: Artifact, out: Path) -> Path:
    """`<out>/<artifact>.zip`, in which everything lies below `<artifact>/`.

    Raises:
        ArtifactError: a file differs from its checksum, or fidelity is below its floor.
    """
    manifest = artifact.verify().manifest
    missed = manifest.fidelity and manifest.fidelity.below_floor
    if missed:
        raise ArtifactError(f"{artifact.folder}: below its floor and not given out: {missed}; choose another precision")
    files = sorted(path for path in artifact.folder.rglob("*") if path.is_file())
    target = out / f"{manifest.name}.zip"
    with replacing(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path in files:
            entry = zipfile.ZipInfo(f"{manifest.name}/{path.relative_to(artifact.folder).as_posix()}", NO_TIME)
            entry.external_attr, entry.compress_type = PLAIN_FILE, zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes(), compresslevel=9)
    return target


def sums(folder: Path) -> str:
    """As `sha256sum *` prints them."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != SUMS)
    return "".join(f"{sha256(path)}  {path.name}\n" for path in files)


def body(args: argparse.Namespace) -> Path:
    for folder in args.artifacts:
        bundle(Artifact.load(folder), args.out)
    return write_text(args.out / SUMS, sums(args.out))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="bundle.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("artifacts", type=Path, nargs="+", metavar="ARTIFACT_FOLDER", help="what a to_*.py made")
    parser.add_argument("--out", type=Path, default=Path("dist"), metavar="FOLDER",
                        help="where archives and SHA256SUMS go (default: %(default)s)")  # fmt: skip
    return run(parser, body, argv)


if __name__ == "__main__":
    raise SystemExit(main())
