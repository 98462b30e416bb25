"""Where the emulated phone cannot run, it says why; what is cached is whole or absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.targets.emulator import phone
from benchmarks.targets.emulator.cpus import CPUS
from benchmarks.targets.runner import packages
from benchmarks.targets.runner.build import bundle
from benchmarks.targets.runner.packages import EmulatorError, kept, require_tools


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that stands before the real ones; nothing is fetched or built."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setattr(phone, "require_tools", lambda: None)
    monkeypatch.setattr(phone, "system", lambda: tmp_path)
    monkeypatch.setattr(phone, "plugin", lambda: tmp_path / "plugin.so")
    return folder


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.shutil, "which", lambda tool: None if tool in ("adb", "qemu-aarch64") else "/bin/x")
    with pytest.raises(EmulatorError, match="apt-get install adb qemu-user"):
        require_tools()


@pytest.mark.parametrize(
    ("unshare", "why"),
    [
        ("echo 'unshare: unshare failed: Operation not permitted' >&2; exit 1", "gives no user namespace .*sysctl"),
        ("echo 'error: this kernel gives no binfmt_misc'; exit 1", "no emulated phone: this kernel gives no binfmt"),
    ],
)
def test_a_kernel_that_does_not_allow_it(stub: Path, unshare: str, why: str) -> None:
    program(stub, "qemu-aarch64", "echo 'qemu-aarch64 version 7.2.22 (Debian)'")
    program(stub, "unshare", unshare)
    with pytest.raises(EmulatorError, match=why), phone.emulated_phone("cortex-a76"):
        pass


def test_a_qemu_with_other_plugins(stub: Path) -> None:
    program(stub, "qemu-aarch64", "echo 'qemu-aarch64 version 10.0.2 (Debian)'")
    with pytest.raises(EmulatorError, match=r"QEMU 10\.0\.2 .* 7\.2 to 8\.x is needed"):
        phone.require_counting_qemu()


def test_a_format_without_runner() -> None:
    with pytest.raises(EmulatorError, match="no runner for coreml artifacts"):
        bundle("coreml")


def test_the_cache_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made: list[Path] = []

    def make(folder: Path) -> None:
        (folder / "file").write_text("x")
        made.append(folder)
        if len(made) == 1:
            raise EmulatorError("broke off")

    with pytest.raises(EmulatorError):
        kept("thing", "recipe", make)
    first, again = kept("thing", "recipe", make), kept("thing", "recipe", make)
    assert first == again and (first / "file").read_text() == "x" and len(made) == 2
    assert kept("thing", "another recipe", make) != first
    assert sorted(path.name for path in first.parent.iterdir() if path.name.startswith(".")) == []


def test_cpus_say_what_they_can() -> None:
    assert "asimddp" not in CPUS["cortex-a53"].cpuinfo and "asimddp" in CPUS["cortex-a76"].cpuinfo
    assert "i8mm" in CPUS["i8mm"].cpuinfo and CPUS["i8mm"].cpuinfo.count("processor") == 2
