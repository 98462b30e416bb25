from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks import render
from benchmarks.page.markdown import escape_markdown

HOSTILE = [
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "\"'><img src=x onerror=alert(1)>",
    "| a | [b](http://evil.example) `c` ![d](http://evil.example/e.png)",
    "</style></script><!-- {{ 7 * 7 }} {% raw %}",
]


class Page(HTMLParser):
    """All tags and attributes of a page, the text outside of scripts and styles, and what scripts say."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "script":
            self.scripts.append(data)
        elif self._open != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def make_page(folder: Path, *more: str) -> tuple[Page, str]:
    assert render.main([str(folder), "--out", str(folder / "page"), *more]) == 0
    return Page((folder / "page" / "index.html").read_text()), (folder / "page" / "RESULTS.md").read_text()


def test_page_shows_what_the_reports_say(make_report, add_pictures, tmp_path: Path, capsys) -> None:
    report = add_pictures(make_report("tiny-tflite-fp32", ("one", "two")), tmp_path)
    report.save(tmp_path)
    page, results = make_page(tmp_path)
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "page" / "index.html")
    for text in (page.text, results.replace("\\", "")):
        assert "tiny-tflite-fp32" in text
        assert f"{report.fidelity.psnr_db_mean:.1f} (≥ 20)" in text
        assert f"{report.fidelity.psnr_db_worst:.1f} (≥ 20)" in text
        assert "7 / 9" in text and "1086 ± " in text and "210 (101)" in text
        assert "Host figures are not a phone's" in text
    assert page.text.count("simulated phone") >= 2
    # per photo: before, after, error, reference, DSLR
    assert len(page.all("img")) == 2 * 5


def test_worst_photo_comes_first(make_report, add_pictures, tmp_path: Path) -> None:
    report = add_pictures(make_report(photos=("one", "two", "three"), seed=3), tmp_path)
    report.save(tmp_path)
    page, _ = make_page(tmp_path)
    shown = [float(value) for value in re.findall(r"worst (\d+\.\d) dB", page.text)]
    assert len(shown) == 3 and shown == sorted(shown)


def test_kinds_of_target_have_tables_of_their_own(make_report, tmp_path: Path) -> None:
    host = make_report()
    host.save(tmp_path)
    replace(host, target=replace(host.target, kind="emulated", name="cortex-a76")).save(tmp_path)
    page, results = make_page(tmp_path)
    assert len(page.all("table")) == 2
    assert "An emulator's time says nothing about a phone" in page.text
    assert results.index("Emulated phones") < results.index("## Host")


def test_a_failure_and_its_reason_are_shown(make_report, tmp_path: Path) -> None:
    report = make_report()
    failed = replace(report, verdict=replace(report.verdict, fidelity="fail", reasons=("worst PSNR is too low",)))
    failed.save(tmp_path)
    page, results = make_page(tmp_path)
    assert "worst PSNR is too low" in page.text and "worst PSNR is too low" in results
    assert [a for a in page.all("span") if a.get("class") == "pill fail"]


def test_an_evaluator_has_no_latency(make_report, tmp_path: Path) -> None:
    report = make_report()
    verdict = replace(report.verdict, latency="evaluator: fidelity only")
    replace(report, timing=None, peak_memory_mb=None, baseline_memory_mb=None, verdict=verdict).save(tmp_path)
    page, _ = make_page(tmp_path)
    assert "evaluator: fidelity only" in page.text
    assert "ms" not in re.sub(r"\s+", " ", page.text[page.text.index("Verdict") : page.text.index("Host figures")])


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_do_no_harm(name: str, make_report, add_pictures, tmp_path: Path) -> None:
    report = make_report(name, photos=(name, "flower"))
    report = replace(
        report,
        target=replace(report.target, name=name, cpu=name, os=name, compute_unit_actual=name),
        artifact=replace(report.artifact, format=name, precision=name),
        verdict=replace(report.verdict, fidelity="fail", reasons=(name,)),
        tool_versions={name: name},
    )
    add_pictures(report, tmp_path).save(tmp_path)
    quality = tmp_path / "quality.json"
    quality.write_text(json.dumps([quality_row(model=name, split=name)]))
    page, results = make_page(tmp_path, "--quality", str(quality))
    assert len(page.scripts) == 1 and page.scripts[0] == (render.TEMPLATES / "page.js").read_text()
    assert re.sub(r"\s+", " ", name) in re.sub(r"\s+", " ", page.text)
    assert not any(attribute.startswith("on") for _, attributes in page.tags for attribute in attributes)
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert {tag for tag, _ in page.tags} & {"iframe", "object", "embed", "link", "base", "form", "a"} == set()
    assert (
        not re.search(r"<(script|img|/)", results)
        and "http://" not in results
        and not re.search(r"(?<!\\)\]\(", results)
    )
    assert {path.name for path in (tmp_path / "page").iterdir()} == {"index.html", "RESULTS.md"}
    rows = [line for line in results.splitlines() if re.match(r"\|.*fail; latency unranked \|$", line)]
    assert len(rows) == 1 and len(re.findall(r"(?<!\\)\|", rows[0])) == 14


def test_page_is_self_contained_and_says_so(make_report, add_pictures, tmp_path: Path) -> None:
    add_pictures(make_report(), tmp_path).save(tmp_path)
    page, _ = make_page(tmp_path)
    text = (tmp_path / "page" / "index.html").read_text()
    assert not re.search(r"https?://|url\(|@import|//[a-z]", re.sub(r"base64,[A-Za-z0-9+/=]+", "", text))
    (policy,) = (a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-") and "unsafe" not in policy
    assert not any("style" in attributes for _, attributes in page.tags)  # the policy would block it
    for tag in ("style", "script"):
        inline = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert inline and render.digest(inline.group(1)) in policy


def quality_row(**values: Any) -> dict[str, Any]:
    row = {"model": "m", "params": 1000, "mac_per_px": 12.5, "psnr_mean_of_images_db": 20.0, "ssim": 0.8}
    row |= {"psnr_of_mean_mse_db": 19.0, "ms_ssim": 0.9, "delta_e_2000": 7.0}
    return row | {"images": 3, "simulated_images": 3, "split": "validation"} | values


def test_quality_table_has_its_protocol_and_marks_the_best(make_report, tmp_path: Path) -> None:
    make_report().save(tmp_path)
    quality = tmp_path / "quality.json"
    quality.write_text(json.dumps([quality_row(model="identity", params=None), quality_row(delta_e_2000=5.0)]))
    page, results = make_page(tmp_path, "--quality", str(quality))
    assert "3 photo pairs of the validation split, phone side simulated" in page.text
    assert "| identity | — | 12 | 20.00 | 19.00 | 0.8000 | 0.9000 | 7.00 |" in results
    best = re.findall(r'<td data-label="([^"]+)" class="best">', (tmp_path / "page" / "index.html").read_text())
    assert best.count("ΔE 2000") == 1 and best.count("SSIM") == 2 and "Parameters" not in best


NOT_ROWS = ["", "{}", "[]", "[1]", "null", '[{"model": 1}]', "[" * 100_000]


@pytest.mark.parametrize("text", [*NOT_ROWS, *(json.dumps([quality_row(ssim=s)]) for s in ("x", float("nan"), True))])
def test_a_broken_quality_file_is_named(text: str, make_report, tmp_path: Path, capsys) -> None:
    make_report().save(tmp_path)
    (tmp_path / "quality.json").write_text(text)
    arguments = [str(tmp_path), "--out", str(tmp_path / "page"), "--quality", str(tmp_path / "quality.json")]
    assert render.main(arguments) == 1
    assert "quality.json: not the rows of evaluate.py" in capsys.readouterr().err


def test_no_report_and_a_broken_report_are_one_sentence(tmp_path: Path, capsys) -> None:
    assert render.main([str(tmp_path), "--out", str(tmp_path / "page")]) == 1
    assert "no report in it" in capsys.readouterr().err
    (tmp_path / "a__b.json").write_text("{}")
    assert render.main([str(tmp_path), "--out", str(tmp_path / "page")]) == 1
    assert "a__b.json: not a report" in capsys.readouterr().err


@pytest.mark.parametrize("harm", ["missing", "link", "not a picture"])
def test_pictures_that_cannot_be_shown_are_counted(harm: str, make_report, add_pictures, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    report = add_pictures(make_report(photos=("one", "two")), folder)
    report.save(folder)
    outside = tmp_path / "private.png"
    Image.new("RGB", (4, 4)).save(outside)
    path = folder / report.pictures[0].after
    path.unlink()
    if harm == "link":
        path.symlink_to(outside)
    elif harm == "not a picture":
        path.write_bytes(b"P6 not a picture")
    page, _ = make_page(folder)
    assert "The pictures of 1 photo are not in the report folder" in page.text
    assert len([article for article in page.all("article") if article["class"] == "photo"]) == 1


def test_large_pictures_are_made_smaller_and_say_so(make_report, add_pictures, tmp_path: Path) -> None:
    report = add_pictures(make_report(), tmp_path)
    for path in tmp_path.rglob("*.png"):
        Image.new("RGB", (1800, 1200), (90, 80, 70)).save(path)
    report.save(tmp_path)
    page, _ = make_page(tmp_path)
    assert {(image["width"], image["height"]) for image in page.all("img")} == {("900", "600")}
    assert "shown at 0.50 of its size" in page.text


def test_markdown_escapes() -> None:
    assert escape_markdown("a|b\n<c> [d](e)") == r"a\|b &lt;c&gt; \[d\](e)"
