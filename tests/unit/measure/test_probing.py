"""Where a probe samples next: numbers by hand, limits, and what holds for any pool."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneshot.measure.probing import Halving, Ints, Rule, distances, ranking, spread, ties
from oneshot.measure.statistics import normal_quantile, wilson


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def run(race: Halving, rates: Any, seed: int = 0) -> list[list[int]]:
    """Sample a pool until nothing is wanted; what was asked for."""
    rng, asked = np.random.default_rng(seed), []
    while (wanted := race.wanted()).any():
        asked.append(wanted.tolist())
        race.observe(rng.binomial(wanted, rates), wanted)
    return asked


def test_expected_squared_distance_worked_by_hand() -> None:
    """4 of 8: mean 1/2, variance .25/11. 0 of 2: mean 1/4, so 1/16 + (3/16)/5 = .1. Unknown: 1/12."""
    found = spread(ints(4, 0, 0, 2), ints(8, 2, 0, 2))
    assert found[:3] == pytest.approx([0.25 / 11, 0.1, 1 / 12])
    assert found[3] == found[1]
    assert spread(ints(8), ints(8), 1.0) == pytest.approx([0.01 + 0.09 / 11])


def test_five_of_eight_is_as_far_as_three_of_eight() -> None:
    near = spread(ints(*range(9)), np.full(9, 8))
    assert near.tolist() == near[::-1].tolist()
    assert (np.diff(near[:5]) < 0).all()


def test_ranking_and_ties_by_hand() -> None:
    """4/8 first, then 5/8 and 3/8 in the pool's order, then 8/8 before 0/8; the hopeless last, though less is known."""
    successes, samples = ints(0, 8, 5, 0, 4, 3), ints(8, 8, 8, 0, 8, 8)
    assert ranking(successes, samples, hopeless=[3]).tolist() == [4, 2, 5, 1, 0, 3]
    first, last = ties(successes, samples, hopeless=[3])
    assert first.tolist() == [5, 4, 2, 6, 1, 2]
    assert last.tolist() == [5, 4, 3, 6, 1, 3]


def test_another_target() -> None:
    assert ranking(ints(0, 4, 7, 8), ints(8, 8, 8, 8), 1.0).tolist() == [3, 2, 1, 0]
    assert ranking(ints(0, 2, 4, 8), ints(8, 8, 8, 8), 0.25).tolist() == [1, 0, 2, 3]


@given(st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0, 1))
def test_distances_are_those_of_the_wilson_interval(counts: tuple[int, int], target: float) -> None:
    level = 0.99
    near, far = distances(ints(counts[0]), ints(counts[1]), target, normal_quantile((1 + level) / 2))
    interval = wilson(*counts, level=level)
    inside = interval.low <= target <= interval.high
    apart = sorted((abs(interval.low - target), abs(interval.high - target)))
    assert far[0] == pytest.approx(apart[1], abs=1e-9)
    assert near[0] == pytest.approx(0 if inside else apart[0], abs=1e-9)


def test_two_rounds_worked_by_hand() -> None:
    """4 problems, 1 wanted, half dropped: 2 rounds of 20 samples, 5 of four and then 10 of two."""
    race = Halving(Rule(top=1, budget=40, keep=0.5), 4)
    assert race.wanted().tolist() == [5, 5, 5, 5]
    race.observe(ints(0, 3, 5, 2), ints(5, 5, 5, 5))  # 3/5 and 2/5 are as near
    assert race.open_P.tolist() == [False, True, False, True]
    assert race.cut_P.tolist() == [True, False, True, False]
    assert race.wanted().tolist() == [0, 10, 0, 10]
    race.observe(ints(0, 5, 0, 8), ints(0, 10, 0, 10))  # 8/15 against 10/15
    assert not race.wanted().any()
    assert (race.spent, race.left, race.settled) == (40, 0, False)
    assert ranking(race.successes_P, race.samples_P)[0] == 1


def test_a_quarter_is_dropped_and_the_rounds_cost_the_same() -> None:
    """16, 12, 9, 6, 4 problems for 3 wanted: five rounds of about 100 samples each."""
    race = Halving(Rule(top=3, budget=500), 16)
    assert race.rounds(16) == 5
    asked = run(race, np.linspace(0.05, 0.95, 16))
    assert [sum(map(bool, row)) for row in asked] == [16, 12, 9, 6, 4]
    assert [sum(row) for row in asked] == [16 * 6, 12 * 8, 9 * 11, 6 * 17, 4 * 26]
    assert race.spent == 497


def test_what_is_clear_is_no_longer_sampled() -> None:
    """50 of 100 is within .145 of 1/2 (3 deviations), 0 and 100 of 100 at least .417 away: nothing is left to ask."""
    race = Halving(Rule(top=1, budget=10_000), 3)
    race.observe(ints(0, 50, 100), ints(100, 100, 100))
    assert not race.wanted().any()
    assert race.settled
    assert not race.cut_P.any()
    # With 2 wanted one of the far ones must be chosen: they stay open, the clear one is in.
    two = Halving(Rule(top=2, budget=10_000), 3)
    two.observe(ints(0, 50, 99), ints(100, 100, 100))
    assert two.in_P.tolist() == [False, True, False]
    assert two.wanted()[1] == 0


def test_certainly_near_enough_is_in() -> None:
    """At 250 of 500 the interval of 3 deviations is .4335 to .5665; the other may be nearer, which does not matter."""
    counts = ints(250, 240), ints(500, 500)
    lax, strict = (Halving(Rule(top=1, budget=10_000, tolerance=t), 2) for t in (0.07, 0.0))
    lax.observe(*counts)
    strict.observe(*counts)
    assert lax.in_P.tolist() == [True, False]
    assert lax.settled
    assert not lax.wanted().any()
    assert not strict.in_P.any()


def test_more_good_ones_than_wanted_are_not_all_in() -> None:
    race = Halving(Rule(top=2, budget=10_000, tolerance=0.2), 5)
    race.observe(ints(250, 240, 245, 260, 251), np.full(5, 500))
    assert race.in_P.tolist() == [True, False, False, False, True]


def test_ties_fall_by_lot_and_not_by_place() -> None:
    """A file is often sorted: of 40 equals the last must not all go."""
    dropped = []
    for seed in (0, 1):
        race = Halving(Rule(top=1, budget=4_000, seed=seed), 40)
        race.observe(np.full(40, 1, dtype=np.int64), np.full(40, 2, dtype=np.int64))
        dropped.append(np.flatnonzero(race.cut_P).tolist())
    assert len(dropped[0]) == len(dropped[1]) == 10
    assert dropped[0] != dropped[1]
    assert all(min(d) < 20 <= max(d) for d in dropped)


def test_the_hopeless_are_never_sampled() -> None:
    race = Halving(Rule(top=2, budget=90), 9, hopeless={0, 4})
    asked = np.array(run(race, np.full(9, 0.5)))
    assert not asked[:, [0, 4]].any()
    assert asked[0].sum() > 0
    none = Halving(Rule(top=2, budget=90), 9, hopeless=range(9))
    assert not none.wanted().any()


def test_a_budget_below_one_sample_a_problem_is_spent_by_lot() -> None:
    race = Halving(Rule(top=1, budget=3), 10)
    asked = run(race, np.full(10, 0.5))
    assert len(asked) == 1
    assert sorted(asked[0]) == [0] * 7 + [1] * 3


def test_a_small_budget_still_reaches_the_last_round() -> None:
    """4 samples a problem on average and one of 2,000 wanted: more is dropped at once, the finalist has tens."""
    race = Halving(Rule(top=1, budget=8_000), 2_000)
    run(race, np.random.default_rng(1).random(2_000))
    assert race.samples_P.max() >= 40
    assert 7_000 <= race.spent <= 8_000


def test_where_all_are_wanted_the_budget_goes_into_the_order() -> None:
    race = Halving(Rule(top=5, budget=43), 5)
    assert run(race, np.full(5, 0.5)) == [[8] * 5]
    assert not race.settled


POOLS = st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))


@settings(max_examples=150, deadline=None)
@given(
    POOLS,
    st.integers(0, 3_000),
    st.sampled_from([0.5, 2 / 3, 0.75, 0.9]),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.floats(0, 1),
    st.integers(0, 5),
    st.sampled_from([0.5, 0.0, 1.0, 0.3]),
)
def test_budget_and_decisions_hold_for_any_pool(
    sizes: tuple[int, int], budget: int, keep: float, tolerance: float, level: float, seed: int, target: float
) -> None:
    size, top = sizes
    rule = Rule(top=top, budget=budget, keep=keep, tolerance=tolerance, seed=seed, target=target)
    race, twin = Halving(rule, size), Halving(rule, size)
    rng = np.random.default_rng(seed)
    rates = np.clip(rng.normal(level, 0.3, size), 0, 1)
    rounds = 0
    while (wanted := race.wanted()).any():
        assert wanted.tolist() == twin.wanted().tolist()
        assert wanted.sum() <= race.left
        assert not wanted[~race.open_P].any()
        before, right = race.open_P.copy(), rng.binomial(wanted, rates)
        race.observe(right, wanted)
        twin.observe(right, wanted)
        assert not (race.open_P & ~before).any()
        assert not (race.open_P & (race.in_P | race.cut_P)).any()
        assert race.in_P.sum() <= top
        assert race.open_P.sum() >= min(race.missing, before.sum())
        rounds += 1
        assert rounds < 200
    assert race.spent <= budget
    assert budget == 0 or race.spent > 0


def test_decided_problems_and_too_many_samples_are_refused() -> None:
    race = Halving(Rule(top=1, budget=40, keep=0.5), 4)
    race.observe(ints(0, 3, 5, 2), ints(5, 5, 5, 5))
    with pytest.raises(AssertionError, match="decided"):
        race.observe(ints(1, 0, 0, 0), ints(1, 0, 0, 0))
    with pytest.raises(AssertionError, match="budget"):
        race.observe(ints(0, 9, 0, 9), ints(0, 11, 0, 11))


def test_its_picks_are_nearer_than_those_of_four_times_as_many_uniform_samples() -> None:
    """300 problems, 8 wanted; means over 20 seeded pools. (The whole comparison: `benchmarks/probe.py`.)"""
    ours, even = [], []
    for seed in range(20):
        rng = np.random.default_rng([7, seed])
        rates = rng.random(300)
        race = Halving(Rule(top=8, budget=300 * 16), 300)
        run(race, rates, seed)
        ours.append(np.abs(rates[ranking(race.successes_P, race.samples_P)[:8]] - 0.5).mean())
        samples = np.full(300, 64, dtype=np.int64)
        even.append(np.abs(rates[ranking(rng.binomial(samples, rates), samples)[:8]] - 0.5).mean())
    assert np.mean(ours) < np.mean(even)
