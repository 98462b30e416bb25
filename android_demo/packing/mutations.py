"""Errors that a port of the core could have, to prove that the golden vectors catch them."""

from __future__ import annotations

import shutil
from pathlib import Path

from android_demo.packing import jvm_tests, kotlin
from android_demo.packing.fetch import DEMO, fetched

# name -> (file of the core, what is there, what is put there)
MUTATIONS = {
    "halo": ("Tiling.kt", "Span(it - halo, it,", "Span(it - halo + align, it,"),
    "rounding": ("Rounding.kt", "value * 255f + 0.5f", "value * 255f + 0.49f"),
    "orientation": ("Orientation.kt", "5, 8 -> y", "5, 6 -> y"),
}


def caught(name: str, folder: Path) -> bool:
    """Whether the tests of core fail when it has this error. Compiles a copy into `folder`."""
    file, old, new = MUTATIONS[name]
    sources = folder / "kotlin"
    shutil.copytree(DEMO / "core" / "src" / "main" / "kotlin", sources)
    path = next(sources.rglob(file))
    text = path.read_text()
    assert text.count(old) == 1, f"{file} has no longer {old!r}"
    path.write_text(text.replace(old, new))
    library, junit = kotlin.standard_library(), fetched("test")
    broken = folder / "core.jar"
    kotlin.compile_to(broken, sorted(sources.rglob("*.kt")), [library])
    tests = kotlin.compiled("core", [*kotlin.core(), *junit], tests=True)
    return not jvm_tests.passes([tests, broken, library, *junit], tests)
