"""Files and commands on a phone by adb, with its faults as sentences (standard library only).

adb's exit code cannot be trusted: `adb connect` gives 0 when it was refused, and `adb shell` when the connection broke
in the middle. So every command ends with a line that only its own shell can write, and states are read as text.
"""

from __future__ import annotations

import resource
import secrets
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.commandline import UserError

CALL_S_MAX = 600
CONNECT_S_MAX = 20
LINE_MAX = 2**16  # characters; a longer line comes in pieces
OUTPUT_MAX = 2**24
SHOWN_MAX = 300
STATES = {  # of `adb devices` -> why it cannot be used, and what to do
    "unauthorized": "has not authorized this computer; unlock it and accept the question on its screen",
    "authorizing": "has not authorized this computer yet; unlock it and accept the question on its screen",
    "offline": "is offline; plug it in again, or adb disconnect and connect",
    "recovery": "is in recovery mode; start it normally",
    "sideload": "is in sideload mode; start it normally",
    "bootloader": "is in its boot loader; start it normally",
    "no": "may not be opened by this user; see the udev rules of Android's documentation",
}


class AdbError(UserError):
    """A device cannot be reached, or a command on it failed; the message names the device and the remedy."""


@dataclass(frozen=True)
class Adb:
    """One device. command: how adb is started, as a list, so no shell of the host reads a serial or a path."""

    command: tuple[str, ...]
    serial: str

    def connect(self) -> None:
        """Connect to a device by network, and wait until it can be used.

        Raises:
            AdbError: it refuses, or it is not ready in time.
        """
        deadline = time.monotonic() + CONNECT_S_MAX
        while True:
            said = self._call(["connect", self.serial], addressed=False).stdout.strip()
            if "connected to" in said and "cannot" not in said and "failed" not in said:
                break
            if time.monotonic() > deadline or "refused" in said or "unauthorized" in said:
                raise AdbError(f"device {self.serial!r}: {said or 'adb connect said nothing'}; is its adb by network "
                               "on, and this the right address?")  # fmt: skip
            time.sleep(0.1)
        while devices(self.command).get(self.serial) != "device":
            if time.monotonic() > deadline:
                require_usable(self.command, self.serial)
            time.sleep(0.1)

    def shell(self, script: str, on_line: Callable[[str], object] | None = None, timeout_s: float = CALL_S_MAX) -> str:
        """Standard output of a script in the device's shell; `on_line` gets each line as it comes.

        Raises:
            AdbError: the script failed or never ends, or the connection broke before its end.
        """
        end = f"end-{secrets.token_hex(8)}"
        command = [*self.command, "-s", self.serial, "shell", f"( {script}\n); echo {end} $?"]
        lines: list[str] = []
        said = 0
        code = None
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout and process.stderr
            watch = _Watchdog(process, timeout_s)
            while line := process.stdout.readline(LINE_MAX):
                said += len(line)
                if said > OUTPUT_MAX:
                    process.kill()
                    raise AdbError(f"device {self.serial!r}: the command says more than {OUTPUT_MAX >> 20} MB, which "
                                   "no runner does; start the device anew and run it again")  # fmt: skip
                words = line.split()
                if words[:1] == [end] and len(words) == 2 and words[1].isdecimal():
                    code = int(words[1])
                    continue
                lines.append(line)
                if on_line:
                    on_line(line.rstrip("\r\n"))
            errors = process.stderr.read(OUTPUT_MAX).strip().splitlines()
            watch.stop()
        if code is None:
            require_usable(self.command, self.serial)
            why = f"did not end within {timeout_s:g} s" if watch.fired else "broke off before its end"
            raise AdbError(f"device {self.serial!r}: the command {why}"
                           f"{_said(errors)}; check the cable or the network and run it again")  # fmt: skip
        if code:
            last = printable((errors or lines or ["the command said nothing"])[-1])
            raise AdbError(f"device {self.serial!r}: {last}"
                           f" (exit code {code}){_disk(errors)}")  # fmt: skip
        return "".join(lines)

    def push(self, paths: Sequence[Path], folder: str) -> None:
        """Copy files into a folder of the device.

        Raises:
            AdbError: one cannot be copied whole.
        """
        process = self._call(["push", *(_local(path) for path in paths), f"{folder}/"])
        if process.returncode:
            self._fail("cannot be written to", process)

    def pull(self, remote: str, path: Path, most_bytes: int) -> None:
        """Copy a file of the device.

        Args:
            most_bytes: what it may have; more is not written, however much the device sends.

        Raises:
            AdbError: it is not there, is larger, or cannot be copied whole.
        """
        process = self._call(["pull", remote, _local(path)], most_bytes=most_bytes)
        if process.returncode in (-signal.SIGXFSZ, 128 + signal.SIGXFSZ):
            raise AdbError(f"device {self.serial!r}: {remote} has more than the {most_bytes} bytes that belong in it; "
                           "run it again")  # fmt: skip
        if process.returncode:
            self._fail("cannot be read from", process)

    def _fail(self, what: str, process: subprocess.CompletedProcess[str]) -> None:
        require_usable(self.command, self.serial)
        said = f"{process.stderr}\n{process.stdout}".strip().splitlines()
        said = [line for line in said if "error" in line][:1] or said  # others follow from the first
        raise AdbError(f"device {self.serial!r}: {what}{_said(said)}{_disk(said)}")

    def _call(
        self, arguments: Sequence[str], addressed: bool = True, most_bytes: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        device = ["-s", self.serial] if addressed else []

        def limit() -> None:
            if most_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

        try:
            return subprocess.run([*self.command, *device, *arguments], capture_output=True, text=True,
                                  errors="replace", timeout=CALL_S_MAX, check=False, preexec_fn=limit)  # fmt: skip
        except subprocess.TimeoutExpired:
            raise AdbError(f"device {self.serial!r}: adb {arguments[0]} did not end within {CALL_S_MAX} s; "
                           "check the cable or the network and run it again") from None  # fmt: skip


class _Watchdog:
    """Kills a process that takes too long, so that reading from it ends."""

    def __init__(self, process: subprocess.Popen[str], timeout_s: float):
        self.fired = False
        self._process = process
        self._timer = threading.Timer(timeout_s, self._fire)
        self._timer.daemon = True
        self._timer.start()

    def _fire(self) -> None:
        self.fired = True
        self._process.kill()

    def stop(self) -> None:
        self._timer.cancel()


def quote(path: str) -> str:
    """A path for the device's shell, whatever characters it has."""
    return shlex.quote(path)


def devices(command: Sequence[str] = ("adb",)) -> dict[str, str]:
    """Serial -> state of every device that adb knows.

    Raises:
        AdbError: there is no adb, or it cannot start its server.
    """
    try:
        process = subprocess.run([*command, "devices"], capture_output=True, text=True, errors="replace",
                                 timeout=CALL_S_MAX, check=False)  # fmt: skip
    except FileNotFoundError:
        raise AdbError("adb is not installed; apt-get install adb, or take Android's platform tools") from None
    if process.returncode:
        raise AdbError(f"adb cannot list devices{_said(process.stderr.splitlines())}; adb kill-server and run it again")
    _, _, listed = process.stdout.partition("List of devices attached")
    rows = [line.split("\t", 1) for line in listed.splitlines() if "\t" in line]
    return {serial: state.split()[0] if state.strip() else "" for serial, state in rows}


def require_usable(command: Sequence[str], serial: str) -> None:
    """Raises AdbError: the device is absent, or in a state in which it obeys no command."""
    state = devices(command).get(serial)
    if state is None:
        known = ", ".join(map(repr, devices(command))) or "none"
        raise AdbError(f"device {serial!r}: adb does not see it (it sees {known}); plug it in, or adb connect")
    if state != "device":
        raise AdbError(f"device {serial!r}: {STATES.get(state, f'is in state {state!r}; start it normally')}")


def choose(serial: str | None, command: Sequence[str] = ("adb",)) -> Adb:
    """The device of that serial, or the only one.

    Raises:
        AdbError: there is none, there are several, or it cannot be used.
    """
    if serial is None:
        known = devices(command)
        if not known:
            raise AdbError("adb sees no device; plug in a phone with USB debugging on, or adb connect HOST:PORT")
        if len(known) > 1:
            raise AdbError(f"adb sees {len(known)} devices ({', '.join(map(repr, known))}); name one with --serial")
        (serial,) = known
    require_usable(command, serial)
    return Adb(tuple(command), serial)


def _local(path: Path) -> str:
    """Absolute, so that no file name is taken for an option."""
    return str(path.absolute())


def _said(lines: Sequence[str]) -> str:
    return f" ({printable(lines[-1])})" if lines else ""


def printable(text: str) -> str:
    """What a device says, fit for one line: it may be anything."""
    return "".join(c if c.isprintable() else " " for c in text).strip()[:SHOWN_MAX]


def _disk(lines: Sequence[str]) -> str:
    full = any("No space left" in line or "disk full" in line for line in lines)
    return "; free space on the device and run it again" if full else ""
