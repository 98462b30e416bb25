"""python -m benchmarks.targets.emulator.boot ROOT QEMU_CPU CPUINFO PLUGIN HOME DISK_MB: inside the emulated phone.

`phone.py` starts it as process 1 of new namespaces (user, network, mount, process), which this module fills: the
phone's root with QEMU as the interpreter of its programs, adbd on a port of the private network, and the adb server
that talks to it. Says `ready` on stdout, or `error: <why>`; ends when stdin does, and all with it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

PORT = 6555  # at 5555 adb would list the phone a second time, as emulator-5554
READY_S_MAX = 60
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
BINFMT = Path("/proc/sys/fs/binfmt_misc")
# Header of an ELF file, 64 bits, little-endian, executable or shared, AArch64 (0xb7).
MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
INTERPRETER = "/opt/qemu-aarch64"


class BootError(Exception):
    """One sentence that says why the phone cannot start."""


def mount(*arguments: str | Path) -> None:
    process = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if process.returncode:
        raise BootError(f"mount {' '.join(map(str, arguments))} failed: {process.stderr.strip()}")


def loopback_up() -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", IFF_UP | IFF_RUNNING, b""))


def register_qemu() -> None:
    """In a binfmt_misc of our own, so the host's is neither needed nor changed."""
    try:
        mount("-t", "binfmt_misc", "binfmt_misc", BINFMT)
        (BINFMT / "register").write_text(
            f":qemu-aarch64:M::{MAGIC}:{MASK}:{INTERPRETER}:P"
        )  # P: argv[0] stays, by which busybox knows its applet
    except (BootError, OSError) as error:
        raise BootError(f"this kernel ({os.uname().release}) gives a user namespace no binfmt_misc of its own, which "
                        f"Linux 6.7 and later do ({error}); use a newer kernel") from None  # fmt: skip


def furnish(root: Path, cpuinfo: str, plugin: str, disk_mb: str, cpu: str) -> None:
    """Mounts that only this namespace sees; what is cached in `root` stays as it is."""
    mount("-t", "proc", "proc", root / "proc")
    mount("--bind", cpuinfo, root / "proc/cpuinfo")
    mount("--rbind", "/dev", root / "dev")
    for folder in ("tmp", "data", "system/bin"):
        mount("-t", "tmpfs", "-o", f"size={disk_mb}m", "tmpfs", root / folder)
    (root / "data/local/tmp").mkdir(parents=True)
    (root / "tmp/emulated-cpu").write_text(cpu + "\n")
    mount("--bind", root / "tmp/emulated-cpu", root / "etc/emulated-cpu")
    mount("--bind", str(shutil.which("qemu-aarch64")), root / INTERPRETER.lstrip("/"))
    mount("--bind", plugin, root / "opt/libinstructions.so")
    for libraries in ("lib64", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"):  # QEMU's own
        mount("--rbind", f"/{libraries}", root / libraries)


def wait_for_adbd() -> None:
    deadline = time.monotonic() + READY_S_MAX
    while time.monotonic() < deadline:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", PORT)) == 0:
                return
        time.sleep(0.05)
    raise BootError(f"adbd did not listen within {READY_S_MAX} s")


def start(command: list[str], environment: dict[str, str], log: BinaryIO) -> None:
    subprocess.Popen(command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def boot(root: Path, cpu: str, cpuinfo: str, plugin: str, home: str, disk_mb: str) -> None:
    mount("-t", "proc", "proc", "/proc")
    register_qemu()
    loopback_up()
    furnish(root, cpuinfo, plugin, disk_mb, cpu)
    inside = {
        "PATH": "/system/bin:/bin:/usr/bin",
        "HOME": "/data/local/tmp",
        "TMPDIR": "/tmp",
        "ADBD_PORT": str(PORT),
        "QEMU_CPU": cpu,
    }
    chroot = shutil.which("chroot", path="/usr/sbin:/usr/bin") or "chroot"
    with (Path(home) / "log").open("ab") as log:
        start([chroot, str(root), "/usr/lib/android-sdk/platform-tools/adbd"], inside, log)
        start(["adb", "nodaemon", "server"], {"HOME": home, "ADB_LOCAL_TRANSPORT_MAX_PORT": "5553"}, log)
    wait_for_adbd()


if __name__ == "__main__":
    try:
        boot(Path(sys.argv[1]), *sys.argv[2:])
    except (BootError, OSError) as error:
        print(f"error: {error}", flush=True)
        raise SystemExit(1) from None
    print("ready", flush=True)
    sys.stdin.read()
