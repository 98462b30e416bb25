"""python training/release.py pocket-iphone runs/pocket-iphone

Makes a release of a trained checkpoint: weights rounded to half precision in training/weights/, with a model card
beside them. `make releases` runs all steps up to this one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from training.commandline import UserError, log, run
from training.files import write_text

if TYPE_CHECKING:
    from training.checkpoint import Checkpoint

MAX_BYTES = 500_000
HERE = Path(__file__).parent
RESULTS = HERE / "results" / "releases"


@dataclass(frozen=True)
class Release:
    """What the card says beyond what the files of the run know. tables: below training/results/releases/."""

    about: str
    licence: str
    good_for: tuple[str, ...]
    not_for: tuple[str, ...]
    tables: tuple[str, ...]


RELEASES = {
    "pocket-iphone": Release(
        about="Enhances photos of the iPhone 3GS towards the Canon 70D of DPED. It learned from what PPCN's teacher "
        "network answers for many photos, then from DPED's pairs as well.",
        licence="research use: learned from photos and published weights without a stated licence",
        good_for=(
            "photos of the iPhone 3GS, and of phones of its time that are as dark and pale",
            "research: on DPED's pairs it is ahead of the best small network published, with a tenth of its arithmetic",
        ),
        not_for=(
            "products: what it learned from states no licence",
            "photos of today's phones, bright and sharp already: they come out brighter still, white skies turn "
            "lavender, reds neon, shadows noisy; use pocket-clean, or a small `--strength`",
            "reading the scores of the folds as its own: they are of networks made in the same way without the pairs "
            "that they are scored on; the released one has learned from all pairs",
        ),
        tables=("folds.md", "looks-held-out.md", "looks-modern.md"),
    ),
    "pocket-clean": Release(
        about="Enhances photos of phones that it does not know: what is darker than its scene asks for is brightened, "
        "noise, blur and pale colours are mended, a good photo stays nearly as it is. It learned from photos with free "
        "licences, named in pocket-clean-photos.csv, as simulated cameras would have taken them.",
        licence="Apache-2.0; it learned from photos that are CC0, free to use as their source says, or under the "
        "Unsplash licence, which is free use and not an open licence",
        good_for=(
            "products and apps",
            "photos of any phone that are dark, pale, soft or noisy",
            "folders of mixed photos: one that is good already changes little",
        ),
        not_for=(
            "the look of one DSLR: no pair of photos taught it, pocket-iphone has that for one phone",
            "dark places of a backlit scene alone: tone is the same everywhere in a photo",
            "detail that the phone did not see: it sharpens and cleans, it invents nothing",
        ),
        tables=("../judged-199/quality.md", "unknown-cameras.md", "looks-modern.md"),
    ),
}


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="release.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=RELEASES, help="of the release")
    parser.add_argument("checkpoint", help="path of a trained checkpoint or its run")
    parser.add_argument("--out", type=Path, default=HERE / "weights", help="folder (default: training/weights)")
    return parser


def release(args: argparse.Namespace) -> Path:
    from training.checkpoint import Checkpoint  # loads torch, which takes seconds

    about = RELEASES[args.name]
    missing = [name for name in about.tables if not (RESULTS / name).is_file()]
    if missing:
        raise UserError(f"{RESULTS / missing[0]}: no such table; run make releases, which makes it")
    checkpoint = Checkpoint.load(args.checkpoint)
    for parameter in checkpoint.generator.parameters():
        parameter.data = parameter.data.half()
    checkpoint.provenance["trained_from_sha256"] = checkpoint.sha256
    checkpoint.name, checkpoint.licence = args.name, about.licence
    args.out.mkdir(parents=True, exist_ok=True)
    path = checkpoint.save(args.out / f".{args.name}.safetensors")
    size_bytes = path.stat().st_size
    if size_bytes > MAX_BYTES:
        path.unlink()
        raise UserError(
            f"{args.checkpoint}: {size_bytes:,} bytes in half precision, a release has {MAX_BYTES:,} at most"
        )
    path = path.rename(args.out / f"{args.name}.safetensors")
    write_text(args.out / f"{args.name}.md", card(args.name, Checkpoint.load(path), size_bytes))
    log.info("%s: %s bytes, %s", args.name, f"{size_bytes:,}", about.licence)
    return path


def card(name: str, checkpoint: Checkpoint, size_bytes: int) -> str:
    generator, about = checkpoint.generator, RELEASES[name]
    tables = "\n".join((RESULTS / table).read_text() for table in about.tables)
    return f"""# {name}

{about.about}

- licence of the weights: {about.licence}
- network: `{generator.name}`, {generator.parameter_count():,} parameters, {generator.mac_per_px():,.0f} MAC per pixel
- file: {size_bytes:,} bytes, half precision, sha256 {checkpoint.sha256}
- made again by: `make releases`

## Good for
{_listed(about.good_for)}

## Not for
{_listed(about.not_for)}

## Learned from
{_listed(checkpoint.provenance["licences"])}

## Scores
{tables}"""


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def main(argv: Sequence[str] | None = None) -> int:
    return run(parse(), release, argv)


if __name__ == "__main__":
    raise SystemExit(main())
