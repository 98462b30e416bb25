"""What is in a Markdown page: its fenced blocks, and the commands that it asks the reader to type."""

from __future__ import annotations

import re
from collections.abc import Iterator

PROGRAMS = ("python ", "make ", "torchrun ", "pip ", "adb ", "cd ", "open ", ".venv/bin/python ", "pocket-")
PART = re.compile(r"^```(?P<language>\w+)\n(?P<content>.*?)^```$|^ {4}(?P<line>\S[^\n]*)$", re.MULTILINE | re.DOTALL)


def parts(text: str) -> Iterator[tuple[str, str]]:
    """In the order of the page: ("python", code) and so on, and ("command", line) without its comment."""
    for part in PART.finditer(text):
        if part["language"]:
            yield part["language"], part["content"]
        elif (line := re.sub(r"\s+#.*", "", part["line"])).startswith(PROGRAMS):
            yield "command", line.strip()


def commands(text: str) -> list[str]:
    return [content for kind, content in parts(text) if kind == "command"]
