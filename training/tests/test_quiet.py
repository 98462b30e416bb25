"""What other libraries print ends up in a file, whichever way they print it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHATTER = """
import ctypes, logging, os, subprocess, sys, warnings
from pathlib import Path
from training.process.quiet import third_party_output_to

print("own before")
try:
    with third_party_output_to(Path(sys.argv[1]), verbose=sys.argv[2] == "verbose"):
        print("python stdout")
        print("python stderr", file=sys.stderr)
        ctypes.CDLL(None).puts(b"native stdout")
        os.write(2, b"native stderr\\n")
        warnings.warn("a warning")
        logging.getLogger("toolchain").info("a message")
        subprocess.run([sys.executable, "-c", "print('a child')"])
        raise ValueError("stop")
except ValueError:
    print("own after")
"""
PRINTED = ("python stdout", "python stderr", "native stdout", "native stderr", "a warning", "a message", "a child")


@pytest.mark.parametrize("mode", ["quiet", "verbose"])
def test_all_that_is_printed_meanwhile_goes_to_the_file(mode: str, repository: Path, tmp_path: Path) -> None:
    log = tmp_path / "result.log"
    logged = "import logging; logging.basicConfig(format='%(message)s')\n" + CHATTER
    ran = subprocess.run(
        [sys.executable, "-c", logged, str(log), mode], cwd=repository, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0 and ran.stdout == "own before\nown after\n"
    quiet = mode == "quiet"
    assert log.exists() == quiet
    aside, shown = (log.read_text(), ran.stderr) if quiet else (ran.stderr, "")
    assert all(text in aside for text in PRINTED)
    assert not any(text in shown for text in PRINTED)
