"""The server gives one page to one browser that knows the link, and nothing to anybody else."""

from __future__ import annotations

import http.client
import json
import logging
from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.on_browser import MOBILE, browser_of, system_of
from benchmarks.report import Protocol
from benchmarks.targets.browser.server import PageServer
from benchmarks.targets.browser.session import SamplePhoto, Session, SessionError, Verdict
from conversion.artifact import Artifact

PHOTO = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)


@pytest.fixture
def session(hollow_artifact: Artifact) -> Session:
    return Session([hollow_artifact], [SamplePhoto("p", PHOTO)], Protocol(1, 2, 2, 0.0), "wasm")


@pytest.fixture
def server(session: Session) -> Iterator[PageServer]:
    with PageServer({"index.html": b"<p>the page</p>", "assets/a.wasm": b"\0asm"}, session, "127.0.0.1") as running:
        yield running


class Browser:
    """As little of a browser as it takes."""

    def __init__(self, server: PageServer):
        self.server = server
        self.cookie = ""

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(self.server.origin.removeprefix("http://"), timeout=10)
        connection.request("GET" if body is None else "POST", path, body, headers | {"Cookie": self.cookie})
        response = connection.getresponse()
        answer = response.status, response.read(), dict(response.getheaders())
        connection.close()
        return answer

    def open(self) -> tuple[int, bytes, dict[str, str]]:
        answer = self.ask(f"/{self.server.token}/")
        self.cookie = answer[2].get("Set-Cookie", "").partition(";")[0]
        return answer

    def get(self, path: str) -> tuple[int, bytes]:
        return self.ask(f"/{self.server.token}/{path}")[:2]

    def post(self, path: str, body: bytes, **headers: str) -> tuple[int, bytes]:
        return self.ask(f"/{self.server.token}/{path}", body, **headers)[:2]


def test_the_page_and_its_headers(server: PageServer) -> None:
    browser = Browser(server)
    status, content, headers = browser.open()
    assert (status, content) == (200, b"<p>the page</p>")
    assert "HttpOnly; SameSite=Strict" in headers["Set-Cookie"]
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert not any(name.lower().startswith("access-control") for name in headers)
    assert browser.ask(f"/{server.token}/assets/a.wasm")[2]["Content-Type"] == "application/wasm"
    assert browser.open()[0] == 200, "a reload is the same browser"


def test_nothing_else_is_served(server: PageServer, caplog: pytest.LogCaptureFixture) -> None:
    browser = Browser(server)
    browser.open()
    caplog.clear()  # what was logged of the opening depends on the level that tests before this one left
    wrong = ["/", "/index.html", f"/{server.token}", f"/{server.token[:-1]}/", f"/x/{server.token}/", "/favicon.ico"]
    with caplog.at_level(logging.WARNING):
        for path in wrong:
            status, content, _ = browser.ask(path)
            assert status == 403 and b"This link is not valid." in content, path
    assert len(caplog.messages) == 1 and "a link with a wrong token" in caplog.messages[0]
    for path in ("../pyproject.toml", "artifacts/0/../../x", "photos/1", "artifacts/1/manifest.json", "%2e%2e/x"):
        assert browser.get(path)[0] == 404, path


def test_the_link_is_for_the_first_browser(server: PageServer) -> None:
    first, second = Browser(server), Browser(server)
    assert second.get("session.json")[0] == 403, "nobody opened the link yet"
    assert first.open()[0] == 200
    status, content, _ = second.open()
    assert status == 403 and b"opened in another browser already" in content
    second.cookie = "pocket=guess"
    assert second.get("session.json")[0] == 403
    assert first.get("session.json")[0] == 200


def test_another_site_is_refused(server: PageServer) -> None:
    browser = Browser(server)
    browser.open()
    assert browser.post("alive", b"", Origin="https://example.org")[0] == 403
    assert browser.post("alive", b"", Origin=server.origin)[0] == 200


def test_what_a_page_never_says_is_refused(server: PageServer, session: Session) -> None:
    browser = Browser(server)
    browser.open()
    for path, body in [
        ("outputs/0/0", bytes(4)), ("outputs/0/1", bytes(240)), ("outputs/1/0", bytes(240)), ("measured/0", b"{}"),
        ("measured/0", b'{"load_s": 1}'), ("measured/7", b"{}"), ("started", b"[]"),
        ("started", b'{"a": "\\u001b[2J"}'), ("failed", b"\x1b[2J"), ("failed", b"\xff"), ("other", b""),
    ]:  # fmt: skip
        assert browser.post(path, body)[0] in (400, 413), (path, body)
    assert browser.post("outputs/0/0", bytes(241))[0] == 413
    assert browser.post("failed", bytes(10**6))[0] == 413
    assert json.loads(browser.post("alive", b"")[1]) == {"verdicts": [], "over": False, "stopped": None}


def test_a_measurement_comes_back(server: PageServer, session: Session, hollow_artifact: Artifact) -> None:
    browser = Browser(server)
    browser.open()
    told = json.loads(browser.get("session.json")[1])
    assert told["protocol"] == {"warm_up_runs": 1, "runs": 2, "threads": 2, "backend": "wasm"}
    assert told["photos"] == [{"name": "p", "height": 4, "width": 5}]
    assert browser.get("photos/0") == (200, PHOTO.tobytes())
    for path in told["artifacts"][0]:
        assert browser.get(f"artifacts/0/{path}") == (200, (hollow_artifact.folder / path).read_bytes())
    output = np.linspace(0, 1, 60, dtype="<f4")
    timed = {"load_s": [1], "analyze_s": [0.1, 0.2], "enhance_s": [0.3, 0.4], "calls": 3, "unit": "wasm, 1 thread"}
    assert browser.post("started", b'{"user_agent": "x"}')[0] == 200
    assert browser.post("outputs/0/0", output.tobytes())[0] == 200
    assert browser.post("measured/0", json.dumps(timed).encode())[0] == 200
    measured, (image,) = session.wait_for(hollow_artifact, 1.0)
    assert measured.enhance_s == (0.3, 0.4) and measured.calls == 3 and session.facts == {"user_agent": "x"}
    assert np.array_equal(image.ravel(), output)
    session.show(Verdict("hollow-tflite-fp32", "pass", "well"))
    session.end(None, 0)
    heard = json.loads(browser.post("alive", b"")[1])
    assert heard["over"] and heard["verdicts"] == [
        {"artifact": "hollow-tflite-fp32", "fidelity": "pass", "text": "well"}
    ]


def test_what_the_page_says_of_its_failure_ends_the_wait(session: Session, hollow_artifact: Artifact) -> None:
    session.receive("failed", b"It broke.")
    with pytest.raises(SessionError, match=r"hollow: It broke\."):
        session.wait_for(hollow_artifact, 60)


@pytest.mark.parametrize(
    ("told", "browser", "system", "mobile"),
    [
        ("Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile Safari/537.36",
         "Chrome 156.0.0.0", "Android 10", True),
        ("Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/30.0 Chrome/136.0.0.0 "
         "Mobile Safari/537.36", "Samsung Internet 30.0", "Android 10", True),
        ("iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 "
         "Mobile/15E148 Safari/604.1", "Safari 26.0", "iOS 18.6", True),
        ("X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0", "Firefox 150.0", "Linux", False),
        ("Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36 "
         "Edg/156.0.0.0", "Edge 156.0.0.0", "Windows NT 10.0", False),
    ],
)  # fmt: skip
def test_browsers_by_what_they_say(told: str, browser: str, system: str, mobile: bool) -> None:
    agent = f"Mozilla/5.0 ({told}"
    assert (browser_of(agent), system_of(agent), bool(MOBILE.search(agent))) == (browser, system, mobile)
