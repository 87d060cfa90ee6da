from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.errors import UsageError
from oneshot.measure.repeated import mean_score
from oneshot.measure.scores import answered, detectable_unpaired, summary
from oneshot.measure.statistics import Interval, detectable, wilson
from oneshot.types import EvalRow


def row(key: str, answer: str | None = "4", *, sample: int = 0, category: str = "add", **changes: Any) -> EvalRow:
    """A response that gives an answer; 4 is right."""
    meta = changes.pop("meta", {})
    made = EvalRow(
        id=key,
        category=category,
        prompt=f"{key}: 2+2?",
        answer="4",
        response="I do not know" if answer is None else f"It is \\boxed{{{answer}}}.",
        extracted=answer,
        correct=answer == "4",
        status="no_answer" if answer is None else "ok",
        cut=False,
        tokens=5,
        sample=sample,
        meta={"boxed": answer == "4", "lenient": answer == "4", "repeated": False, **meta},
    )
    return replace(made, **changes)


def rows_of(*problems: str) -> list[EvalRow]:
    """One string a problem, one letter a response: 4 right, another digit wrong, - no answer."""
    return [
        row(f"p{i}", None if answer == "-" else answer, sample=j)
        for i, answers in enumerate(problems)
        for j, answer in enumerate(answers)
    ]


def test_one_response_a_problem_has_the_numbers_it_always_had() -> None:
    rows = [*rows_of("4", "4", "5", "-"), row("last", "4", category="mul", cut=True, tokens=10)]
    told = summary(rows)
    plain = wilson(3, 5)
    assert (told["correct"], told["n"], told["responses"], told["samples"]) == (3, 5, 5, 1)
    assert (told["value"], told["ci_low"], told["ci_high"]) == (3 / 5, plain.low, plain.high)
    assert (told["method"], told["level"]) == ("wilson", 0.95)
    assert (told["found"], told["cut"], told["boxed"], told["in_box"]) == (4 / 5, 1 / 5, 3 / 5, 4 / 5)
    assert (told["mean_tokens"], told["median_tokens"]) == (6, 5)
    assert told["statuses"] == {"ok": 4, "no_answer": 1}
    assert list(told["categories"]) == ["add", "mul"]
    add = wilson(2, 4)
    assert told["categories"]["add"] == {
        "correct": 2,
        "responses": 4,
        "n": 4,
        "value": 0.5,
        "ci_low": add.low,
        "ci_high": add.high,
    }
    assert told["pass_at_k"] == {"1": {"estimate": 3 / 5, "ci_low": plain.low, "ci_high": plain.high}}
    assert told["maj_at_k"] == {}
    assert told["one_problem"] == 0.2
    assert "most_samples" not in told and "levels" not in told and "forced" not in told
    json.dumps(told, allow_nan=False)


def test_several_responses_by_hand() -> None:
    told = summary(rows_of("4444", "4455", "45-6", "----"))
    assert (told["correct"], told["responses"], told["n"], told["samples"]) == (7, 16, 4, 4)
    assert told["value"] == pytest.approx((1 + 0.5 + 0.25 + 0) / 4)
    expected = mean_score([1, 0.5, 0.25, 0], 4)
    assert (told["ci_low"], told["ci_high"], told["method"]) == (expected.low, expected.high, "wilson, n_eff")
    assert list(told["pass_at_k"]) == ["1", "2", "3", "4"]
    assert told["pass_at_k"]["1"]["estimate"] == pytest.approx(told["value"])
    assert told["pass_at_k"]["2"]["estimate"] == pytest.approx((1 + 5 / 6 + 3 / 6 + 0) / 4)
    assert told["pass_at_k"]["4"]["estimate"] == pytest.approx(3 / 4)
    assert list(told["maj_at_k"]) == ["1", "2", "4"]
    assert told["maj_at_k"]["1"]["estimate"] == pytest.approx(told["value"])
    assert told["maj_at_k"]["4"]["estimate"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 0) / 4)
    assert told["found"] == 11 / 16


def test_problems_weigh_the_same_however_many_responses_they_have() -> None:
    told = summary(rows_of("4", "5555"))
    assert told["value"] == 0.5
    assert (told["samples"], told["most_samples"]) == (1, 4)
    assert list(told["pass_at_k"]) == ["1"]


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=12), st.randoms())
def test_order_of_rows_changes_nothing(grades: list[list[bool]], random: Any) -> None:
    rows = rows_of(*("".join("4" if right else "5" for right in problem) for problem in grades))
    mixed = list(rows)
    random.shuffle(mixed)
    first, second = summary(rows), summary(mixed)
    for key in ("value", "ci_low", "ci_high", "correct", "found", "mean_tokens"):
        assert first[key] == pytest.approx(second[key])
    assert first["pass_at_k"].keys() == second["pass_at_k"].keys()
    assert first["maj_at_k"]["3"]["estimate"] == pytest.approx(second["maj_at_k"]["3"]["estimate"])


def test_stricter_and_more_lenient_grades() -> None:
    rows = [
        row("a", "4", meta={"boxed": False, "forced": True}),
        row("b", "5", meta={"lenient": True, "forced": True}),
        row("c", "5", meta={"forced": False}),
        row("d", "4", meta={"forced": True}),
    ]
    told = summary(rows)
    assert told["value"] == 0.5
    assert told["strict"]["value"] == 0.25 == told["boxed"]
    assert told["lenient"]["value"] == 0.75
    assert told["forced"] == {"value": 0.75, "ci_low": wilson(3, 4).low, "ci_high": wilson(3, 4).high}
    partly = summary([*rows, row("e")])
    assert "forced" not in partly and "strict" in partly


def test_floor_and_room() -> None:
    near, far = rows_of(*"4555" * 10), rows_of(*"4445" * 10)
    assert summary(near, floor=0.25)["room"] is False
    assert summary(far, floor=0.25)["room"] is True
    assert summary(near)["room"] is True
    assert summary(rows_of("5", "5"))["room"] is False, "none right: the interval starts at 0, which is the floor"
    assert summary(rows_of(*"5" * 60), floor=0.25)["room"] is True, "below chance is not at it"


def test_levels_are_in_their_order() -> None:
    rows = [row(f"p{level}", "4" if level < 3 else "5", meta={"level": level}) for level in (10, 2, 1, 3)]
    levels = summary([*rows, row("none")], level_key="level")["levels"]
    assert list(levels) == ["1", "2", "3", "10", ""]
    assert (levels["2"]["value"], levels["10"]["value"], levels["3"]["n"]) == (1.0, 0.0, 1)


def test_shares_of_responses_that_went_wrong() -> None:
    loop, question = "It is 4. " + "so it is 4. " * 20, "It is 4.\n\nQuestion: what is 3+3?"
    rows = [
        row("a", response=loop, meta={"repeated": True}),
        row("b", response=loop, meta={"repeated": False}),  # what was recorded when it was sampled counts
        row("c", response=question, extracted="", status="empty"),
        row("d", response="It is \\boxed{}."),
    ]
    told = summary(rows)
    assert (told["repeated"], told["run_on"], told["empty"], told["in_box"]) == (0.25, 0.25, 0.25, 0)
    unrecorded = [replace(r, meta={}) for r in rows]
    assert summary(unrecorded)["repeated"] == 0.5
    assert summary(unrecorded)["boxed"] is None, "nothing was graded strictly"
    assert summary([rows[0], unrecorded[1]])["boxed"] is None


def test_a_users_score_is_an_answer_that_cannot_vote() -> None:
    scored = [row("a", None, sample=i, correct=True, meta={"score": 1.0}) for i in range(2)]
    assert answered(scored[0]) and not answered(row("b", None)) and answered(row("c", ""))
    assert answered(row("d", None, correct=True)), "what is right was found"
    told = summary(scored)
    assert (told["found"], told["maj_at_k"]) == (1.0, {})
    assert told["pass_at_k"]["2"]["estimate"] == 1.0


def test_votes_use_the_equivalence_given() -> None:
    rows = [
        *(row("a", answer, sample=i, correct=answer != "7") for i, answer in enumerate([".5", ".50", "7", "7", "1/2"]))
    ]
    assert summary(rows)["maj_at_k"]["5"]["estimate"] == 0.0
    told = summary(rows, same=lambda a, b: "7" not in (a, b))
    assert told["maj_at_k"]["5"]["estimate"] == 1.0


def test_asked_for_ks() -> None:
    rows = rows_of("4455", "4555")
    told = summary(rows, ks=[1, 3])
    assert list(told["pass_at_k"]) == list(told["maj_at_k"]) == ["1", "3"]
    with pytest.raises(UsageError, match="there are 4"):
        summary(rows, ks=[8])
    many = summary([row("p", sample=i) for i in range(100)])
    assert list(many["pass_at_k"]) == ["1", "2", "4", "8", "16", "32", "64", "100"]


def test_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="no response"):
        summary([])


def test_detectable_unpaired() -> None:
    """0 of 30 needs 25 points; half widths of independent intervals said 11.5."""
    assert detectable_unpaired(wilson(0, 30)) == detectable(0, 0, 30) > 0.25
    assert detectable_unpaired(mean_score([0.0] * 30, 8)) == detectable(0, 0, 30)
    assert detectable_unpaired(wilson(250, 500)) == pytest.approx(0.0901, abs=1e-4)
    assert detectable_unpaired(Interval(estimate=0.5, low=0.0, high=1.0, n=1, method="wilson")) == 1.0
