from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.errors import UsageError
from oneshot.measure.gains import (
    at_training_limit,
    average,
    badge,
    by_category,
    by_rung,
    ladder,
    overall,
    paired,
    strict_box,
)
from oneshot.types import EvalRow


def row(key: str, correct: bool, category: str = "add", **meta: object) -> EvalRow:
    return EvalRow(
        id=key,
        category=category,
        prompt=f"question {key}",
        answer="7",
        response="It is 7." if correct else "It is 8.",
        extracted="7" if correct else "8",
        correct=correct,
        status="ok",
        cut=False,
        tokens=4,
        meta=meta,
    )


def rows(grades: str, category: str = "add", prefix: str = "") -> list[EvalRow]:
    """One row per character: 1 is right."""
    return [row(f"{prefix or category}{i}", grade == "1", category) for i, grade in enumerate(grades)]


GRADES = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


def pair_of(grades: list[tuple[bool, bool]], category: str = "add") -> tuple[list[EvalRow], list[EvalRow]]:
    base = [row(f"{category}{i}", before, category) for i, (before, _) in enumerate(grades)]
    trained = [row(f"{category}{i}", after, category) for i, (_, after) in enumerate(grades)]
    return base, trained


def test_paired_by_hand() -> None:
    # 6 problems: two gained, one lost, one right twice, two wrong twice.
    result = paired(rows("001100"), rows("110100"))
    assert (result.gained, result.lost, result.n) == (2, 1, 6)
    assert (result.base, result.trained) == pytest.approx((2 / 6, 3 / 6))
    assert result.estimate == pytest.approx(1 / 6)
    assert result.p_value == 1.0  # 2 of 3 flips: 2 * (1 + 3) / 8
    # q = 3/8, r = 2/8: centre 1/8, SE sqrt((5/8 - 1/64)/8) = .275993
    assert (result.ci_low, result.ci_high) == pytest.approx((0.125 - 0.540935, 0.125 + 0.540935), abs=1e-5)
    assert result.badge == "inconclusive"


def test_pairs_by_id_not_by_position() -> None:
    base, trained = rows("0011"), rows("0111")
    assert paired(base, trained[::-1]) == paired(base, trained)


def test_as_dict_has_the_keys_of_the_summary() -> None:
    entry = paired(rows("0" * 20), rows("1" * 20)).as_dict()
    required = {"estimate", "ci_low", "ci_high", "n", "base", "trained", "gained", "lost", "p_value", "badge"}
    assert required <= set(json.loads(json.dumps(entry, allow_nan=False)))
    assert entry["badge"] == "supported"


def test_badges() -> None:
    assert badge(0.01, 0.2) == "supported"
    assert badge(-0.2, -0.01) == "harmed"
    assert badge(0.0, 0.2) == "inconclusive"
    assert badge(-0.2, 0.0) == "inconclusive"


@given(GRADES)
def test_swapping_base_and_trained_flips_every_sign(grades: list[tuple[bool, bool]]) -> None:
    base, trained = pair_of(grades)
    there, back = paired(base, trained), paired(trained, base)
    assert (there.estimate, there.ci_low, there.ci_high) == pytest.approx((-back.estimate, -back.ci_high, -back.ci_low))
    assert (there.gained, there.lost, there.p_value) == (back.lost, back.gained, back.p_value)
    opposite = {"supported": "harmed", "harmed": "supported", "inconclusive": "inconclusive"}
    assert there.badge == opposite[back.badge]


@given(GRADES)
def test_estimate_is_the_difference_of_the_accuracies(grades: list[tuple[bool, bool]]) -> None:
    result = paired(*pair_of(grades))
    assert result.estimate == pytest.approx(result.trained - result.base, abs=1e-12)
    assert result.estimate == pytest.approx((result.gained - result.lost) / result.n)


@pytest.mark.parametrize(
    ("base", "trained", "says"),
    [
        (rows("00"), rows("000"), "different problems"),
        (rows("00"), rows("00", prefix="other"), "different problems"),
        ([], [], "no problem"),
        ([*rows("0"), *rows("1")], rows("0"), "more than once in the base"),
        (rows("0"), [replace(rows("1")[0], answer="9")], "another reference answer"),
    ],
)
def test_unpairable_rows_are_refused(base: list[EvalRow], trained: list[EvalRow], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        paired(base, trained)
    assert caught.value.code == "E103"


def test_other_grades_of_the_same_outputs() -> None:
    base = [row("a", False, correct_short=False, boxed=False), row("b", True, correct_short=False, boxed=False)]
    trained = [row("a", True, correct_short=True, boxed=False), row("b", True, correct_short=True, boxed=True)]
    assert paired(base, trained).gained == 1
    assert paired(base, trained, right=at_training_limit).gained == 2
    assert paired(base, trained, right=strict_box).trained == 0.5


def test_ladder_reads_the_rungs_and_leaves_out_untested_ones() -> None:
    rungs: tuple[list[str], ...] = (["paraphrase"], ["paraphrase", "test-only"], [])
    base = [row(str(i), False, rungs=names) for i, names in enumerate(rungs)]
    trained = [replace(item, correct=True) for item in base]
    table = ladder(base, trained, by_rung(["test-only", "paraphrase", "other"]))
    assert {name: rung.n for name, rung in table.items()} == {"test-only": 1, "paraphrase": 2}
    assert list(table) == ["test-only", "paraphrase"]


def test_a_rung_that_depends_on_the_model_is_refused() -> None:
    with pytest.raises(UsageError, match="different problems"):
        ladder(rows("01"), rows("11"), {"solved": lambda item: item.correct})


def test_overall_gives_small_and_large_kinds_the_same_weight() -> None:
    base = [*rows("0" * 100, "add"), *rows("1" * 10, "mul")]
    trained = [*rows("1" * 50 + "0" * 50, "add"), *rows("0" * 5 + "1" * 5, "mul")]
    kinds = by_category(base, trained)
    assert list(kinds) == ["add", "mul"]
    assert (kinds["add"].estimate, kinds["mul"].estimate) == (0.5, -0.5)
    result = overall(base, trained)
    assert result.estimate == pytest.approx(0)
    assert (result.base, result.trained) == pytest.approx((0.5, 0.5))
    assert (result.n, result.gained, result.lost) == (110, 50, 5)
    # SE: add sqrt((51/102+1/102-(50/102)^2)/102) = .051420, mul sqrt((1/12+6/12-(5/12)^2)/12) = .184773
    half = 1.959964 * math.hypot(0.051420, 0.184773) / 2
    assert (result.ci_low, result.ci_high) == pytest.approx((-half, half), abs=1e-5)
    assert result.p_value == pytest.approx(1)


def test_overall_p_and_badge_agree() -> None:
    base = [*rows("0" * 30, "add"), *rows("0" * 30, "mul")]
    for solved in range(12):
        trained = [*rows("1" * solved + "0" * (30 - solved), "add"), *rows("0" * 30, "mul")]
        result = overall(base, trained)
        assert (result.badge == "supported") == (result.p_value < 0.05)


def test_overall_of_one_kind_is_its_paired_difference() -> None:
    assert overall(rows("0011"), rows("0111")) == paired(rows("0011"), rows("0111"))


def test_runs_that_repeat_one_another_are_as_one_run() -> None:
    base, trained = rows("0" * 100), rows("0" * 97 + "111")
    runs = [replace(row, sample=run) for run in range(3) for row in trained]
    copies = [replace(row, sample=run) for run in range(3) for row in base]
    one = paired(base, trained)
    assert paired(copies, runs, samples=1) == one
    same = paired(copies, copies, samples=1)
    assert (same.ci_low, same.ci_high) == pytest.approx((-0.0272, 0.0272), abs=5e-5)
    assert paired(copies, copies).ci_high < 0.01  # as samples of one model they are worth more


def test_runs_that_differ_never_beat_the_floor_of_one_run() -> None:
    base = [replace(row, sample=run) for run in range(3) for row in rows("0" * 100)]
    trained = [replace(row, sample=run) for run in range(3) for row in rows("0" * 99 + str(int(run == 0)))]
    found = paired(base, trained, samples=1)
    assert found.se == pytest.approx(math.sqrt(2) / 102) and found.estimate == pytest.approx(1 / 300)
    assert (found.samples, found.method) == (1, "t")


def test_copies_of_a_problem_are_one_observation() -> None:
    def eight(grades: str) -> list[EvalRow]:
        return [
            replace(row(f"{i}-{copy}", grade == "1"), prompt=f"{i}?")
            for i, grade in enumerate(grades)
            for copy in range(8)
        ]

    few, many = paired(rows("0" * 30), rows("0" * 24 + "1" * 6)), paired(eight("0" * 30), eight("0" * 24 + "1" * 6))
    assert many.estimate == few.estimate == pytest.approx(0.2) and many.n == 240
    assert many.p_value == pytest.approx(few.p_value)
    assert many.ci_high - many.ci_low > 0.8 * (few.ci_high - few.ci_low)


def test_one_of_several_claims_needs_a_larger_difference() -> None:
    base, trained = rows("0" * 60), rows("0" * 50 + "1" * 10)
    assert paired(base, trained, claims=6).detectable > paired(base, trained).detectable


def test_an_average_finds_what_its_own_test_would() -> None:
    kind = paired(rows("0" * 40), rows("1" * 20 + "0" * 20))
    mean = average([kind, kind])
    assert mean.se == pytest.approx(kind.se / 2**0.5)
    assert mean.detectable == pytest.approx((1.959964 + 0.841621) * mean.se, rel=1e-5)
