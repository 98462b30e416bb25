"""What a script shows: its own lines, one bar on a terminal, lines alone in a pipe; and streams that are closed."""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import pty
import struct
import subprocess
import sys
import termios
import warnings
from pathlib import Path

import pytest

from training import commandline
from training.commandline import Progress, count, each, log, run

# A script that works through five things, while it and other libraries talk.
SCRIPT = """
import argparse, logging, sys, time, warnings
from pathlib import Path
from training import commandline
from training.commandline import each, log, run

def body(args):
    commandline.LINE_EVERY_S = 0.05
    for item in each(range(5), "things"):
        time.sleep(0.04)
        log.info("did %d", item)
        logging.getLogger("PIL").warning("chatter of a library")
        warnings.warn("more of it")
    Path(sys.argv[1]).write_text("done")
    return Path(sys.argv[1])

raise SystemExit(run(argparse.ArgumentParser(prog="x.py"), body, sys.argv[2:]))
"""


def command(tmp_path: Path, *flags: str) -> list[str]:
    return [sys.executable, "-c", SCRIPT, str(tmp_path / "made"), *flags]


def test_into_a_pipe_go_lines_alone(tmp_path: Path) -> None:
    done = subprocess.run(command(tmp_path), capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path / 'made'}\n" and "\r" not in done.stderr and "|" not in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("did")] == [f"did {n}" for n in range(5)]
    assert "things: " in done.stderr and " s left" in done.stderr and "chatter" not in done.stderr
    loud = subprocess.run(command(tmp_path, "--verbose"), capture_output=True, text=True, check=True)
    assert loud.stderr.count("chatter of a library") == 5 and "more of it" in loud.stderr


def test_on_a_terminal_there_is_one_bar(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    done = subprocess.Popen(command(tmp_path), stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # the terminal is closed
            break
    os.close(ours)
    assert done.wait() == 0 and b"things: 5 of 5" in shown and b"%|" in shown and b"chatter" not in shown
    assert shown.decode().count("did 3\r\n") == 1


@pytest.mark.parametrize("redirection", ["2>&-", ">&-", ">&- 2>&- <&-", "2>&1 | true", "2>/dev/full", ">/dev/full"])
def test_closed_streams_do_no_harm(tmp_path: Path, redirection: str) -> None:
    """Of bash, `| true` closes the reader's side at once."""
    done = subprocess.run(["bash", "-c", f'set -o pipefail; "$@" {redirection}', "x", *command(tmp_path)], check=False)
    assert done.returncode == 0 and (tmp_path / "made").read_text() == "done"


def test_descriptors_of_closed_streams_are_not_given_to_files(tmp_path: Path) -> None:
    """Else what a library prints to stderr would be written into the result."""
    script = SCRIPT.replace(
        'log.info("did %d", item)', 'import os; file = open(sys.argv[1], "w"); os.write(2, b"noise")'
    )
    assert script != SCRIPT
    done = subprocess.run(["bash", "-c", '"$@" 2>&- >&-', "x", sys.executable, "-c", script, str(tmp_path / "made")])
    assert done.returncode == 0 and (tmp_path / "made").read_text() == "done"


def test_messages_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    def body(_: argparse.Namespace) -> Path:
        log.info("read %s", "a\x1b[2J\rb.jpg")
        return Path("c\x1b]0;owned\x07\nd.jpg")

    assert run(argparse.ArgumentParser(prog="x.py"), body, []) == 0
    shown = capsys.readouterr()
    assert all(line.isprintable() for line in (shown.out + shown.err).splitlines())
    assert len(shown.out.splitlines()) == 1 and len(shown.err.splitlines()) == 1


def test_verbose_is_no_setting(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[dict[str, object]] = []

    def body(args: argparse.Namespace) -> Path:
        seen.append(vars(args))
        return Path("x")

    assert run(argparse.ArgumentParser(), body, ["--verbose"]) == 0 and seen == [{}]


def test_a_line_of_progress_is_due_after_a_while(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    monkeypatch.setattr(commandline.time, "monotonic", lambda: now[0])
    with caplog.at_level(logging.INFO), Progress(4, "photos") as progress:
        for second in range(1, 5):
            now[0] = 6.0 * second
            progress.show(f"{second} of 4: a.jpg")
            progress.advance()
    assert [record.getMessage() for record in caplog.records] == [
        "2 of 4: a.jpg: 50 %, about 12 s left", "4 of 4: a.jpg: 100 %, about 0 s left"]  # fmt: skip


def test_numbers_and_their_nouns() -> None:
    assert [count(n, "photo") for n in (0, 1, 2)] == ["0 photos", "1 photo", "2 photos"]
    assert list(each([], "nothing")) == [] and list(each(iter("ab"), "letters", 2)) == ["a", "b"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(each([1], "one"))
