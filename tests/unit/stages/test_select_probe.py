"""A probe's findings as rows of `oneshot select`."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from oneshot.measure.selection import answer_entropy
from oneshot.stages.probing.probing import Found, PoolProbe
from oneshot.stages.select import Asked, Selected
from oneshot.stages.selecting.candidates import Candidate
from oneshot.stages.selecting.notes import of_picks
from oneshot.stages.selecting.probe import selected
from oneshot.stages.selecting.table import table
from oneshot.types import Problem


def asked(score: str) -> Asked:
    return Asked(
        pool="p", score=score, source="probe", value="8", top=1, out=Path("x"), redraws=0, allow_ragged=False
    )  # fmt: skip


def problem(number: int) -> Problem:
    return Problem(id=str(number), prompt=f"{number}?", answer="1")


def ranked(score: str, *, said: bool = False) -> Selected:
    pool = [Candidate(index=10 + i, id=str(i), problem=problem(i)) for i in range(3)]
    found = [
        Found(
            rank=1, index=2, problem=problem(2), successes=4, samples=8, answers={}, tie_first=1, tie_last=2,
            fresh_successes=24, fresh_samples=32, fresh_answers={"1": 24, "2": 8},
        ),
        Found(rank=2, index=0, problem=problem(0), successes=4, samples=8, answers={}, tie_first=1, tie_last=2),
        Found(rank=3, index=1, problem=problem(1), successes=0, samples=0, answers={}, tie_first=3, tie_last=3),
    ]  # fmt: skip
    probe = PoolProbe(ranked=found, samples=16, fresh=32, reused=8, decided=False, warnings=("careful",))
    return selected(asked(score), pool, probe, said=said)


def test_the_shown_rate_comes_from_fresh_samples() -> None:
    """The pick was chosen at 4 of 8; fresh samples say 24 of 32."""
    first, second, last = ranked("distance-to-half").choices
    assert [choice.candidate.index for choice in (first, second, last)] == [12, 10, 11]
    assert (first.mean, first.score, first.visits) == (0.75, 0.25, 1)
    assert (first.low, first.high) == pytest.approx((0.57892 - 0.5, 0.86751 - 0.5), abs=1e-4)  # Wilson, 24 of 32
    assert (first.fresh, second.fresh, second.mean) == (32, 0, 0.5)
    assert math.isnan(second.score) and math.isnan(second.low), "its rate is the one it was chosen by"
    assert (second.tie_first, second.tie_last) == (1, 2)
    assert (last.visits, math.isnan(last.score), math.isnan(last.mean), math.isnan(last.low)) == (0, True, True, True)


def test_by_mean_accuracy_the_score_is_the_rate() -> None:
    first, *_ = ranked("mean-accuracy").choices
    assert first.score == first.mean == 0.75
    assert (first.low, first.high) == pytest.approx((0.57892, 0.86751), abs=1e-4)


def test_what_is_said_of_a_probe() -> None:
    found = ranked("distance-to-half")
    assert found.facts["probe"] == {"samples": 16, "fresh": 32, "reused": 8, "decided": False}
    assert any("ran out before the picks were clear" in note for note in found.notes)
    assert "careful" in found.notes
    assert "careful" not in ranked("distance-to-half", said=True).notes


def test_scores_of_answers_are_of_fresh_samples_too() -> None:
    first, second, _ = ranked("answer-entropy").choices
    assert first.score == answer_entropy({"1": 24, "2": 8})
    assert first.low < first.score < first.high
    assert math.isnan(second.score)
    assert ranked("distinct-answers").choices[0].score == 2 / 32


def test_what_has_no_fresh_samples_is_marked() -> None:
    choices = ranked("distance-to-half").choices
    first, second = table(choices)[1:3]
    assert "0.750 " in first and "~" not in first
    assert "0.500~" in second
    assert [choice.told()["fresh_samples"] for choice in choices] == [32, 0, 0]
    (said,) = [note for note in of_picks(choices, [], "math", top=0) if "fresh samples" in note]
    assert said.startswith("1 rows have no fresh samples and so no score")


def test_an_even_probe_does_not_say_that_its_samples_ran_out() -> None:
    pool = [Candidate(index=0, id="0", problem=problem(0))]
    found = Found(rank=1, index=0, problem=problem(0), successes=1, samples=2, answers={}, tie_first=1, tie_last=1)
    even = PoolProbe(ranked=[found], samples=2, fresh=0, reused=0, decided=None, warnings=())
    notes = selected(asked("answer-entropy"), pool, even).notes
    assert not any("ran out" in note for note in notes)
