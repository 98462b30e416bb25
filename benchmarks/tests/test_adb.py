"""Faults of devices, each by the real adb and, but for one that refuses, a real adbd on the emulated phone."""

from __future__ import annotations

import functools
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks import on_android
from benchmarks.bench import Photo
from benchmarks.report import Protocol
from benchmarks.targets.device.adb import Adb, AdbError, choose, devices, quote
from benchmarks.targets.device.results import DeviceError
from benchmarks.targets.device.session import HOME, Device, on_device, write_job
from benchmarks.targets.emulator.boot import PORT
from benchmarks.targets.emulator.phone import SERIAL, emulated_phone
from benchmarks.targets.runner.packages import EmulatorError
from conversion import to_tflite
from conversion.artifact import Artifact
from training.checkpoint import Checkpoint
from training.data.embedded_sample import SAMPLE
from training.photos import read_pixels

pytestmark = pytest.mark.slow
KILL_ADBD = "for p in /proc/[0-9]*; do grep -q platform-tools/adb[d] $p/cmdline && kill -9 ${p#/proc/}; done"


@contextmanager
def a_phone(disk_mb: int = 512) -> Iterator[Adb]:
    try:
        with emulated_phone("cortex-a76", disk_mb) as adb:
            yield adb
    except EmulatorError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def shared_phone() -> Iterator[Adb]:
    with a_phone() as adb:
        yield adb


@pytest.fixture
def phone(shared_phone: Adb) -> Iterator[Adb]:
    yield shared_phone
    shared_phone.connect()
    left = shared_phone.shell(f"rm -f /system/bin/*; ls {HOME}")
    assert left == "", "the device is not left clean"


def shim(adb: Adb, name: str, script: str) -> None:
    """A program of the phone that says something else than usual."""
    path = f"/system/bin/{name}"
    adb.shell(f"printf %s {quote(f'#!/bin/sh{chr(10)}{script}{chr(10)}')} > {path} && chmod 755 {path}")


@contextmanager
def fake_device(adb: Adb, port: int, kind: str) -> Iterator[str]:
    """Beside the phone, in its network."""
    command = [*adb.command[:-1], sys.executable, str(Path(__file__).parent / "fake_device.py"), str(port), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        serial = f"127.0.0.1:{port}"
        connect = subprocess.Popen([*adb.command, "connect", serial], stdout=subprocess.DEVNULL)
        try:
            while serial not in devices(adb.command):
                pass
            yield serial
        finally:
            connect.kill()
            connect.wait()
            process.kill()
            subprocess.run([*adb.command, "disconnect", serial], capture_output=True, check=False)


@pytest.fixture
def run_script(
    hollow_artifact: Artifact,
    tiny_checkpoint: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> functools.partial[str]:
    """on_android.py on a made-up artifact: fails with one sentence, which this returns, and writes no report."""
    checkpoint = tmp_path / "tiny.safetensors"
    tiny_checkpoint.save(checkpoint)

    def run(adb: Adb, *flags: str, artifact: Artifact = hollow_artifact) -> str:
        monkeypatch.setattr(on_android, "choose", functools.partial(choose, command=adb.command))
        out = tmp_path / "reports"
        given = [str(artifact.folder), "--checkpoint", str(checkpoint), "--cool-down", "0", "--out", str(out), *flags]
        assert on_android.main(given) == 1
        assert not out.exists()
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("on_android.py: ")]
        assert len(said) == 1
        return said[0]

    return functools.partial(run)


@pytest.fixture(scope="module")
def tiny_tflite(tiny_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("tiny")
    tiny_checkpoint.save(folder / "tiny.safetensors")
    given = ["--checkpoint", str(folder / "tiny.safetensors"), "--precision", "fp32", "--tile", "64", "--judges", "2"]
    assert to_tflite.main([*given, "--out", str(folder)]) == 0
    return Artifact.load(folder / "tiny-tflite-fp32")


def small_photos() -> list[Photo]:
    return [Photo("small", False, read_pixels(SAMPLE[0].path())[:40, :70], None)]


def test_no_device(phone: Adb, run_script: functools.partial[str]) -> None:
    subprocess.run([*phone.command, "disconnect"], check=True, capture_output=True)
    assert "adb sees no device; plug in a phone" in run_script(phone)
    assert f"device '{SERIAL}': adb does not see it (it sees none)" in run_script(phone, "--serial", SERIAL)


def test_unauthorized_offline_and_two_devices(phone: Adb, run_script: functools.partial[str]) -> None:
    with fake_device(phone, 6777, "unauthorized") as serial:
        assert f"device '{serial}': has not authorized this computer" in run_script(phone, "--serial", serial)
        said = run_script(phone)
        assert "adb sees 2 devices" in said and serial in said and SERIAL in said and "--serial" in said
    with fake_device(phone, 6778, "offline") as serial:
        assert f"device '{serial}': is offline" in run_script(phone, "--serial", serial)


def test_refused(phone: Adb) -> None:
    with pytest.raises(AdbError, match=r"device '127\.0\.0\.1:6999': .*refused"):
        Adb(phone.command, "127.0.0.1:6999").connect()


def test_serials_and_paths_are_no_commands(
    phone: Adb, run_script: functools.partial[str], hollow_artifact: Artifact, tmp_path: Path
) -> None:
    hostile = f"x; touch {tmp_path}/harm; $(touch {tmp_path}/harm) 'q'"
    assert repr(hostile) in run_script(phone, "--serial", hostile)
    renamed = tmp_path / "a b; touch harm 'q' \"r\" $(touch harm) -x"
    shutil.move(hollow_artifact.folder, renamed)
    assert "LiteRT refuses" in run_script(phone, "--serial", SERIAL, artifact=Artifact.load(renamed))
    folder = f"{HOME}/c d; touch harm 'q'"
    phone.shell(f"mkdir {quote(folder)}")
    (tmp_path / "-file 'q'; $x").write_text("whole")
    phone.push([tmp_path / "-file 'q'; $x"], folder)
    phone.pull(f"{folder}/-file 'q'; $x", tmp_path / "back", 100)
    assert (tmp_path / "back").read_text() == "whole"
    phone.shell(f"rm -r {quote(folder)}")
    assert not (tmp_path / "harm").exists()


def test_a_device_of_another_kind(phone: Adb, run_script: functools.partial[str]) -> None:
    shim(phone, "getprop", "echo armeabi-v7a")
    assert "is armeabi-v7a, and the runner needs arm64-v8a" in run_script(phone)


def test_a_missing_model(phone: Adb, hollow_artifact: Artifact, tmp_path: Path) -> None:
    job = tmp_path / "job"
    job.mkdir()
    write_job(job, hollow_artifact, small_photos(), Protocol(0, 1, 1, 0.0))
    (job / "model").unlink()
    with on_device(phone) as device:
        device._push_bundle("tflite")
        phone.push([job], device.folder)
        with pytest.raises(AdbError, match=r"there is no model at .*/job/model"):
            device.run("tflite", f"{device.folder}/job")


def test_a_full_disk_and_a_device_that_dies(run_script: functools.partial[str]) -> None:
    with a_phone(disk_mb=8) as adb:
        assert "No space left on device" in (said := run_script(adb)) and "free space on the device" in said
        assert adb.shell(f"ls {HOME}") == ""
        shim(adb, "dumpsys", KILL_ADBD)
        assert f"device '{SERIAL}'" in run_script(adb)


def test_a_connection_that_breaks_in_the_middle_is_no_success() -> None:
    with a_phone() as adb, pytest.raises(AdbError, match=f"device '{SERIAL}': .*(broke off|does not see|offline)"):
        adb.shell(f"echo begun; {KILL_ADBD}; sleep 30")


def test_adbd_is_reached_from_its_own_network_alone(phone: Adb) -> None:
    with socket.socket() as outside:
        outside.settimeout(2)
        assert outside.connect_ex(("127.0.0.1", PORT)) != 0
    listed = subprocess.run([*phone.command[:-1], "cat", "/proc/net/dev"], capture_output=True, text=True, check=True)
    interfaces = [line.partition(":")[0].strip() for line in listed.stdout.splitlines()[2:]]
    assert "eth0" not in interfaces and "lo" in interfaces


def test_truncated_output(phone: Adb, tiny_tflite: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Device.run

    def cut(self: Device, format_: str, job: str, *rest: object) -> None:
        whole(self, format_, job, *rest)  # type: ignore[arg-type]
        self.adb.shell(f"head -c 1000 {job}/outputs > {job}/cut && mv {job}/cut {job}/outputs")

    monkeypatch.setattr(Device, "run", cut)
    with on_device(phone) as device, pytest.raises(DeviceError, match="gave 1000 bytes of output instead of"):
        device.measure(tiny_tflite, small_photos(), Protocol(0, 1, 1, 0.0))
