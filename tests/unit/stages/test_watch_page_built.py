"""When the page of `oneshot watch --web` is built anew, and what is served meanwhile."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from oneshot.errors import UsageError
from oneshot.record import RunFolder
from oneshot.stages.watching.live_page import LivePage
from tests.unit.stages.pages import PAGE, Built
from tests.unit.stages.watching import running, step


def test_the_page_is_built_again_only_when_something_changed_and_not_too_often(tmp_path: Path) -> None:
    run, clock, build = running(tmp_path), [0.0], Built()
    page = LivePage(run, build=build, clock=lambda: clock[0])
    assert page.html() == page.html() == f"{PAGE}1?".encode()
    clock[0] = 60.0
    assert page.html() == f"{PAGE}1?".encode()  # nothing changed
    step(run, 3)
    assert page.html() == f"{PAGE}2?".encode()
    step(run, 4)
    clock[0] = 62.9
    assert build.times == 2
    assert page.html() == f"{PAGE}2?".encode()  # too soon
    clock[0] = 63.0
    assert page.html() == f"{PAGE}3?".encode()


def test_a_page_that_cannot_be_built_leaves_the_last_one(tmp_path: Path) -> None:
    run, clock, build = running(tmp_path), [0.0], Built()
    page = LivePage(run, build=build, clock=lambda: clock[0])
    build.error = UsageError("metrics.jsonl is damaged.", code="E106")
    with pytest.raises(UsageError, match="damaged"):
        page.html()
    build.error = None
    first = page.html()
    build.error = FileNotFoundError("moved away")
    clock[0] = 60.0
    step(run, 3)
    assert page.html() == first


def test_while_one_request_builds_the_others_get_the_last_page(tmp_path: Path) -> None:
    run, clock = running(tmp_path), [0.0]
    may_end, began = threading.Event(), threading.Event()

    def build(run: RunFolder) -> str:
        if clock[0]:
            began.set()
            assert may_end.wait(10)
        return f"at {clock[0]:g}"

    page = LivePage(run, build=build, clock=lambda: clock[0])
    assert page.html() == b"at 0"
    step(run, 3)
    clock[0] = 60.0
    slow = threading.Thread(target=page.html)
    slow.start()
    assert began.wait(10)
    assert page.html() == b"at 0"
    may_end.set()
    slow.join(10)
    assert page.html() == b"at 60"


def test_the_last_page_stays_when_the_folder_goes(tmp_path: Path) -> None:
    run, clock, build = running(tmp_path), [0.0], Built()
    page = LivePage(run, build=build, clock=lambda: clock[0])
    first = page.html()
    shutil.rmtree(run.path)
    clock[0] = 60.0
    assert (page.html(), build.times) == (first, 1)
