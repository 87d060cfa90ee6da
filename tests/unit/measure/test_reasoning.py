"""The three gains: what each is against, what was not tested, and when a claim may be made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from oneshot.errors import UsageError
from oneshot.measure.gains import paired
from oneshot.measure.reasoning import OF_REASONING, Gain, adjusted, gains_of
from oneshot.types import EvalRow

N = 100


def rows(strict: int, lenient: int, forced: int | None = None, n: int = N) -> list[EvalRow]:
    """n problems of which the first ones are right under each grade; the evaluation's own grade is never right."""
    made = []
    for i in range(n):
        meta: dict[str, object] = {"boxed": i < strict, "lenient": i < lenient}
        if forced is not None:
            meta["forced"] = i < forced
        made.append(
            EvalRow(
                id=str(i), category="", prompt=f"{i}?", answer="7", response="", extracted=None, correct=False,
                status="ok", cut=False, tokens=1, meta=meta,
            )
        )  # fmt: skip
    return made


def others(**lenient: int) -> dict[str, Sequence[EvalRow]]:
    return {name: rows(0, right) for name, right in lenient.items()}


def told(found: Mapping[str, Gain]) -> list[Gain]:
    """As they stand in a table of their own."""
    return adjusted(list(found.values()))


def test_by_hand() -> None:
    found = gains_of(rows(20, 30, forced=35), rows(70, 80), others(prompt=40, icl=50, format=45))
    assert {name: gain.paired.estimate for name, gain in found.items()} == pytest.approx(
        {"gain_total": 0.5, "gain_format": 0.25, "gain_reasoning": 0.3}
    )
    assert (found["gain_format"].against, found["gain_reasoning"].against) == ("format", "icl")
    assert [gain.claim for gain in told(found)] == ["supported, this run"] * 3
    assert found["gain_reasoning"].values == {"lenient": 0.3, "forced": 0.35, "prompt": 0.4, "icl": 0.5, "format": 0.45}
    # 30 gained, none lost of 100: q - r = 31/102 - 1/102 = .294118, SE sqrt((32/102 - .294118^2)/102) = .047198.
    assert found["gain_reasoning"].paired.ci_low == pytest.approx(0.294118 - 1.959964 * 0.047198, abs=1e-5)
    json.dumps([gain.as_dict() for gain in found.values()], allow_nan=False)


def test_where_no_box_is_asked_for_the_own_grade_is_both() -> None:
    def own(right: int, boxed: int, forced: int | None = None) -> list[EvalRow]:
        return [replace(row, correct=i < right) for i, row in enumerate(rows(boxed, 90, forced=forced))]

    plain = gains_of(own(20, 0), own(60, 0), boxed=False)
    assert list(plain) == ["gain_total", "gain_reasoning"]  # without a forced box or an arm there is no form to tell
    assert {gain.paired.estimate for gain in plain.values()} == {0.4}
    assert plain["gain_reasoning"].missing == ("forced", "prompt", "icl", "format")
    arm = own(45, 0)
    found = gains_of(own(20, 0, forced=30), own(60, 0), {"format": arm}, boxed=False)
    assert found["gain_format"].values == {"own": 0.2, "forced": 0.3, "format": 0.45}
    assert found["gain_format"].paired.estimate == pytest.approx(0.25) and not found["gain_format"].missing
    assert found["gain_reasoning"].paired.estimate == pytest.approx(0.15)
    bare = [replace(row, meta={}) for row in own(20, 0)]
    assert gains_of(bare, bare) == {} and gains_of(bare, bare, boxed=False)["gain_total"].paired.estimate == 0


def test_the_total_is_under_the_strict_grade() -> None:
    found = gains_of(rows(10, 60), rows(60, 60))
    assert found["gain_total"].paired.estimate == pytest.approx(0.5)
    assert found["gain_reasoning"].paired.estimate == 0


@pytest.mark.parametrize("missing", OF_REASONING[1:])
def test_no_claim_where_a_baseline_is_missing(missing: str) -> None:
    base = rows(20, 30) if missing == "forced" else rows(20, 30, forced=35)
    given = others(**{name: 40 for name in ("prompt", "icl", "format") if name != missing})
    gain = gains_of(base, rows(70, 90), given)["gain_reasoning"]
    assert gain.missing == (missing,)
    assert gain.paired.badge == "supported"
    assert gain.claim.startswith("not tested beyond lenient") and missing not in gain.claim


def test_a_baseline_as_good_as_training_leaves_nothing() -> None:
    found = gains_of(rows(20, 30, forced=30), rows(70, 80), others(prompt=40, icl=80, format=45))
    total, _, reasoning = told(found)
    assert (total.claim, reasoning.claim) == ("supported, this run", "inconclusive")


def test_worse_than_a_baseline_is_said() -> None:
    found = gains_of(rows(20, 30, forced=30), rows(40, 40), others(prompt=40, icl=80, format=45))
    assert told(found)[2].claim == "harmed, this run"


def test_a_gain_claims_nothing_before_it_was_adjusted_or_without_room() -> None:
    given = others(prompt=40, icl=50, format=45)
    for room, claim in ((True, "inconclusive"), (False, "no room to measure")):
        found = gains_of(rows(20, 30, forced=35), rows(70, 80), given, room=room)
        assert {gain.claim for gain in found.values()} == {claim}
    assert {gain.claim for gain in told(found)} == {"no room to measure"}


def test_all_gains_of_a_table_are_one_family() -> None:
    def one(trained: int) -> dict[str, Gain]:
        return gains_of(rows(20, 30, forced=30), rows(30, trained), others(prompt=30, icl=30, format=30))

    alone = told(one(36))[2]
    assert alone.p_value == 2 / 2**6 and alone.holm == 2 / 2**6 * 1  # the two others have smaller p
    many = adjusted([gain for found in (one(36), one(30), one(30)) for gain in found.values()])
    assert many[2].holm > 0.05 and many[2].claim == "inconclusive" and many[2].paired.badge == "supported"
    missing = gains_of(rows(20, 30), rows(70, 80))["gain_reasoning"]
    assert adjusted([missing]) == [missing]  # it claims nothing, so it is no member


def test_gains_of_several_runs_speak_of_new_seeds() -> None:
    base, given = rows(20, 30, forced=35), others(prompt=40, icl=50, format=45)
    runs = [(base, rows(70, right)) for right in (78, 80, 82)]
    pooled = [[replace(row, sample=s) for s, pair in enumerate(runs) for row in pair[side]] for side in (0, 1)]
    total, form, beyond = told(gains_of(pooled[0], pooled[1], given, samples=1, runs=runs))
    assert beyond.effects == pytest.approx((0.28, 0.3, 0.32)) and beyond.claim == "supported, new seeds"
    assert total.effects == pytest.approx((0.5,) * 3)
    assert (form.effects, form.claim) == ((), "supported, this run")
    assert form.paired == gains_of(base, runs[0][1], given)["gain_format"].paired  # copies of the base make no samples
    doubted = told(gains_of(pooled[0], pooled[1], given, samples=1, runs=runs, doubt="the seeds of B are 0, 0, 0"))
    assert [gain.claim for gain in doubted] == ["not tested", "supported, this run", "not tested"]
    two = told(gains_of(pooled[0], pooled[1], given, samples=1, runs=runs[:2]))
    assert two[2].claim == "not tested"


def test_one_more_baseline_never_raises_the_gain() -> None:
    base, trained = rows(20, 30, forced=35), rows(70, 80)
    before = gains_of(base, trained, others(prompt=40))["gain_reasoning"].paired.estimate
    for icl in (0, 39, 41, 90):
        assert gains_of(base, trained, others(prompt=40, icl=icl))["gain_reasoning"].paired.estimate <= before


def test_without_both_grades_there_is_no_gain() -> None:
    bare = [EvalRow(**{**row.__dict__, "meta": {"boxed": True}}) for row in rows(1, 1)]
    assert gains_of(bare, rows(1, 1)) == {} and gains_of(rows(1, 1), bare) == {}


def test_a_baseline_without_the_lenient_grade_counts_as_missing() -> None:
    bare = [EvalRow(**{**row.__dict__, "meta": {}}) for row in rows(1, 1)]
    assert "icl" in gains_of(rows(1, 1), rows(2, 2), {"icl": bare})["gain_reasoning"].missing


def test_a_baseline_on_other_problems_is_refused() -> None:
    with pytest.raises(UsageError, match="different problems"):
        gains_of(rows(1, 1), rows(2, 2), {"icl": rows(9, 9, n=50)})


def test_the_interval_is_that_of_the_two_sides() -> None:
    gain = gains_of(rows(20, 30), rows(70, 80))["gain_reasoning"].paired
    graded = [
        [EvalRow(**{**r.__dict__, "correct": r.meta["lenient"]}) for r in side] for side in (rows(20, 30), rows(70, 80))
    ]
    assert gain == paired(*graded)
