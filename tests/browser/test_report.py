"""The page in a real browser: no script runs, nothing is fetched, nothing is wider than the screen."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from oneshot.report import page
from tests.unit.report.runs import HOSTILE, make_run

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; without one the tests are skipped, in CI they fail."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found:
        return found
    message = "no chromium on the PATH. Debian: apt-get install chromium"
    if os.environ.get("ONESHOT_CI") == "1":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine and the paths that were asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}", asked
        listening.shutdown()
        thread.join()


class Elements(HTMLParser):
    """Every element of a document with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    @property
    def tags(self) -> set[str]:
        return {tag for tag, _ in self.found}

    @property
    def pwned(self) -> bool:
        """A script of the fixture ran: it marks the root element."""
        return any("data-pwned" in attributes for _, attributes in self.found)


def dom(chromium: str, path: Path, *flags: str) -> str:
    """The document as the browser has it after loading."""
    profile = path.parent / f"profile-{path.stem}"
    command = [chromium, *FLAGS, f"--user-data-dir={profile}", *flags, "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def hostile_page(folder: Path, address: str) -> Path:
    """The report of a run whose every text tries to run a script and to fetch from `address`."""
    fetches = (
        f'<img src="{address}/img"><link rel=stylesheet href="{address}/css"><script src="{address}/js"></script>'
        f'<style>@import "{address}/import";</style><svg><image href="{address}/svg"/></svg>'
        f"<meta http-equiv=refresh content='0;url={address}/refresh'>$\\text{{<img src={address}/tex>}}$"
    )
    run = make_run(folder / "runs", text=HOSTILE + fetches)
    path = folder / "report.html"
    path.write_bytes(page.write(run).read_bytes())
    return path


def test_hostile_text_stays_text(chromium: str, tmp_path: Path, server: tuple[str, list[str]]) -> None:
    address, asked = server
    path = hostile_page(tmp_path, address)
    seen = dom(chromium, path)
    elements = Elements(seen)
    assert not elements.pwned, "a script of the text ran"
    assert not elements.tags & {"script", "img", "iframe", "link", "image", "object", "embed", "base", "form"}
    links = [a[key] or "" for _, a in elements.found for key in ("href", "src", "action", "xlink:href") if key in a]
    assert links and all(re.match("#|data:application/json;base64,", link) for link in links)
    assert not any(key.startswith("on") for _, attributes in elements.found for key in attributes)
    assert not re.search("[\x1b\x9b\u202e\u2066\u200b]", seen)
    assert "<script>" in unescape(seen) and "⟨U+202E⟩" in seen
    assert asked == []


def test_the_instrument_sees_a_script_and_a_fetch(chromium: str, tmp_path: Path, server: tuple[str, list[str]]) -> None:
    """The same questions put to a page that fails them."""
    address, asked = server
    path = tmp_path / "bad.html"
    script = "<script>document.documentElement.setAttribute('data-pwned','1')</script>"
    path.write_text(f'<!doctype html><body>{script}<img src="{address}/img"></body>', encoding="utf-8")
    assert Elements(dom(chromium, path)).pwned
    assert asked == ["/img"]


def test_an_injected_script_would_be_refused(chromium: str, tmp_path: Path, server: tuple[str, list[str]]) -> None:
    """Should escaping ever fail, the policy still stops scripts and requests."""
    address, asked = server
    html = page.build(make_run(tmp_path / "runs"))
    bad = f"<script>document.documentElement.setAttribute('data-pwned','1')</script><img src='{address}/img'></main>"
    path = tmp_path / "injected.html"
    path.write_text(html.replace("</main>", bad), encoding="utf-8")
    seen = dom(chromium, path)
    assert {"script", "img"} <= Elements(seen).tags
    assert not Elements(seen).pwned
    assert asked == []


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("hostile", [False, True])
def test_nothing_is_wider_than_the_screen(chromium: str, tmp_path: Path, width: int, hostile: bool) -> None:
    run = make_run(tmp_path / "runs", text=HOSTILE + "w" * 300 if hostile else "")
    (tmp_path / "report.html").write_text(page.build(run), encoding="utf-8", errors="replace")
    # The page itself runs no script, so a frame of the wanted width is measured from outside.
    outer = tmp_path / "outer.html"
    outer.write_text(
        f"""<!doctype html><iframe id="f" src="report.html" style="border:0;width:{width}px;height:900px"></iframe>
        <script>onload = () => {{ const d = document.getElementById("f").contentDocument;
        for (const e of d.querySelectorAll("details")) e.open = true;
        document.body.dataset.width = d.documentElement.scrollWidth;
        document.body.dataset.style = d.defaultView.getComputedStyle(d.querySelector("h1")).fontWeight; }}</script>""",
        encoding="utf-8",
    )
    seen = dom(chromium, outer, "--allow-file-access-from-files", "--window-size=1400,1000")
    assert f'data-width="{width}"' in seen, re.findall(r'data-width="[^"]*"', seen)
    assert 'data-style="650"' in seen, "the stylesheet was refused by the page's own policy"
