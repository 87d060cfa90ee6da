"""Paired differences, states and decompositions where a problem has several samples on either side."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from oneshot.errors import UsageError
from oneshot.measure.decompose import STATES, decomposition, operation_table, outcome_states, share, transitions
from oneshot.measure.gains import by_category, is_right, overall, paired
from oneshot.measure.pairing import matched, matched_problems, tally
from oneshot.measure.repeated import mean_score
from oneshot.types import EvalRow


def row(key: str, kind: str, sample: int = 0, category: str = "add") -> EvalRow:
    """A response of one kind: `1` right, `0` wrong, `n` no answer, `c` cut."""
    return EvalRow(
        id=key,
        category=category,
        prompt=f"{key}: 2 + 5?",
        answer="7",
        response="...",
        extracted="7" if kind in "10" else None,
        correct=kind == "1",
        status="ok",
        cut=kind == "c",
        tokens=3,
        sample=sample,
    )


def rows(*problems: str, category: str = "add") -> list[EvalRow]:
    """A word a problem, a character a sample."""
    return [
        row(f"{category}{i}", kind, sample, category)
        for i, word in enumerate(problems)
        for sample, kind in enumerate(word)
    ]


THREE = st.text("10nc", min_size=3, max_size=3)
WORDS = st.lists(st.tuples(THREE, THREE), min_size=2, max_size=30)


def test_paired_by_hand_and_by_scipy() -> None:
    # Means 0, 1/2, 1, 1/2 before; 1, 1/2, 1/2, 1 after: differences 1, 0, -1/2, 1/2.
    result = paired(rows("00", "10", "11", "01"), rows("11", "01", "10", "11"))
    assert (result.n, result.samples, result.method) == (4, 2, "t")
    assert (result.base, result.trained, result.estimate) == (0.5, 0.75, 0.25)
    assert (result.gained, result.lost) == (2, 1)
    sd = math.sqrt(((0.75) ** 2 + 0.25**2 + 0.75**2 + 0.25**2) / 3)
    assert result.se == pytest.approx(sd / 2)
    half = student.ppf(0.975, 3) * sd / 2
    assert (result.ci_low, result.ci_high) == pytest.approx((max(-1, 0.25 - half), min(1, 0.25 + half)))
    # Signs of 1, 1/2, 1/2 (in halves 2, 1, 1): |sum| >= 2 for 6 of the 8 patterns.
    assert result.p_value == pytest.approx(6 / 8)
    assert result.badge == "inconclusive"
    json.dumps(result.as_dict(), allow_nan=False)


def test_unequal_numbers_of_samples() -> None:
    # Greedy before, three samples after, four of one problem: 1/3 - 0, 3/4 - 1, 2/3 - 0.
    result = paired(rows("0", "1", "0"), rows("100", "1101", "110"))
    assert result.estimate == pytest.approx((1 / 3 - 1 / 4 + 2 / 3) / 3)
    assert (result.samples, result.gained, result.lost) == (4, 2, 1)


def test_one_sample_keeps_its_own_interval() -> None:
    result = paired(rows("0", "1"), rows("1", "1"))
    assert (result.samples, result.method) == (1, "bonett-price")


def test_one_problem_says_nothing() -> None:
    result = paired(rows("0000"), rows("1111"))
    assert (result.estimate, result.ci_low, result.ci_high, result.badge) == (1, -1, 1, "inconclusive")


def test_no_change_at_all_is_no_certainty() -> None:
    base = rows(*["00"] * 100)
    result = paired(base, base)
    assert result.ci_low == pytest.approx(-result.ci_high) and result.ci_high > 0.01
    assert (result.p_value, result.gained, result.lost) == (1, 0, 0)
    assert result.detectable > 0.01


@given(WORDS)
def test_swapping_flips_every_sign(words: list[tuple[str, str]]) -> None:
    base, trained = rows(*(a for a, _ in words)), rows(*(b for _, b in words))
    there, back = paired(base, trained), paired(trained, base)
    assert (there.estimate, there.ci_low, there.ci_high) == pytest.approx((-back.estimate, -back.ci_high, -back.ci_low))
    assert (there.gained, there.lost) == (back.lost, back.gained)
    assert there.p_value == pytest.approx(back.p_value)
    assert there.estimate == pytest.approx(there.trained - there.base)


@given(WORDS)
def test_the_order_of_rows_does_not_matter(words: list[tuple[str, str]]) -> None:
    base, trained = rows(*(a for a, _ in words)), rows(*(b for _, b in words))
    shuffled = random.Random(0).sample(trained, len(trained))
    assert paired(base, shuffled) == paired(base, trained)
    assert transitions(base, shuffled) == transitions(base, trained)


def test_paired_is_narrower_than_unpaired_on_correlated_samples() -> None:
    """Problems of unequal difficulty, 8 samples each, and a model that is .05 better on every one of them."""
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(20):
        chance = rng.beta(0.5, 1.0, size=60) * 0.95
        grades = [rng.random((60, 8)) < rate[:, None] for rate in (chance, chance + 0.05)]
        base, trained = (rows(*("".join("01"[int(g)] for g in line) for line in side)) for side in grades)
        pair = paired(base, trained)
        alone = [mean_score(list(side.mean(axis=1)), 8).se for side in grades]
        unpaired = 2 * student.ppf(0.975, 118) * math.hypot(*alone)
        ratios.append((pair.ci_high - pair.ci_low) / unpaired)
    assert max(ratios) < 0.8
    assert fmean(ratios) < 0.5


def test_overall_and_categories_take_several_samples() -> None:
    base = [*rows("00", "00", "10", category="add"), *rows("11", "10", category="mul")]
    trained = [*rows("11", "10", "11", category="add"), *rows("10", "10", category="mul")]
    kinds = by_category(base, trained)
    assert (kinds["add"].estimate, kinds["mul"].estimate) == pytest.approx((2 / 3, -0.25))
    result = overall(base, trained)
    assert result.estimate == pytest.approx((2 / 3 - 0.25) / 2)
    assert result.se == pytest.approx(math.hypot(kinds["add"].se, kinds["mul"].se) / 2)
    assert (result.n, result.samples, result.method) == (5, 2, "macro average of 2")


# Pairs of samples


def test_sample_i_is_paired_with_sample_i_where_both_have_it() -> None:
    base, trained = rows("01", "1"), rows("110", "01")
    pairs = [(a.id, a.sample, b.sample) for a, b in matched(base, trained[::-1])]
    assert pairs == [("add0", 0, 0), ("add0", 1, 1), ("add1", 0, 0)]
    later = [replace(item, sample=item.sample + 5) for item in trained]
    assert len(matched(base, later)) == 3  # no number in common: in their order


@pytest.mark.parametrize(
    ("base", "trained", "says"),
    [
        ([row("a", "1", 3), row("a", "0", 3)], [row("a", "1")], "sample 3 of problem 'a' occurs more than once"),
        (rows("1", "1"), rows("1"), "1 in the base evaluation only"),
        (rows("1"), rows("1", "0"), "1 in the trained evaluation only"),
        ([row("a", "1"), replace(row("a", "1", 1), answer="8")], [row("a", "1")], "another reference answer"),
    ],
)  # fmt: skip
def test_unpairable_samples_are_refused(base: list[EvalRow], trained: list[EvalRow], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        matched_problems(base, trained)
    assert caught.value.code == "E103"


def test_tally_gives_every_problem_the_weight_1() -> None:
    assert tally([("a", "x"), ("a", "y"), ("a", "y"), ("b", "x")]) == pytest.approx({"x": 4 / 3, "y": 2 / 3})
    whole = tally([("a", "x"), ("b", "x")])
    assert whole == {"x": 2} and isinstance(whole["x"], int)
    assert tally([]) == {}


# States, transitions, decompositions


def test_states_and_transitions_by_hand() -> None:
    base, trained = rows("cn", "10", "cccc"), rows("11", "11", "1ccn")
    assert outcome_states(base) == {"cut": 1.5, "none": 0.5, "wrong": 0.5, "right": 0.5}
    table = transitions(base, trained)
    assert table["cut"] == {"cut": 0.5, "none": 0.25, "wrong": 0, "right": 0.75}
    assert table["none"]["right"] == table["wrong"]["right"] == table["right"]["right"] == 0.5
    assert sum(sum(after.values()) for after in table.values()) == 3


@given(WORDS)
def test_margins_are_the_states_and_sum_to_the_problems(words: list[tuple[str, str]]) -> None:
    base, trained = rows(*(a for a, _ in words)), rows(*(b for _, b in words))
    table = transitions(base, trained)
    assert {s: sum(table[s].values()) for s in STATES} == pytest.approx(outcome_states(base))
    assert {s: sum(table[b][s] for b in STATES) for s in STATES} == pytest.approx(outcome_states(trained))
    assert sum(outcome_states(base).values()) == pytest.approx(len(words))


def test_whole_numbers_with_one_sample() -> None:
    states = outcome_states(rows("1", "c", "n"))
    assert all(isinstance(count, int) for count in states.values())


def test_decomposition_by_hand() -> None:
    # Found 3/4 and 0 of the samples, right 1/2 and 0: f = 3/8, a = (1/4)/(3/8) = 2/3. After: f = 1, a = 3/4.
    result = decomposition(rows("110n", "ccnn"), rows("1111", "1100"))
    f, a = result.parts["found"], result.parts["right_given_found"]
    assert (f.base, f.trained, a.base, a.trained) == pytest.approx((3 / 8, 1, 2 / 3, 3 / 4))
    assert (f.effect, a.effect) == pytest.approx((17 / 24 * 5 / 8, 11 / 16 * 1 / 12))
    assert (result.base, result.trained, result.change, result.n) == (0.25, 0.75, 0.5, 2)
    assert f.effect + a.effect == pytest.approx(result.change)


def test_a_problem_with_more_samples_weighs_no_more() -> None:
    few, many = rows("1", "0"), rows("1111", "0")
    trained = rows("1", "1")
    assert decomposition(many, trained) == decomposition(few, trained)
    assert outcome_states(many) == {"cut": 0, "none": 0, "wrong": 1.0, "right": 1.0}
    assert share(many, is_right).estimate == share(few, is_right).estimate == 0.5
    assert share(many, is_right).n == 2


def test_operation_table_counts_problems() -> None:
    counts = operation_table(rows("10", "nn"), rows("11", "10"))["all"]
    assert (counts["base"]["right"], counts["base"]["other"], counts["base"]["none"]) == (0.5, 0.5, 1.0)
    assert counts["trained"]["right"] == 1.5
