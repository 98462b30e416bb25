"""Tables in Markdown, whose text comes from files that are not trusted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any


def escape_markdown(value: Any) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no link, no new line or table cell."""
    one_line = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    escaped = re.sub(r"([\\`*_{}\[\]#|~])", r"\\\1", one_line)
    return (
        escaped.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("://", ":&#47;/")
        .replace("www.", "www&#46;")
    )


def markdown_table(columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[Any]]) -> str:
    """A table, every cell escaped.

    Args:
        columns: (label, is text): text stands to the left, figures to the right.
        rows: as many cells each; None is a dash.
    """
    lines = [_line(label for label, _ in columns), f"|{'|'.join('---' if text else '--:' for _, text in columns)}|"]
    lines += [_line("—" if cell is None else cell for cell in row) for row in rows]
    return "\n".join(lines)


def _line(cells: Iterable[Any]) -> str:
    return f"| {' | '.join(map(escape_markdown, cells))} |"
