"""Serve one page to one browser, by a link with a token that the first browser to open it uses up."""

from __future__ import annotations

import hmac
import logging
import mimetypes
import secrets
import socket
import ssl
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit

from benchmarks.targets.browser.session import Session

COOKIE = "pocket"
IDLE_S = 30.0  # of one connection
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",  # this and the next let the page's threads share memory
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
REFUSED = "This link is not valid. Scan the code that on_browser.py shows now."
TAKEN = "This link was opened in another browser already. Start on_browser.py again for a new one."
log = logging.getLogger(__name__)


class PageServer:
    """`with PageServer(page, session, address) as server:` serves `server.link` until the block ends."""

    def __init__(
        self,
        page: Mapping[str, bytes],
        session: Session,
        address: str,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ):
        """Args: address: of this machine, to listen on; port: 0 for any that is free."""
        self.page = page
        self.address = address
        self.session = session
        self.token = secrets.token_urlsafe(16)
        self.secret: str | None = None  # of the browser that opened the link
        self.lock = threading.Lock()
        self.warned: set[str] = set()
        self._http = _Server((address, port), self, tls)
        self.origin = f"{'https' if tls else 'http'}://{address}:{self._http.server_port}"

    @property
    def link(self) -> str:
        return f"{self.origin}/{self.token}/"

    def __enter__(self) -> PageServer:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    def admit(self, cookie: str | None, address: str) -> str | None:
        """The secret of a browser that may see the page, or None. The first that comes is the only one."""
        with self.lock:
            if self.secret is None:
                self.secret = secrets.token_urlsafe(16)
                self.session.address = address
                log.info("the link was opened at %s", address)
                return self.secret
        return self.secret if cookie and hmac.compare_digest(cookie, self.secret) else None

    def warn(self, what: str, address: str) -> None:
        """Once for each address."""
        if address not in self.warned:
            self.warned.add(address)
            log.warning("refused %s: %s", address, what)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], owner: PageServer, tls: ssl.SSLContext | None):
        self.owner = owner
        self.tls = tls
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        connection.settimeout(IDLE_S)
        if self.tls:  # the handshake comes with the first read, in the connection's own thread
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that hangs up, or that does not trust the certificate yet, is no event."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "on_browser.py", ""
    server: _Server

    def do_GET(self) -> None:
        path = self._allowed()
        if path is None:
            return
        owner = self.server.owner
        name = path or "index.html"
        content = owner.page.get(name) or owner.session.served.get(path)
        if content is None:
            return self._answer(HTTPStatus.NOT_FOUND, b"There is nothing here.", "text/plain")
        kind = "application/wasm" if name.endswith(".wasm") else mimetypes.guess_type(name)[0]
        self._answer(HTTPStatus.OK, content, kind or "application/octet-stream")

    def do_POST(self) -> None:
        path = self._allowed()
        if path is None:
            return
        length = self.headers.get("Content-Length", "")
        session = self.server.owner.session
        if not length.isdecimal() or int(length) > session.most_bytes(path):
            self.close_connection = True
            return self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"Too long.", "text/plain")
        body = self.rfile.read(int(length))
        try:
            answer = session.receive(path, body)
        except (ValueError, KeyError, IndexError, TypeError):
            return self._answer(HTTPStatus.BAD_REQUEST, b"Not what this page says.", "text/plain")
        self._answer(HTTPStatus.OK, answer, "application/json")

    def _allowed(self) -> str | None:
        """The path below the token; None where the request was refused."""
        owner, address = self.server.owner, str(self.client_address[0])
        _, token, *rest = [*urlsplit(self.path).path.split("/"), ""]
        self._secret = None
        if not hmac.compare_digest(token.encode(), owner.token.encode()) or len(rest) < 2:
            owner.warn("a link with a wrong token", address)
            self._refuse(REFUSED)
            return None
        if self.headers.get("Origin", owner.origin) != owner.origin:
            owner.warn("a page of another site", address)
            self._refuse(REFUSED)
            return None
        path = "/".join(rest[:-1])
        given = [part.strip() for part in self.headers.get("Cookie", "").split(";")]
        cookie = next((part.partition("=")[2] for part in given if part.startswith(f"{COOKIE}=")), None)
        if path:
            if not (owner.secret and cookie and hmac.compare_digest(cookie.encode(), owner.secret.encode())):
                self._refuse(TAKEN)
                return None
            return path
        self._secret = owner.admit(cookie, address)
        if self._secret is None:
            owner.warn("the link is in use by another browser", address)
            self._refuse(TAKEN)
            return None
        return path

    _secret: str | None = None  # to be kept by the browser, with the page itself

    def _refuse(self, sentence: str) -> None:
        self.close_connection = True
        page = f'<!doctype html><html lang="en"><title>Pocket DSLR</title><h1>Pocket DSLR</h1><p>{sentence}</p></html>'
        self._answer(HTTPStatus.FORBIDDEN, page.encode(), "text/html; charset=utf-8")

    def _answer(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if self._secret:
            self.send_header("Set-Cookie", f"{COOKIE}={self._secret}; Path=/; HttpOnly; SameSite=Strict")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: their paths hold the token."""
