"""The server of `oneshot watch RUN --web`: one page, only on 127.0.0.1, only to be read.

Two methods, one path, no file of the disk. A request that names another host is refused, so that no web page can read
this one by pointing a name of its own at 127.0.0.1.
"""

from __future__ import annotations

import socketserver
import sys
import threading
from html import unescape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Protocol

from oneshot.errors import OneshotError
from oneshot.report.text import visible

HOST = "127.0.0.1"
NAMES = ("127.0.0.1", "localhost", "[::1]")
"""What a request may call this server; any port, because a tunnel has another one."""
PATIENCE = 30.0
"""Seconds that a client may be silent, or take to read the page."""
MOST_CLIENTS = 32
"""Requests at one time; one more is closed unanswered."""
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Connection": "close",
}
NOTHING = "default-src 'none'"
"""The policy of an answer that is no page."""
MARK = 'http-equiv="Content-Security-Policy" content="'


class Page(Protocol):
    """What is served."""

    def html(self) -> bytes:
        """The page as it is now, in UTF-8. `OneshotError` where there is none."""
        ...


class Server(socketserver.ThreadingMixIn, HTTPServer):
    """Listens on 127.0.0.1. No slow client keeps another one, or the end of the server, waiting."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, live: Page, port: int) -> None:
        self.live = live
        self._free = threading.BoundedSemaphore(MOST_CLIENTS)
        super().__init__((HOST, port), Handler)

    def server_bind(self) -> None:
        """As of any TCP server: HTTP's own would ask the network for this machine's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, if there are not too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, then make room for another one."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One line. A client that went away is no error."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            told = visible(f"{type(error).__name__}: {error}").replace("\n", " ")
            print(f"the page could not be made: {told}", file=sys.stderr, flush=True)


class Handler(BaseHTTPRequestHandler):
    """Answers one request and closes."""

    server: Server
    timeout = PATIENCE

    def version_string(self) -> str:
        """Says no versions."""
        return "oneshot"

    def log_message(self, *_: Any) -> None:
        """Requests are not logged."""

    def parse_request(self) -> bool:
        """Refuse everything but reading `/` under a name of this machine."""
        if not super().parse_request():
            return False
        names = self.headers.get_all("Host") or []
        if len(names) != 1 or not _ours(names[0]):
            self.send_error(HTTPStatus.FORBIDDEN)
        elif self.command not in ("GET", "HEAD"):
            self.send_error(HTTPStatus.METHOD_NOT_ALLOWED)
        elif self.path != "/":
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            return True
        return False

    def do_GET(self) -> None:
        """The page."""
        try:
            body = self.server.live.html()
        except (OneshotError, OSError) as error:
            told = error.render() if isinstance(error, OneshotError) else str(error)
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, told.encode("utf-8", "replace"))
            return
        self._answer(HTTPStatus.OK, body, "text/html", policy_of(body))

    do_HEAD = do_GET

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The name of the status alone: nothing that the client sent is sent back."""
        self._answer(HTTPStatus(code), HTTPStatus(code).phrase.encode())

    def _answer(self, status: HTTPStatus, body: bytes, kind: str = "text/plain", policy: str = NOTHING) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Security-Policy", f"{policy}; frame-ancestors 'none'")
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Refresh", "5")
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _ours(host: str) -> bool:
    """Whether the Host of a request is a name of this machine, with any port or none."""
    name, colon, port = host.strip().lower().rpartition(":")
    bare = name if colon and port.isascii() and port.isdecimal() else host.strip().lower()
    return bare in NAMES


def policy_of(body: bytes) -> str:
    """The policy that the page states itself; the strictest where it states none."""
    text = body[:4000].decode("utf-8", "replace")
    return " ".join(unescape(text.partition(MARK)[2].partition('"')[0]).split()) or NOTHING
