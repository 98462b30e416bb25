"""Run compiled Kotlin tests on the JVM, by the launcher of JUnit."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from android_demo.packing import kotlin, resources
from android_demo.packing.fetch import DEMO, fetched
from training.commandline import UserError, log

MODULES = ("core", "engine", "app")
VECTORS = DEMO.parent / "conversion" / "contract" / "vectors"
SUCCESSFUL = re.compile(r"(\d+) tests successful")


def classpath(module: str) -> list[Path]:
    """A module, and what it runs with."""
    if module == "app":
        return kotlin.app(resources.r_classes())
    return kotlin.core() if module == "core" else kotlin.engine()


def test(module: str, vectors: Path, reports: Path) -> None:
    """Raises UserError: a test failed, or none ran; carries what was said."""
    path = classpath(module)
    junit = fetched("test")
    tests = kotlin.compiled(module, [*path, *junit], tests=True)
    log.info("testing %s", module)
    done = launch([tests, *path, *junit], tests, vectors, "--reports-dir", str(reports))
    found = SUCCESSFUL.search(done.stdout)
    if done.returncode or not found or int(found[1]) == 0:
        raise UserError(f"Kotlin tests of {module} failed:\n{(done.stdout + done.stderr)[-6000:]}")
    log.info("%s: %s", module, found[0])


def passes(path: Sequence[Path], tests: Path) -> bool:
    """Whether tests ran, and all succeeded. Tests that could not run at all are neither: UserError."""
    done = launch(path, tests, VECTORS)
    if not SUCCESSFUL.search(done.stdout):
        raise UserError(f"Kotlin tests did not run:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.returncode == 0


def launch(path: Sequence[Path], tests: Path, vectors: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*kotlin.JAVA, "-Xmx1g", f"-Dcontract.vectors={vectors.resolve()}", "-cp", ":".join(map(str, path)),
         "org.junit.platform.console.ConsoleLauncher", "execute", "--scan-classpath", str(tests), "--disable-banner",
         "--details=summary", "--disable-ansi-colors", *more],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
