"""What a benchmark wrote before is kept, and what is no such thing is a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.figures import read_earlier
from benchmarks.robustness import robustness
from training.commandline import UserError


def numbers(record: Any) -> list[int]:
    return [int(row) for row in record["rows"]]


def test_rows_of_the_last_time(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    assert read_earlier(path, numbers) == []
    path.write_text('{"rows": [1, 2]}', encoding="utf-8")
    assert read_earlier(path, numbers) == [1, 2]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"{}", b'{"rows": ["x"]}', b'{"rows": 1}', b"\xff", b"null"])
def test_what_is_no_result_is_a_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"results.json: not what this command writes .*; remove it"):
        read_earlier(path, numbers)


def test_robustness_keeps_nothing_of_a_broken_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "robustness.json"
    broken.write_text('{"rows": [{"fault": "kills"}]}', encoding="utf-8")
    assert robustness.main(["--classes", "kills", "--kills", "0", "--out", str(tmp_path)]) == 1
    assert "robustness.json: not what this command writes" in capsys.readouterr().err
    assert broken.read_text(encoding="utf-8") == '{"rows": [{"fault": "kills"}]}'
