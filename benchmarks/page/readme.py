"""python benchmarks/page/readme.py

Fills the blocks of the READMEs from the paths that they name, so that no figure and no list of files is typed by hand.
A block lies between the comments `PATH` and `end`: a `.md` file is put there as it is, a `log.jsonl` of train.py as a
table of its curve, folders (`training/ conversion/`) as one tree with a line for each Python file, from its docstring.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.commandline import UserError, run
from training.files import write_text

READMES = [Path("README.md"), *(Path(folder) / "README.md" for folder in ("training", "conversion", "benchmarks"))]
OPENING = r"<!-- (?P<path>[\w./-]+\.(?:md|jsonl)|[\w/]+/(?: [\w/]+/)*) -->\n"
ENDING = "<!-- end -->"
BLOCK = re.compile(rf"{OPENING}.*?(?={ENDING})", re.DOTALL)
MARKER = re.compile(rf"{OPENING}|{ENDING}")
CURVE_ROWS = 10
LINE_LETTERS = 110  # of what is said of a file


def render(text: str, root: Path) -> str:
    """`text` with every block filled anew from the files below `root`.

    Raises:
        UserError: a file is absent or not what its ending says, what it says holds a marker, or a marker of the page
            lacks its partner.
    """
    markers = [marker["path"] for marker in MARKER.finditer(text)]
    if len(markers) % 2 or not all(markers[::2]) or any(markers[1::2]):
        raise UserError("the comments that open and end blocks do not pair; compare the page with its last version")

    def fill(block: re.Match[str]) -> str:
        path = block["path"]
        try:
            content = tree(root, path.split()) if path.endswith("/") else (root / path).read_text(encoding="utf-8")
            if path.endswith(".jsonl"):
                content = curve([json.loads(line) for line in content.splitlines()])
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{root / path}: no table can be made of it ({error}); run `make results`") from error
        if MARKER.search(content):
            raise UserError(f"{root / path}: holds a marker of blocks, which would end the block that shows it")
        return f"<!-- {path} -->\n\n{content.strip()}\n\n"

    return BLOCK.sub(fill, text)


def tree(root: Path, folders: Sequence[str]) -> str:
    """The folders with all that is below them, tests apart: a line for each Python file, with its first sentence."""
    lines: list[tuple[str, str]] = []

    def show(folder: Path, name: str, depth: int) -> None:
        modules = [path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]
        rooms = [path for path in sorted(folder.iterdir()) if path.name != "tests" and any(path.glob("**/*.py"))]
        start = folder / "__init__.py"
        lines.append(("  " * depth + name, about(start) if start.exists() else ""))
        lines.extend(("  " * (depth + 1) + path.name, about(path)) for path in modules)
        for room in rooms:
            show(room, f"{room.name}/", depth + 1)

    for folder in folders:
        show(root / folder, folder, 0)
    width = max(len(name) for name, _ in lines)
    return "\n".join(["```text", *(f"{name:{width}}  {sentence}".rstrip() for name, sentence in lines), "```"])


def about(path: Path) -> str:
    """What a file's docstring opens with, a command left out: the most of its first sentence that fits a line."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    described = re.sub(r"^(python [^\n]*?(: |\n+|$))+", "", docstring).split("\n\n")[0]
    sentence = re.split(r"(?<=[\w)`])\.( |$)", " ".join(described.split()))[0].removesuffix(":")
    ends = [match.start() for match in re.finditer("[:;] ", sentence)]
    fitting = [end for end in [*ends, len(sentence)] if end <= LINE_LETTERS]
    return sentence[:1].upper() + sentence[1 : max(fitting, default=min([*ends, len(sentence)]))]


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
    parser.add_argument("pages", type=Path, nargs="*", default=READMES, metavar="PAGE",
                        help="to fill, with paths from the current folder (default: all READMEs)")  # fmt: skip

    def body(args: argparse.Namespace) -> Path:
        filled = {path: render(path.read_text(encoding="utf-8"), Path()) for path in args.pages}
        for path, text in filled.items():
            write_text(path, text)
        return Path(args.pages[0])

    return run(parser, body, argv)


if __name__ == "__main__":
    raise SystemExit(main())
