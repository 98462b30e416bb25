"""The page in a real browser: what moves moves, what is hostile does no harm, and it fits a phone and paper."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import render
from benchmarks.page.made_up import write_reports

playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright; pip install -e .[dev]")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium; install the package chromium"),
]
HOSTILE = "\"'><img src=x onerror=alert(1)></script><script>alert(2)</script></style>{{ 7 * 7 }}"


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def made_up_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of 60 made-up reports: a host, four emulated phones and a physical one."""
    folder = tmp_path_factory.mktemp("made-up")
    write_reports(folder, 60)
    assert render.main([str(folder), "--out", str(folder / "page")]) == 0
    return folder / "page" / "index.html"


class Watched:
    """A tab that remembers all that a console, a dialog or the network said."""

    def __init__(self, browser: playwright.Browser, page: Path, **context: object):
        self.context = browser.new_context(**context)
        self.tab = self.context.new_page()
        self.said: list[str] = []
        self.tab.on("console", lambda message: self.said.append(message.text))
        self.tab.on("pageerror", lambda error: self.said.append(str(error)))
        self.tab.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))
        self.tab.on("request", lambda r: r.url.startswith(("file:", "data:")) or self.said.append(f"requested {r.url}"))
        self.tab.goto(page.resolve().as_uri())


@pytest.fixture
def watch(browser: playwright.Browser) -> Iterator:
    opened: list[Watched] = []

    def open_(page: Path, **context: object) -> Watched:
        opened.append(Watched(browser, page, **context))
        return opened[-1]

    yield open_
    for watched in opened:
        watched.context.close()
        assert watched.said == [], "no console message, dialog or request"


OVERFLOWING = """() => [...document.querySelectorAll("table, svg, figure, .scroll, .device, .photo")].filter(
(element) => {
  const box = element.getBoundingClientRect();
  const inside = element.tagName === "svg" || element.scrollWidth <= element.clientWidth + 1;
  return box.width && (box.right > document.documentElement.clientWidth + 1 || !inside);
}).map(element => element.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("width", [360, 800, 1200, 1600])
def test_nothing_is_cut(made_up_page: Path, watch, width: int) -> None:
    """No table or drawing is wider than its place, and none has to be moved sideways."""
    tab = watch(made_up_page, viewport={"width": width, "height": 900}).tab
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    assert tab.evaluate(OVERFLOWING) == []


def test_the_slider_drags(made_up_page: Path, watch) -> None:
    tab = watch(made_up_page).tab
    stack = tab.locator(".stack").first
    stack.scroll_into_view_if_needed()
    box = stack.bounding_box()
    assert box
    clip = "element => getComputedStyle(element.querySelector('.before')).clipPath"
    before = stack.evaluate(clip)
    middle = box["y"] + box["height"] / 2
    tab.mouse.move(box["x"] + box["width"] / 2, middle)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] / 4, middle, steps=5)
    tab.mouse.up()
    assert float(stack.locator("input").input_value()) == pytest.approx(25, abs=2)
    handle = stack.locator(".handle").bounding_box()
    assert handle and handle["x"] == pytest.approx(box["x"] + box["width"] / 4, abs=8)
    assert stack.evaluate(clip) != before
    stack.locator("input").focus()
    tab.keyboard.press("End")
    assert stack.locator("input").input_value() == "100"


def test_a_choice_changes_picture_and_error_map(made_up_page: Path, watch) -> None:
    photo = watch(made_up_page).tab.locator(".photo").first
    photo.locator("button").nth(1).click()
    assert photo.locator("button[aria-pressed=true]").count() == 1
    for part in (".layer[data-choice]:visible", ".error:visible"):
        assert photo.locator(part).evaluate_all("all => all.map(one => one.dataset.choice)") == ["1"]


def test_filters_filter(made_up_page: Path, watch) -> None:
    tab = watch(made_up_page).tab
    rows, count = tab.locator(".reports tr[data-of]:visible"), tab.locator("[data-count]")
    assert rows.count() == 60
    tab.locator("select[data-filter=device]").select_option(label="made-up emulated a76")
    assert rows.count() == 10 and count.inner_text() == "10 of 60 reports"
    assert tab.locator(".device:visible h4").all_inner_texts() == ["made-up emulated a76"]
    tab.locator("select[data-filter=format]").select_option(label="TFLite")
    assert rows.count() == 3 and all("tflite" in name for name in rows.locator("td:first-child").all_inner_texts())
    assert tab.locator(".mark[data-of]:visible").count() == 3 * 2, "two plots of the device, three artifacts in each"
    for button in tab.locator(".choices button[data-of]:visible").all_inner_texts():
        assert "TFLite" in button or "tflite" in button
    for choice in tab.locator(".photo:visible .choices").all():
        assert choice.locator("button[aria-pressed=true]:visible").count() == 1
    for menu in ("device", "format"):
        tab.locator(f"select[data-filter={menu}]").select_option("")
    assert rows.count() == 60


def test_hostile_names_do_no_harm(make_report, add_pictures, tmp_path: Path, watch) -> None:
    report = make_report(HOSTILE, photos=(HOSTILE, "flower"))
    report = replace(
        report,
        target=replace(report.target, name=HOSTILE, cpu=HOSTILE, os=HOSTILE, facts={HOSTILE: HOSTILE}),
        artifact=replace(report.artifact, format=HOSTILE, precision=HOSTILE),
        verdict=replace(report.verdict, fidelity="fail", reasons=(HOSTILE,)),
    )
    add_pictures(report, tmp_path).save(tmp_path)
    make_report("other").save(tmp_path)
    assert render.main([str(tmp_path), "--out", str(tmp_path / "page")]) == 0
    tab = watch(tmp_path / "page" / "index.html").tab
    assert tab.locator(".reports tr[data-of]").filter(has_text="alert(1)").count() == 1
    tab.locator("select[data-filter=device]").select_option(label=HOSTILE)
    assert tab.locator(".reports tr[data-of]:visible").count() == 1
    assert tab.evaluate("[document.scripts.length, document.querySelectorAll('img[src=x]').length]") == [1, 0]


def test_the_policy_stops_what_would_slip_through(made_up_page: Path, tmp_path: Path, browser) -> None:
    """Were escaping to fail, nothing would run or be fetched."""
    harmed = tmp_path / "harmed.html"
    run = "document.title = 'ran'"
    slipped = f'<main><script>{run}</script><img src="http://127.0.0.1:9/x" onerror="{run}">'
    harmed.write_text(made_up_page.read_text().replace("<main>", slipped))
    watched = Watched(browser, harmed)
    assert watched.tab.title() == "Pocket DSLR: report"
    blocked = [line.split(" ")[0:2] for line in watched.said if line.endswith("The action has been blocked.")]
    assert sorted(blocked) == [["Executing", "inline"], ["Executing", "inline"], ["Loading", "the"]]
    watched.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(scheme: str, made_up_page: Path, watch) -> None:
    tab = watch(made_up_page, viewport={"width": 360, "height": 740}, color_scheme=scheme, is_mobile=True).tab
    assert tab.evaluate("document.documentElement.scrollWidth") == 360
    light = tab.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]") > 128
    assert light == (scheme == "light")


def test_paper_shows_every_picture_and_no_menus(made_up_page: Path, tmp_path: Path, watch) -> None:
    tab = watch(made_up_page, viewport={"width": 700, "height": 1000}).tab  # A4 with margins
    tab.emulate_media(media="print")
    cut_off = tab.locator(".scroll").evaluate_all("all => all.filter(one => one.scrollWidth > one.clientWidth).length")
    assert cut_off == 0
    layers = tab.locator(".photo").first.locator(".layer")
    assert layers.count() == layers.locator("visible=true").count() > 3
    assert not tab.locator(".filters").is_visible() and not tab.locator("input").first.is_visible()
    assert tab.pdf(path=str(tmp_path / "page.pdf"), format="A4").startswith(b"%PDF")


def test_without_script_all_is_there(made_up_page: Path, watch) -> None:
    tab = watch(made_up_page, java_script_enabled=False).tab
    assert tab.locator(".reports tr[data-of]:visible").count() == 60
    layers = tab.locator(".photo").first.locator(".layer")
    assert layers.locator("visible=true").count() == layers.count()


def test_the_speed_of_the_page_is_measured(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.studies.page_speed", "--reports", "11", "--out", str(tmp_path)]
    subprocess.run(command, check=True, timeout=300)  # a process cannot hold two drivers of a browser
    facts = json.loads((tmp_path / "page_speed.json").read_text())
    assert facts["reports"] == 11 and min(facts[key] for key in ("render_s", "load_ms", "filter_ms", "page_mb")) > 0
    assert "| 11 |" in (tmp_path / "page_speed.md").read_text()
