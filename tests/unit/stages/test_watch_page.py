"""The server of `oneshot watch --web`: what it answers to whom."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from oneshot.errors import UsageError
from oneshot.stages.watching import live_page, live_server
from oneshot.stages.watching.live_page import LivePage, opened
from oneshot.stages.watching.live_server import NOTHING, Server, policy_of
from tests.unit.stages.pages import PAGE, Built
from tests.unit.stages.watching import running


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Server]:
    """A server on a free port of 127.0.0.1; stopped and joined at the end."""
    server = Server(LivePage(running(tmp_path, steps=1), build=Built()), 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()
    assert not thread.is_alive()


def asked(server: Server, method: str = "GET", path: str = "/", **headers: str) -> tuple[HTTPResponse, bytes]:
    """The answer to one request; `host` replaces the name that the server is called by."""
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    for value in headers.pop("host", f"127.0.0.1:{server.server_port}").split("|"):
        if value:
            connection.putheader("Host", value)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_the_page_with_strict_headers(served: Server) -> None:
    answer, body = asked(served)
    assert (answer.status, body) == (200, f"{PAGE}1?".encode())
    headers = {name: answer.getheader(name) for name in ("Content-Type", "Content-Security-Policy", "Cache-Control")}
    assert headers == {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": "default-src 'none'; img-src data:; frame-ancestors 'none'",
        "Cache-Control": "no-store",
    }
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    assert answer.getheader("Referrer-Policy") == "no-referrer"
    assert answer.getheader("Server") == "oneshot"
    head, nothing = asked(served, "HEAD")
    assert (head.status, nothing, head.getheader("Content-Length")) == (200, b"", str(len(body)))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/config.json", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "//evil.example/", 404),
        ("GET", "/?a=1", 404),
        ("GET", "http://evil.example/", 404),
        ("POST", "/", 405),
        ("PUT", "/x", 405),
        ("DELETE", "/", 405),
        ("OPTIONS", "*", 405),
        ("BREW", "/", 405),
    ],
)
def test_everything_else_is_refused(served: Server, method: str, path: str, status: int) -> None:
    answer, body = asked(served, method, path)
    assert answer.status == status
    assert answer.getheader("Content-Security-Policy") == f"{NOTHING}; frame-ancestors 'none'"
    assert answer.getheader("Content-Type") == "text/plain; charset=utf-8"
    assert body in (b"Not Found", b"Method Not Allowed")  # nothing of the request comes back
    assert (answer.getheader("Allow") == "GET, HEAD") == (status == 405)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:9000", 200),  # through a tunnel from another port
        ("LOCALHOST", 200),
        ("[::1]:80", 200),
        ("", 403),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:8765", 403),
        ("localhost:80@evil.example", 403),
        ("127.0.0.1:x", 403),
        ("[::1", 403),
        ("127.0.0.1|evil.example", 403),  # two of them
    ],
)
def test_only_names_of_this_machine(served: Server, host: str, status: int) -> None:
    assert asked(served, host=host)[0].status == status


def test_it_listens_on_the_loopback_alone(served: Server) -> None:
    assert served.server_address[0] == "127.0.0.1"
    assert served.socket.family == socket.AF_INET


@pytest.mark.parametrize(
    "sent", [b"", b"GET", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"GET /\r\n\r\n"]
)
def test_what_is_no_http_harms_nobody(served: Server, sent: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(("127.0.0.1", served.server_port), timeout=10) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        while client.recv(4096):
            pass
    assert asked(served)[0].status == 200
    assert capfd.readouterr().err == ""


def test_slow_clients_keep_nobody_waiting(served: Server) -> None:
    idle = [socket.create_connection(("127.0.0.1", served.server_port), timeout=10) for _ in range(5)]
    idle[0].sendall(b"GET / HTTP/1.1\r\nHost: loc")
    assert asked(served)[0].status == 200
    served.shutdown()  # returns although five clients are silent
    for client in idle:
        client.close()


def test_too_many_clients_are_closed(served: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    while served._free.acquire(blocking=False):
        pass
    with socket.create_connection(("127.0.0.1", served.server_port), timeout=10) as client:
        assert client.recv(10) == b""
    served._free.release()
    assert asked(served)[0].status == 200


def test_a_page_that_cannot_be_made_is_said_as_text(tmp_path: Path) -> None:
    build = Built()
    build.error = UsageError("<b>damaged</b>.", code="E106")
    with Server(LivePage(running(tmp_path), build=build), 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        answer, body = asked(server)
        server.shutdown()
        thread.join(10)
    assert (answer.status, body) == (503, b"E106 <b>damaged</b>.")
    assert answer.getheader("Content-Type") == "text/plain; charset=utf-8"
    assert answer.getheader("Refresh") == "5"


def test_a_port_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = running(tmp_path, steps=1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} of 127.0.0.1 cannot be used") as caught:
            opened(run, str(port))
        assert caught.value.tries[0].startswith(f"oneshot watch {run.path} --web --port ")
        monkeypatch.setattr(live_page, "PORT", port)
        with opened(run) as server:  # nobody asked for this one
            assert server.server_port not in (0, port)


def test_the_policy_is_the_pages_own() -> None:
    assert policy_of(PAGE.encode()) == "default-src 'none'; img-src data:"
    assert policy_of(b"<p>no policy") == NOTHING
    assert (
        policy_of(PAGE.replace("; ", ";\r\nSet-Cookie: x ").encode())
        == "default-src 'none'; Set-Cookie: x img-src data:"
    )
    assert live_server.HOST == "127.0.0.1"


def test_the_real_page_is_the_report(tmp_path: Path) -> None:
    html = LivePage(running(tmp_path)).html().decode()
    assert 'http-equiv="refresh"' in html
    assert policy_of(html.encode()).startswith("default-src 'none'; style-src 'sha256-")
    assert "<script" not in html
