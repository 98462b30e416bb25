"""Start and stop the emulated phone: `with emulated_phone("cortex-a76") as adb: ...`.

It runs in namespaces of its own (user, network, mount, process), so it needs no root, changes nothing of the host,
and its adbd, an open root shell, can be reached from its private network alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.targets.device.adb import Adb
from benchmarks.targets.emulator.boot import PORT
from benchmarks.targets.emulator.cpus import CPUS
from benchmarks.targets.runner.build import plugin
from benchmarks.targets.runner.packages import EmulatorError, require_tools, run_quietly, system

DISK_MB = 512
SERIAL = f"127.0.0.1:{PORT}"
NAMESPACES = ("--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child")


@contextmanager
def emulated_phone(cpu: str, disk_mb: int = DISK_MB) -> Iterator[Adb]:
    """A running phone with a CPU of `CPUS`; its adb reaches it and nothing else.

    Raises:
        EmulatorError: this machine cannot run it; the message says why.
    """
    require_tools()
    require_counting_qemu()
    root, counter = system(), plugin()
    with TemporaryDirectory(prefix="pocket-dslr-phone-") as home:
        cpuinfo = Path(home) / "cpuinfo"
        cpuinfo.write_text(CPUS[cpu].cpuinfo)
        inside = [sys.executable, "-m", f"{__package__}.boot", root, CPUS[cpu].qemu, cpuinfo, counter,
                  home, str(disk_mb)]  # fmt: skip
        package_root = Path(__file__).parents[len(__name__.split(".")) - 1]  # where imports of this package begin
        paths = [str(package_root), *filter(None, [os.environ.get("PYTHONPATH")])]
        process = subprocess.Popen(
            ["unshare", *NAMESPACES, *map(str, inside)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        try:
            assert process.stdout and process.stderr
            said = process.stdout.readline().strip()
            if said != "ready":
                raise EmulatorError(f"no emulated phone: {said.removeprefix('error: ') or why_not(process)}")
            enter = ("nsenter", f"--target={process.pid}", "--user", "--net", "--preserve-credentials")
            adb = Adb((*enter, "adb"), SERIAL)
            adb.connect()
            yield adb
        finally:
            process.kill()  # and with it all in its namespaces
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()


def why_not(process: subprocess.Popen[str]) -> str:
    assert process.stderr
    said = process.stderr.read().strip().splitlines()[-1:] or ["unshare said nothing"]
    if "unshare" in said[0]:
        return (
            f"this system gives no user namespace ({said[0]}); allow it by sysctl kernel.unprivileged_userns_clone=1 "
            "or kernel.apparmor_restrict_unprivileged_userns=0, or run as root"
        )
    return said[0]


def require_counting_qemu() -> str:
    """The version of QEMU.

    Raises:
        EmulatorError: it has another interface for plugins.
    """
    version = run_quietly(["qemu-aarch64", "--version"], "asking QEMU").split()[2].partition("(")[0]
    if not (7, 2) <= tuple(int(part) for part in version.split(".")[:2]) < (9, 0):
        raise EmulatorError(f"QEMU {version} counts instructions in another way; QEMU 7.2 to 8.x is needed (Debian 12)")
    return version
