"""What a person sees: model text cannot steer the terminal, and a step is one line."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.live import Live

from oneshot.stages.display import Eta, Lines, LivePanel, display, duration, printable, spark, step_line
from tests.unit.stages.parts import metrics

HOSTILE = "\x1b[2J\x1b]0;title\x07 \r\u202eabc\u200b\x9b31m\x00 [bold red]markup[/]"


def test_control_characters_are_made_visible() -> None:
    assert printable("a\x1b[31mb\x07\r\x9bc\u202ed\x00") == "a·[31mb···c·d·"
    assert printable("two\nlines") == "two lines"
    assert printable("é → 12 ≤ 13") == "é → 12 ≤ 13"


@given(st.text())
def test_anything_becomes_one_printable_line(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) == len(text)


def test_lines_prints_one_line_a_step_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines() as lines:
        lines.step(1, 12, metrics(), HOSTILE)
        lines.step(2, 12, metrics(step_time=4.0), HOSTILE)
    told = capsys.readouterr()
    assert told.out == ""
    first, second = told.err.splitlines()
    assert first == "step 1/12  right 0.25  signal 1.00  entropy 0.50  tokens 20  cut 0.10  2.0 s  left 0:22"
    assert second.endswith("4.0 s  left 0:40")
    assert step_line(12, 12, metrics(step_time=4.0), 0.0).endswith("4.0 s  all steps done")


def test_a_note_of_hostile_text_is_one_harmless_line(capsys: pytest.CaptureFixture[str]) -> None:
    Lines().note(HOSTILE + "\nsecond")
    told = capsys.readouterr().err
    assert told.endswith(" second\n")
    assert told[:-1].isprintable()


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    lines = display(quiet=True, plain=False)
    lines.note("a note")
    lines.step(1, 2, metrics(), "text")
    assert capsys.readouterr() == ("", "")


def test_lines_where_there_is_no_terminal() -> None:
    assert isinstance(display(quiet=False, plain=True), Lines)
    assert isinstance(display(quiet=False, plain=False), Lines)  # the tests' stderr is no terminal


def test_the_panel_shows_the_step_and_obeys_no_text() -> None:
    drawn = io.StringIO()
    panel = LivePanel()
    panel.console = Console(file=drawn, force_terminal=True, width=100, color_system=None)
    panel.live = Live(console=panel.console, refresh_per_second=1, auto_refresh=False)
    with panel:
        panel.note(HOSTILE)
        panel.step(3, 12, metrics(), HOSTILE)
        panel.live.refresh()
    text = drawn.getvalue()
    rows = [line.strip("│ ") for line in text.splitlines()]
    for start in (
        "training accuracy  0.25",
        "signal             1.00 of responses",
        "entropy            0.50 nats",
        "length             20 tokens, 10% cut",
        "a response         ·[2J",
    ):
        assert any(row.startswith(start) for row in rows), (start, rows)
    assert "step 3 of 12" in text
    assert "[bold red]markup[/]" in text  # shown, not obeyed
    for forbidden in ("\x1b[2J", "\x1b]0;", "\x07", "\u202e", "\x9b", "\x00"):
        assert forbidden not in text


def test_time_left_is_the_median_of_the_last_nine_steps() -> None:
    eta = Eta()
    assert eta.left(1, 11, metrics(step_time=100.0)) == 1000.0  # the first step pays for warming up
    for step in range(2, 11):
        left = eta.left(step, 11, metrics(step_time=2.0))
    assert left == 2.0


def test_durations_and_sparks() -> None:
    assert [duration(s) for s in (0, 5.4, 65, 3599.6, 7384)] == ["0:00", "0:05", "1:05", "1:00:00", "2:03:04"]
    assert spark([0.0, 0.5, 1.0]) == "▁▅█"
