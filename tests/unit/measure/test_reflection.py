"""What counts as a word of self-reflection, and how its shares are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oneshot.measure.reflection import REFLECTION, by_word, cleaned, count, of_rows, per_1000
from oneshot.measure.statistics import wilson
from tests.unit.measure.recorded import rows

COUNTED = [
    ("Let me recheck.", "recheck"),
    ("RECHECK it", "recheck"),
    ("We re-check the sum", "recheck"),
    ("Re\u2011checking: 4", "recheck"),
    ("rechecked, and rechecks", "recheck"),
    ("I rethink, rethinking", "rethink"),
    ("so recalculate", "recalculate"),
    ("Recalculating gives 4", "recalculate"),
    ("recalculated\nrecalculates", "recalculate"),
    ("a recalculation, recalculations", "recalculate"),
    (r"\text{recheck}", "recheck"),
]
NOT = ["check", "rechecker", "prerecheck", "think", "rethought", "recalculator", "re check", "calculate", ""]


@pytest.mark.parametrize(("text", "word"), COUNTED)
def test_words_that_count(text: str, word: str) -> None:
    seen = count(text, REFLECTION)
    assert seen.any and seen.counts[REFLECTION.index(word)] > 0
    assert sum(n > 0 for n in seen.counts) == 1


@pytest.mark.parametrize("text", NOT)
def test_words_that_do_not(text: str) -> None:
    assert not count(text, REFLECTION).any


def test_occurrences() -> None:
    assert count("Recheck. Rechecking, re-checked; rethink!", REFLECTION).counts == (1, 3, 0)


def test_words_of_ones_own() -> None:
    words = cleaned(["Wait", " let me  check ", "", "wait", "c++", "重新"])
    assert words == ("wait", "let me  check", "c++", "重新")
    seen = count("Wait, waiting... Let me\ncheck: a waiter knows C++. 我们重新算。", words)
    assert seen.counts == (2, 1, 1, 1)
    assert cleaned([]) == () and not count("recheck", ()).any


def test_shares_of_an_evaluation_by_hand() -> None:
    graded = rows("0000")
    texts = ["I recheck and recheck.", "so 2", "Recalculating, rethink", "2"]
    found = of_rows([replace(row, response=text) for row, text in zip(graded, texts, strict=True)], REFLECTION)
    assert (found["responses"], found["with_words"], found["n"], found["share"]) == (4, 2, 4, 0.5)
    assert (found["ci_low"], found["ci_high"]) == (wilson(2, 4).low, wilson(2, 4).high)
    assert found["per_1000_tokens"] == 100  # four occurrences in 40 tokens
    assert found["by_word"] == {
        "rethink": {"responses": 1, "count": 1},
        "recheck": {"responses": 1, "count": 2},
        "recalculate": {"responses": 1, "count": 1},
    }


def test_none_of_n_has_an_upper_limit_and_samples_of_a_problem_are_no_problems() -> None:
    none = of_rows(rows("0" * 30), REFLECTION)
    assert (none["share"], none["ci_low"]) == (0, 0) and none["ci_high"] == pytest.approx(0.1135, abs=1e-4)
    sampled = of_rows(rows(["0000"] * 30), REFLECTION)
    assert (sampled["responses"], sampled["n"]) == (120, 30) and sampled["ci_high"] >= none["ci_high"]


def test_nothing() -> None:
    assert per_1000(0, 0) is None and by_word([], ["a"]) == {"a": {"responses": 0, "count": 0}}
