"""Lines and bar of an evaluation: what is known beforehand is not counted in the speed."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from oneshot.stages.evals.progress import EVERY, Bar, Lines, Pace, Silent, progress


def test_time_left() -> None:
    now = [100.0]
    pace = Pace(50, 10, lambda: now[0])
    assert pace.left() == ""
    now[0] += 20
    pace.done += 10
    assert pace.left() == "1:00", "ten pieces took 20 s, thirty are left"


def test_a_line_now_and_then() -> None:
    now, said = [0.0], list[str]()
    lines = Lines(said.append, lambda: now[0])
    lines.begin("sums: responses", 1000, 200)
    for _ in range(8):
        now[0] += EVERY / 2
        lines.advance(100)
    lines.end()
    assert said == [
        "sums: responses: 400 of 1,000, about 0:30 left",
        "sums: responses: 600 of 1,000, about 0:20 left",
        "sums: responses: 800 of 1,000, about 0:10 left",
    ]


def test_a_bar_and_an_empty_terminal_after_it() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    bar = Bar(console)
    bar.advance(1)  # before any phase
    bar.begin("sums: \x1b[31mresponses [bold]", 10, 0)
    bar.advance(4)
    bar.begin("another phase", 20, 5)
    bar.end()
    bar.end()
    shown = out.getvalue()
    assert "4 of 10" in shown and "5 of 20" in shown and "[bold]" in shown
    assert "\x1b[31mresponses" not in shown


def test_which(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(progress(quiet=True, plain=False), Silent)
    assert isinstance(progress(quiet=False, plain=False), Lines), "no terminal here"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert isinstance(progress(quiet=False, plain=False), Bar)
    assert isinstance(progress(quiet=False, plain=True), Lines)
    assert capsys.readouterr() == ("", "")
