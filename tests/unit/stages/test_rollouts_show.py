"""How recorded responses are drawn: marked, shortened, and never obeyed."""

from __future__ import annotations

from typing import Any

import pytest

from oneshot.stages.watching.rollouts_read import Response
from oneshot.stages.watching.rollouts_show import beside, body, listing, shortened
from tests.unit.stages.watching import FORBIDDEN, HOSTILE, drawn, flat


def response(**changed: Any) -> Response:
    values: dict[str, Any] = {
        "where": "step 1", "place": "group 0, sample 0", "id": "e", "prompt": "2 + 3?", "answer": "5",
        "text": "So 5, and again 5.", "extracted": "5", "correct": True, "status": "ok", "reward": 1.0, "tokens": 9,
        "cut": False,
    }  # fmt: skip
    return Response(**(values | changed))


def test_the_extracted_answer_is_marked_where_it_stands_last() -> None:
    (span,) = body(response(), full=True).spans
    assert (span.start, span.end) == (16, 17)
    assert body(response(extracted=None), full=True).spans == []
    assert body(response(extracted="6"), full=True).spans == []  # the grader read it in another form


def test_a_reward_that_is_not_the_grade_is_said() -> None:
    (_, _, _, plain, _) = list(listing([response()], full=False))
    assert "paid" not in flat(drawn(plain))
    assert "right group 0, sample 0 9 tokens paid 0" in flat(
        drawn(list(listing([response(reward=0.0)], full=False))[3])
    )


@pytest.mark.parametrize("full", [False, True])
def test_no_response_acts(full: bool) -> None:
    bad = response(
        text=HOSTILE * 40, prompt=HOSTILE, answer=HOSTILE, extracted=HOSTILE, id=HOSTILE, status=HOSTILE, correct=False,
        where=f"{HOSTILE}, {HOSTILE}", place=f"group {HOSTILE}, sample {HOSTILE}",
    )  # fmt: skip
    parts = [
        *listing([bad], full=full),
        *beside(bad, bad, full=full, width=120),
        *beside(bad, bad, full=full, width=60),
    ]
    for part in parts:
        for text in (drawn(part), drawn(part, colour=True)):
            assert not [character for character in FORBIDDEN if character in text]
    assert "[bold red]markup[/] :smile:" in flat(drawn(parts[-1], 400))


def test_a_shortened_text_says_so_and_keeps_both_ends() -> None:
    text = "a" * 300 + "b" * 300
    shown = shortened(text, 100)
    assert shown.startswith("a" * 50 + " […500 characters…] ")
    assert shown.endswith("b" * 50)
    assert shortened(text, 600) == shortened(text, 570) == text
