"""The README's tables are what its result files say, and its words agree with the tree."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks import readme


def test_tables_are_those_of_the_result_files(repository: Path) -> None:
    text = (repository / "README.md").read_text()
    assert len(readme.BLOCK.findall(text)) >= 4
    assert readme.render(text, repository) == text, (
        "run `make results`, or benchmarks/readme.py after changing a result"
    )


def test_blocks_are_filled_and_filled_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.md").write_text("| x |\n")
    fixed = {"identity_psnr_mean_of_images_db": 9}
    rows = [
        {"step": k, "minutes": k / 2, "psnr_mean_of_images_db": 10 + k, "loss": {"l1": 1 / k}, **fixed}
        for k in range(1, 40)
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- a.md -->\nold\n<!-- end -->\nbetween\n<!-- log.jsonl -->\n<!-- end -->\nafter\n")
    assert readme.main(["--out", str(page)]) == 0
    once = page.read_text()
    assert "old" not in once and "| x |" in once and "| 20 | 39 | 49.00 | 0.02564 |" in once
    assert once.count("\n| ") == 1 + 1 + readme.CURVE_ROWS
    assert readme.main(["--out", str(page)]) == 0 and page.read_text() == once
    (tmp_path / "a.md").unlink()
    assert readme.main(["--out", str(page)]) == 1
    assert "a.md: no table can be made of it" in capsys.readouterr().err
    assert page.read_text() == once


def test_paths_that_the_readme_names_exist(repository: Path) -> None:
    text = (repository / "README.md").read_text()
    named = set(re.findall(r"\b(?:training|conversion|benchmarks)/[\w./-]*\w", text))
    assert not sorted(name for name in named if not (repository / name).exists())
