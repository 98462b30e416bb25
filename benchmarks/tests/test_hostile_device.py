"""Devices that lie: a program in place of adb says what no honest one would."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.targets.device.adb import OUTPUT_MAX, Adb, AdbError
from benchmarks.targets.device.phone_state import facts
from benchmarks.targets.device.results import DeviceError, read_instructions, read_outputs, read_result
from conversion.artifact import Artifact

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def lying(folder: Path, script: str) -> Adb:
    """script: what it does after `-s SERIAL`, with the command and its arguments in $1, $2 and so on."""
    listed = "List of devices attached\\nfake\\tdevice\\n"
    (folder / "adb").write_text(
        f'[ "$1" = devices ] && printf "{listed}" && exit\n[ "$1" = -s ] && shift 2\n{script}\n'
    )
    return Adb(("sh", str(folder / "adb")), "fake")


@pytest.mark.parametrize("script", ["yes $(printf %01000d 1)", "tr '\\0' x < /dev/zero"])
def test_output_without_end_is_cut_off(script: str, tmp_path: Path) -> None:
    seen = 0

    def count(line: str) -> None:
        nonlocal seen
        seen += len(line)

    with pytest.raises(AdbError, match="device 'fake': the command says more than 16 MB"):
        lying(tmp_path, script).shell("true", count)
    assert seen <= OUTPUT_MAX


def test_silence_without_end_is_cut_off(tmp_path: Path) -> None:
    with pytest.raises(AdbError, match=r"did not end within 0\.2 s"):
        lying(tmp_path, "exec sleep 60").shell("true", timeout_s=0.2)


def test_a_file_without_end_is_cut_off(tmp_path: Path) -> None:
    adb = lying(tmp_path, '[ "$1" = pull ] && exec dd if=/dev/zero of="$3" bs=4096 2>/dev/null')
    with pytest.raises(AdbError, match="more than the 10000 bytes that belong in it"):
        adb.pull("/data/result", tmp_path / "made", 10_000)
    assert (tmp_path / "made").stat().st_size <= 10_000


def test_what_a_device_says_stays_on_one_line(tmp_path: Path) -> None:
    adb = lying(tmp_path, r"printf '\033[31m%01000d\033[0m\a\n' 7 >&2")
    with pytest.raises(AdbError) as caught:
        adb.shell("true")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500


def test_an_end_that_is_none_is_not_believed(tmp_path: Path) -> None:
    adb = lying(tmp_path, 'echo "end-0123456789abcdef 0"; echo "${2##*echo }" | sed "s/\\$?/none/"')
    with pytest.raises(AdbError, match="broke off before its end"):
        adb.shell("true")


def test_too_many_answers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AdbError, match=r"answers 9 questions by 12 lines"):
        facts(lying(tmp_path, 'seq 12; echo "${2##*echo }" | sed "s/\\$?/0/"'))


@given(st.text(st.characters(codec="utf-8"), max_size=200) | st.binary(max_size=200))
@FUZZ
def test_any_result_is_read_or_refused(tmp_path: Path, hollow_artifact: Artifact, content: str | bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DeviceError):
        read_result(path, hollow_artifact.folder)
    with pytest.raises(DeviceError):
        read_instructions(path, hollow_artifact.manifest)
    with pytest.raises(DeviceError):
        read_outputs(path, hollow_artifact, [], [1], 0)


NUMBER = st.sampled_from(["0", "1", "-1", "nan", "inf", "1e999", "9" * 400, "x", ""])


@given(st.lists(st.tuples(st.sampled_from(["done", "peak_kib", "baseline_kib", "load_s", "window_s"]), NUMBER)))
@FUZZ
def test_figures_that_pass_are_figures(tmp_path: Path, lines: list[tuple[str, str]]) -> None:
    (tmp_path / "result").write_text("".join(f"{key} {value}\n" for key, value in lines))
    try:
        read = read_result(tmp_path / "result", tmp_path)
    except DeviceError as error:
        assert str(error).isprintable()
    else:
        assert {"done", "peak_kib", "baseline_kib"} <= set(read)
        assert all(value in (0, 1) for values in read.values() for value in values)


@given(st.lists(st.tuples(st.sampled_from("0123"), st.sampled_from(["total", "vector"]), NUMBER), max_size=8))
@FUZZ
def test_counts_that_pass_are_counts(tmp_path: Path, hollow_artifact: Artifact, lines: list[tuple[str, ...]]) -> None:
    (tmp_path / "marks").write_text("".join(f"{tag} {key}={value}\n" for tag, key, value in lines))
    try:
        counted = read_instructions(tmp_path / "marks", hollow_artifact.manifest)
    except DeviceError as error:
        assert str(error).isprintable()
    else:
        assert counted.enhance_tile.total > 0
