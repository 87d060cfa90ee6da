"""Two evaluations to a summary: its keys, its numbers, and the words of its headline."""

from __future__ import annotations

from typing import Any

import pytest

from oneshot.stages import say
from oneshot.stages.training.summary import headline, limits, points, summarise
from oneshot.types import EvalRow
from tests.unit.stages.parts import row

KEYS = {
    "paired",
    "overall",
    "ladder",
    "categories",
    "operations",
    "decomposition",
    "transitions",
    "boxed",
    "training_limit",
    "found",
    "cut",
}
PAIR = {"estimate", "ci_low", "ci_high", "n", "base", "trained", "gained", "lost", "p_value", "badge"}


def rows(right_own: int, right_other: int, *, own: int = 40, other: int = 20) -> list[EvalRow]:
    """`own` problems of the example's kind (half in new wordings) and `other` of another, the first ones right."""
    made = []
    for i in range(own):
        rungs = ["own_kind", "new_wording" if i % 2 else "same_wording"]
        kind = "right" if i < right_own else "a+b"
        made.append(
            row(
                i, correct=i < right_own, category="mul_word", rungs=rungs, answer_class=kind, operation="axb",
                boxed=i == 0 and right_own > 0, correct_short=i < right_own // 2,
            )
        )  # fmt: skip
    for i in range(other):
        right = i < right_other
        answered = {"answer_class": "right" if right else "axb", "operation": "a+b"}
        made.append(row(i, correct=right, category="add_word", rungs=["other_kinds"], **answered))
    return made


def test_keys_and_numbers_of_a_demo_like_summary() -> None:
    summary = summarise(rows(10, 15), rows(30, 5), own="mul_word")
    assert summary.keys() >= KEYS
    assert summary["paired"].keys() >= PAIR
    assert list(summary["ladder"]) == ["same_wording", "new_wording", "own_kind", "other_kinds"]
    assert summary["paired"] == summary["ladder"]["own_kind"]
    assert (summary["paired"]["n"], summary["paired"]["gained"], summary["paired"]["lost"]) == (40, 20, 0)
    assert (summary["paired"]["base"], summary["paired"]["trained"]) == (0.25, 0.75)
    assert summary["paired"]["estimate"] == 0.5
    assert summary["paired"]["badge"] == "supported"
    assert summary["categories"]["add_word"]["estimate"] == -0.5
    assert summary["categories"]["add_word"]["badge"] == "harmed"
    # Equal weight: (.5 - .5) / 2, though own kind has twice as many problems.
    assert summary["overall"]["estimate"] == 0
    assert summary["overall"]["badge"] == "inconclusive"
    assert summary["training_limit"]["base"] == 5 / 40
    assert summary["training_limit"]["trained"] == 15 / 40
    assert summary["boxed"] == {"base": 1 / 60, "trained": 1 / 60}
    assert summary["found"] == {"base": 1.0, "trained": 1.0}
    assert summary["cut"] == {"base": 0.0, "trained": 0.0}
    assert summary["operations"]["own"]["base"]["a+b"] == 30
    assert summary["operations"]["own"]["trained"]["a+b"] == 10
    assert summary["transitions"]["wrong"]["right"] == 20
    assert summary["decomposition"]["change"] == 0.5


def test_without_a_kind_the_headline_is_all_problems_and_there_is_no_ladder() -> None:
    base = [row(i, correct=i < 5) for i in range(20)]
    trained = [row(i, correct=i < 6) for i in range(20)]
    summary = summarise(base, trained)
    assert summary["ladder"] == {}
    assert "operations" not in summary
    assert (summary["paired"]["n"], summary["paired"]["gained"]) == (20, 1)
    assert summary["overall"] == summary["paired"]


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (30, "learned this kind of problem (multiplication)"),
        (0, "got worse at this kind of problem (multiplication)"),
        (12, "shows no reliable change on this kind of problem (multiplication)"),
    ],
)
def test_the_words_for_gain_loss_and_neither(after: int, words: str) -> None:
    said = headline(summarise(rows(10, 10), rows(after, 10), own="mul_word"), "multiplication")
    assert words in said
    assert "25.0% to" in said
    assert "on 40 held-out problems" in said
    assert "reason" not in said


@pytest.mark.parametrize(("after", "word"), [(20, "better"), (0, "worse"), (10, "not reliably changed")])
def test_damage_elsewhere_stands_in_the_headline_like_a_gain(after: int, word: str) -> None:
    said = headline(summarise(rows(10, 10), rows(10, after), own="mul_word"), "multiplication")
    assert f"Over all kinds with equal weight it is {word}:" in said


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (30, "got better at the 40 held-out problems: 25.0% to 75.0%, paired difference +50.0 points"),
        (0, "got worse at the 40 held-out problems: 25.0% to 0.0%, paired difference -25.0 points"),
        (12, "shows no reliable change on the 40 held-out problems: 25.0% to 30.0%"),
    ],
)
def test_the_headline_for_problems_of_a_file_claims_no_kind(after: int, words: str) -> None:
    base, trained = ([row(i, correct=i < right) for i in range(40)] for right in (10, after))
    said = headline(summarise(base, trained))
    assert words in said
    assert "kind" not in said
    assert "category" not in said  # one category: the mean over categories says nothing more


def test_with_categories_in_the_file_the_mean_over_them_is_said() -> None:
    base, trained = rows(10, 10), rows(20, 10)
    assert "Every category weighing the same, the difference is +12.5 points" in headline(summarise(base, trained))


def test_limits_say_when_the_problems_were_read() -> None:
    summary: dict[str, Any] = summarise(rows(10, 10), rows(30, 10), own="mul_word")
    once, often = (limits(summary, last_step=12, read_during=during) for during in (False, True))
    assert any("step 12" in line and "nothing was chosen" in line for line in once)
    assert any("read during training too" in line for line in often)
    assert any("2.5 points" in line for line in once)  # one of 40
    assert any("not another training seed" in line for line in once)


def test_points() -> None:
    assert [points(v) for v in (0.125, -0.5, 0.0)] == ["+12.5", "-50.0", "+0.0"]


def test_the_table_has_every_rung_and_kind_and_the_mean() -> None:
    summary = summarise(rows(10, 15), rows(30, 5), own="mul_word")
    table = say.table(summary).splitlines()
    named = [line.split()[0] for line in table[1:] if line]
    expected = [*summary["ladder"], "add_word", "mul_word", "overall"]
    assert named == expected
    (own,) = (line for line in table if line.startswith("own_kind"))
    assert "25.0% ->  75.0%" in own
    assert own.endswith("supported")
