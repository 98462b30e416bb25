"""The READMEs' tables are what their files say, their lists are what is there, and their words agree with the tree."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from benchmarks.page import readme
from training.commandline import UserError

PAGES = [*map(str, readme.READMES), "CONTRIBUTING.md", "android_demo/README.md", "ios_demo/README.md"]
MADE = ("android_demo/build", "ios_demo/Models")  # by commands, and not part of the repository


@pytest.mark.parametrize("page", readme.READMES, ids=str)
def test_blocks_are_what_their_files_say(repository: Path, page: Path) -> None:
    text = (repository / page).read_text()
    assert readme.BLOCK.search(text)
    assert readme.render(text, repository) == text, "run benchmarks/page/readme.py after a change"


def test_blocks_are_filled_and_filled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.md").write_text("| x |\n")
    fixed = {"identity_psnr_mean_of_images_db": 9}
    rows = [
        {"step": k, "minutes": k / 2, "psnr_mean_of_images_db": 10 + k, "loss": {"l1": 1 / k}, **fixed}
        for k in range(1, 40)
    ]
    Path("log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = Path("README.md")
    page.write_text("before\n<!-- a.md -->\nold\n<!-- end -->\nbetween\n<!-- log.jsonl -->\n<!-- end -->\nafter\n")
    assert readme.main([str(page)]) == 0
    once = page.read_text()
    assert "old" not in once and "| x |" in once and "| 20 | 39 | 49.00 | 0.02564 |" in once
    assert once.count("\n| ") == 1 + 1 + readme.CURVE_ROWS
    assert readme.main([str(page)]) == 0 and page.read_text() == once
    Path("a.md").unlink()
    assert readme.main([str(page)]) == 1
    assert "a.md: no table can be made of it" in capsys.readouterr().err
    assert page.read_text() == once


def test_a_folder_is_a_line_for_each_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    docstrings = {
        "__init__": "",
        "script": "python folder/script.py FILE\n\nMakes a thing: quickly, and well. And more.\n\nYet more.",
        "process": "python -m folder.process: runs it apart.",
        "plain": f"What all share: {'much ' * 30}",
    }
    for name, text in docstrings.items():
        (tmp_path / "folder" / f"{name}.py").write_text(f'"""{text}"""\n')
    (tmp_path / "folder" / "room").mkdir()
    (tmp_path / "folder" / "room" / "inner.py").write_text("")
    assert readme.render("<!-- folder/ -->\n<!-- end -->", tmp_path).splitlines()[2:-2] == [
        "```text",
        "folder/",
        "  plain.py    What all share",
        "  process.py  Runs it apart",
        "  script.py   Makes a thing: quickly, and well",
        "  room/",
        "    inner.py",
        "```",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "<!-- a.md -->\nno end\n",
        "<!-- end -->\n",
        "<!-- a.md -->\n<!-- end -->\nleft over <!-- end -->`, more\n",
        "<!-- a.md -->\n<!-- a.md -->\n<!-- end -->\n",
    ],
)
def test_markers_without_a_partner_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.md").write_text("a\n")
    with pytest.raises(UserError, match="do not pair"):
        readme.render(text, tmp_path)


def test_content_that_holds_a_marker_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("what <!-- end --> does\n")
    with pytest.raises(UserError, match=r"a\.md: holds a marker"):
        readme.render("<!-- a.md -->\n<!-- end -->\n", tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_paths_that_a_page_names_exist(repository: Path, page: str) -> None:
    text = (repository / page).read_text()
    examples = set(re.findall(r"^```python\n# (\S+\.py)$", text, flags=re.MULTILINE))  # files that the page makes
    named = set(re.findall(r"(?<![\w/.])(?:training|conversion|benchmarks|android_demo|ios_demo)/[\w./-]*\w", text))
    linked = {(repository / page).parent / link for link in re.findall(r"\]\(([\w./-]+)(?:#[\w-]+)?\)", text)}
    absent = [name for name in named - examples if not (repository / name).exists() and not name.startswith(MADE)]
    assert not absent + [str(path) for path in linked if not path.exists()]


def test_the_tree_is_what_is_there(repository: Path) -> None:
    page = (repository / "README.md").read_text()
    section = page[page.index("\n## The tree\n") : page.index("<details>")]
    shown = [(len(indent), name.rstrip("/")) for indent, name in re.findall(r"^( {4,6})(\S+)  ", section, re.MULTILINE)]
    folder, paths = "", set()
    for indent, name in shown:
        folder = name if indent == 4 else folder
        paths.add(name if indent == 4 else f"{folder}/{name}")
    assert not [path for path in sorted(paths) if not (repository / path).exists()]
    command = ["git", "ls-files"]
    tracked = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout.splitlines()
    top = {path.split("/")[0] for path in tracked if not path.startswith(".")}
    inner = {"/".join(path.split("/")[:2]) for path in tracked if path.count("/") > 1 and not path.startswith(".")}
    assert top <= paths
    assert {path for path in inner if not path.endswith("/tests")} <= paths
