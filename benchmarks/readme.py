"""python benchmarks/readme.py

Renders the tables of README.md from result files. A block stands between `<!-- FILE -->` and `<!-- end -->`: a `.md`
file is put there as it is, a `log.jsonl` of train.py as a table of its curve.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.commandline import UserError, run
from training.files import write_text

BLOCK = re.compile(r"(?<=<!-- )(?P<file>[\w./-]+\.(?:md|jsonl))( -->\n)(?P<old>.*?)(?=<!-- end -->)", re.DOTALL)
CURVE_ROWS = 10


def render(text: str, root: Path) -> str:
    """`text` with every block filled anew from the files below `root`.

    Raises:
        UserError: a file is absent or not what its ending says.
    """

    def fill(block: re.Match[str]) -> str:
        file = root / block["file"]
        try:
            content = file.read_text(encoding="utf-8")
            table = content if file.suffix == ".md" else curve([json.loads(line) for line in content.splitlines()])
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{file}: no table can be made of it ({error}); run `make results`") from error
        return f"{block['file']}{block[2]}\n{table.strip()}\n\n"

    return BLOCK.sub(fill, text)


def curve(rows: Sequence[dict[str, Any]]) -> str:
    """The log of a training run as a table of about CURVE_ROWS rows, the first and the last among them."""
    count = min(CURVE_ROWS, len(rows))
    chosen = sorted({round(k * (len(rows) - 1) / max(count - 1, 1)) for k in range(count)})
    losses = list(rows[-1]["loss"])
    head = ["minutes", "step", "PSNR dB, mean of images", *losses]
    lines = [f"| {' | '.join(head)} |", f"|{'--:|' * len(head)}"]
    for row in (rows[k] for k in chosen):
        cells = [f"{row['minutes']:.0f}", str(row["step"]), f"{row['psnr_mean_of_images_db']:.2f}"]
        cells += [f"{row['loss'][name]:.4g}" for name in losses]
        lines.append(f"| {' | '.join(cells)} |")
    before = rows[-1]["identity_psnr_mean_of_images_db"]
    return (
        "\n".join(lines)
        + f"""

PSNR on the validation pairs is of the averaged weights; the phone photo as it is has {before:.2f} dB. Losses are
unweighted, and means over the steps since the last validation, of which not every one is shown.
"""
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="readme.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("README.md"), help="the file to fill (default: %(default)s)")

    def body(args: argparse.Namespace) -> Path:
        return write_text(args.out, render(args.out.read_text(encoding="utf-8"), args.out.resolve().parent))

    return run(parser, body, argv)


if __name__ == "__main__":
    raise SystemExit(main())
