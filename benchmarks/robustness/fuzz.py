"""python benchmarks/robustness/fuzz.py photo [--seconds 60]

Fuzzes a reader with atheris (pip install atheris): whatever the bytes are, they must end in something whole or in one
sentence. Prints the folder of the inputs that it has found; the same command again goes on from them. Exit code other
than 0, with the input in a file there, when a case ends in another way.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.robustness.faults import Case, Reader
from training.commandline import UserError, run, whole

CONTRACT = Path(__file__).parents[2] / "conversion" / "contract"
FILES: dict[Reader, str] = {  # under which the bytes lie, below a folder of their own
    "photo": "fuzz.jpg", "report": "fuzz.json", "manifest": "fuzz/manifest.json", "published": "fuzz.index",
}  # fmt: skip


def seeds(reader: Reader) -> list[bytes]:
    from benchmarks.robustness.faults_photos import encoded, scene
    from benchmarks.robustness.faults_published import tensorflow_files

    if reader == "photo":
        return [encoded(scene(16, 24), kind) for kind in ("JPEG", "PNG", "TIFF", "WEBP", "GIF")]
    if reader == "published":
        return [tensorflow_files({})[0]]
    return [(CONTRACT / f"{reader}.example.json").read_bytes()]


def fuzz(args: argparse.Namespace) -> Path:
    try:
        import atheris  # type: ignore[import-untyped]
    except ImportError:
        raise UserError("atheris is not installed; pip install atheris (its wheels are for Linux)") from None
    with atheris.instrument_imports(include=["training", "conversion", "benchmarks"]):  # it sees their branches
        import benchmarks.report  # noqa: F401
        import conversion.artifact  # noqa: F401
        import training.photos
        import training.published.networks  # noqa: F401
        from benchmarks.robustness.fault_process import judged
    corpus: Path = args.out / args.reader
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(args.reader)):
        (corpus / f"seed-{number}").write_bytes(seed)
    folder = Path(tempfile.mkdtemp(prefix="pocket-dslr-fuzz-"))
    path = folder / FILES[args.reader]
    path.parent.mkdir(exist_ok=True)
    (folder / "fuzz.data-00000-of-00001").write_bytes(b"")
    given = {"manifest": path.parent, "published": folder / "fuzz"}.get(args.reader, path)

    def one(content: bytes) -> None:
        path.write_bytes(bytes(content))
        outcome = judged(Case("fuzz", args.reader, given, "picture"))
        if outcome.kind not in ("refused", "right"):
            raise AssertionError(outcome)

    print(corpus, flush=True)
    os.chdir(corpus)  # where it puts an input that fails
    atheris.Setup([sys.argv[0], f"-max_total_time={args.seconds}", "-rss_limit_mb=4000", "."], one)
    atheris.Fuzz()  # ends the process
    return corpus


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="fuzz.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reader", choices=FILES, help="what reads the bytes")
    parser.add_argument("--seconds", type=whole(1, 1_000_000), default=60, help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"), help="folder (default: %(default)s)")
    return run(parser, fuzz, argv)


if __name__ == "__main__":
    raise SystemExit(main())
