"""What the emulated phone is made of: arm64 packages of Debian and aarch64 wheels, unpacked into the user's cache.

Each part is made once, under a name that says what it is made of, and is whole or absent.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from training.commandline import UserError

SUITE = "bookworm"  # its QEMU counts instructions, its backports have adbd
PACKAGES = ("adbd", "busybox-static", "libstdc++6")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TOOLS = {  # program -> Debian package
    "qemu-aarch64": "qemu-user",
    "adb": "adb",
    "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
    "cc": "gcc",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}
APPLETS = (
    "sh cat chmod cp df echo env false getopt grep head kill ls md5sum mkdir mv pidof printf ps rm sha256sum sleep"
)
APPLETS_MORE = "sed sort stat tail test touch true tr uname wc"
GETPROP = """#!/bin/sh
# What Android's own getprop would say, as far as it is true of an emulated phone.
case "$1" in
    ro.product.manufacturer) echo pocket-dslr ;;
    ro.product.model) echo "emulated arm64, $(cat /etc/emulated-cpu)" ;;
    ro.product.cpu.abi) echo arm64-v8a ;;
    ro.build.fingerprint) echo "Debian $(cat /etc/debian_version), not Android" ;;
    ro.kernel.qemu) echo 1 ;;
    *) echo ;;
esac
"""


class EmulatorError(UserError):
    """The emulated phone cannot be had on this machine; the message says why and what would help."""


def require_tools() -> None:
    """Raises EmulatorError: a program that comes from a package of the system is not installed."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise EmulatorError(f"the emulated phone needs Linux on x86-64, and this is {sys.platform} on "
                            f"{os.uname().machine}; use on_android.py with a phone instead")  # fmt: skip
    missing = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)})
    if missing:
        raise EmulatorError(f"the emulated phone needs packages of the system: apt-get install {' '.join(missing)}")


def kept(kind: str, recipe: str, make: Callable[[Path], None]) -> Path:
    """The folder in the cache that `make` filled; made on first use, and anew when the recipe changes."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pocket-dslr" / "emulator"
    folder = cache / f"{kind}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache, prefix=f".{kind}-") as workspace:
            new = Path(workspace) / "new"
            new.mkdir()
            make(new)
            try:
                new.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was first
                    raise
    return folder


def run_quietly(command: Sequence[str | Path], what: str, cwd: Path | None = None) -> str:
    """Output of a command.

    Raises:
        EmulatorError: it failed; `what` and its last words say why.
    """
    process = subprocess.run(list(map(str, command)), capture_output=True, text=True, errors="replace", cwd=cwd)
    if process.returncode:
        said = (process.stderr.strip() or process.stdout.strip()).splitlines()[-1:] or ["it said nothing"]
        raise EmulatorError(f"{what} failed ({Path(str(command[0])).name}: {said[0]}); see to that and run it again")
    return process.stdout


def system() -> Path:
    """The root of the phone: adbd, a shell, the C++ library. Unpacked without running anything of it."""
    recipe = " ".join((SUITE, *PACKAGES, APPLETS, APPLETS_MORE, GETPROP))
    return kept("system", recipe, _make_system)


def _make_system(root: Path) -> None:
    with TemporaryDirectory(prefix="pocket-dslr-apt-") as workspace:
        for package in sorted(_download_packages(Path(workspace)).glob("*.deb")):
            run_quietly(["dpkg", "-x", package, root], f"unpacking {package.name}")
    for folder in ("data", "dev", "proc", "sys/devices/system/cpu", "tmp", "opt", "system/bin", "etc",
                   "lib64", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"):  # fmt: skip
        (root / folder).mkdir(parents=True, exist_ok=True)
    for applet in f"{APPLETS} {APPLETS_MORE}".split():
        link = root / "bin" / applet
        if not link.exists():
            link.symlink_to("busybox")
    for name in ("possible", "present"):  # ExecuTorch counts cores by them
        (root / "sys/devices/system/cpu" / name).write_text("0-1\n")
    for name, text in (("bin/getprop", GETPROP), ("etc/emulated-cpu", ""), ("etc/debian_version", "12\n")):
        (root / name).write_text(text)
    for mounted in ("opt/qemu-aarch64", "opt/libinstructions.so"):
        (root / mounted).touch()
    (root / "bin/getprop").chmod(0o755)


def _download_packages(folder: Path) -> Path:
    """PACKAGES and all that they need, by an apt of our own: it reads no state of the system's and needs no root."""
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    source = _archive()
    trust = f"[arch=arm64 signed-by={KEYRING}]"
    lines = [f"deb {trust} {source} {suite} main\n" for suite in (SUITE, f"{SUITE}-backports")]
    (folder / "sources.list").write_text("".join(lines))
    settings = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "APT::Architecture": "arm64",
        "APT::Architectures::": "arm64",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
    }
    apt = ["apt-get", *(part for key, value in settings.items() for part in ("-o", f"{key}={value}")), "-qq"]
    run_quietly([*apt, "update"], "fetching the list of arm64 packages")
    download = [*apt, "install", "-y", "--download-only", "-t", f"{SUITE}-backports", *PACKAGES]
    run_quietly(download, "fetching arm64 packages")
    return folder / "archives"


def _archive() -> str:
    """The Debian archive that this system's apt uses."""
    if not shutil.which("apt-get") or not KEYRING.is_file():
        raise EmulatorError("the emulated phone is made of Debian packages; run this on Debian 12 or in its container")
    listed = run_quietly(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"], "asking apt")
    found = [uri for uri in listed.split() if uri.rstrip("/").endswith("/debian")]
    if not found:
        raise EmulatorError("apt knows no Debian archive on this machine; run apt-get update, or use Debian 12")
    return found[0]


def wheel(package: str) -> Path:
    """A runtime's aarch64 wheel, unpacked: the same version that runs on this host."""
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        raise EmulatorError(f"{package} is not installed; pip install -e .[executorch,tflite]") from None
    python = f"{sys.version_info.major}{sys.version_info.minor}"

    def make(folder: Path) -> None:
        platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in (17, 27, 28)]
        with TemporaryDirectory(prefix="pocket-dslr-wheel-") as workspace:
            run_quietly([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
                         *platforms, f"--python-version={python}", f"--dest={workspace}", f"{package}=={version}"],
                        f"fetching the aarch64 wheel of {package}")  # fmt: skip
            (file,) = Path(workspace).glob("*.whl")
            with zipfile.ZipFile(file) as archive:
                wanted = [name for name in archive.namelist() if name.endswith((".so", ".h")) or "/include/" in name]
                archive.extractall(folder, wanted)

    return kept(package, f"{package} {version} {python}", make)
