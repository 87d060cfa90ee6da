"""How answers are shown while they are made, and that none acts on the terminal."""

from __future__ import annotations

import io
from contextlib import suppress

import pytest
from rich.console import Console

from oneshot.stages.serving.chat_show import Columns, Lines, shown
from oneshot.types import Completion


def made(text: str, *, finished: bool = True, tokens: int = 3) -> Completion:
    return Completion(tokens=(1,) * tokens, logprobs=(), text=text, finished=finished)


def console(width: int, *, terminal: bool = True) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, height=20, highlight=False)


def said(one: Console) -> str:
    assert isinstance(one.file, io.StringIO)
    return one.file.getvalue()


def test_lines_print_each_piece_once(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines(["base", "trained"]) as show:
        for text in ("a", "a\x1b[2J", "a\x1b[2J!"):
            show.tell("base", text)
        show.done("base", made("a\x1b[2J!"))
        show.done("trained", made("b", finished=False, tokens=1))
    out, err = capsys.readouterr()
    assert out == "base:\na⟨ESC⟩[2J!\ntrained:\nb\n"
    assert err == "[3 tokens]\n\n[1 token, cut at the limit]\n\n"


def test_a_text_that_changes_is_printed_as_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines(["m"]) as show:
        show.tell("m", "ab")
        show.tell("m", "aX")
        show.done("m", made("aX!"))
    assert capsys.readouterr().out == "ab\naX!\n"


def test_a_stopped_answer_ends_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    with suppress(KeyboardInterrupt), Lines(["m"]) as show:
        show.tell("m", "half")
        raise KeyboardInterrupt
    assert capsys.readouterr().out == "half\n"


def test_columns_show_both_and_leave_them() -> None:
    wide = console(120)
    with Columns(["base", "trained"], wide) as show:
        show.tell("base", "first\x1b]0;title\x07")
        show.done("base", made("first\x1b]0;title\x07"))
        show.done("trained", made("second"))
    last = said(wide).splitlines()[-4:]
    assert any("base" in line and "trained" in line for line in last)
    assert any("first⟨ESC⟩]0;title⟨BEL⟩" in line and "second" in line for line in last)
    assert any("3 tokens" in line for line in last)
    assert "\x1b]" not in said(wide)


def test_a_long_answer_grows_at_its_end_and_is_whole_afterwards() -> None:
    wide = console(120)
    text = "start " + "word " * 2000 + "end"
    with Columns(["base", "trained"], wide) as show:
        show.tell("base", text)
        assert "end" in said(wide)
        assert "start" not in said(wide)
    assert "start" in said(wide)


def test_columns_need_room_two_models_and_a_terminal() -> None:
    both = ["base", "trained"]
    assert isinstance(shown(both, console(100), plain=False), Columns)
    assert isinstance(shown(both, console(99), plain=False), Lines)
    assert isinstance(shown(both, console(100), plain=True), Lines)
    assert isinstance(shown(both, console(100, terminal=False), plain=False), Lines)
    assert isinstance(shown(["model"], console(100), plain=False), Lines)
