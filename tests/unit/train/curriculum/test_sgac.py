"""SGAC: features by hand, why the published weights are not the default, and the cycles."""

from __future__ import annotations

import itertools
import random
from statistics import pvariance

import pytest

from oneshot.history import History, Visit
from oneshot.train.curriculum.base import summed
from oneshot.train.curriculum.sgac import FEATURES, score
from oneshot.types import Problem
from tests.unit.train.curriculum.simulated import answered, pool, run, started

WEIGHTS = {"success": 0.1, "variance": 0.7, "distinct": -0.3, "entropy": 1e-3}


def visit(answers: str, successes: int = 0) -> Visit:
    """One sample a letter."""
    counts = {letter: answers.count(letter) for letter in dict.fromkeys(answers)}
    return Visit(0, "p0", len(answers), successes, tuple(counts.items()))


def test_features_by_hand() -> None:
    found = {name: feature(visit("aabc", successes=1)) for name, feature in FEATURES.items()}
    assert found == pytest.approx({"success": 0.25, "variance": 0.1875, "distinct": 0.75, "entropy": 1.0397}, abs=1e-4)
    assert FEATURES["entropy"](visit("aaaa")) == 0
    assert FEATURES["distinct"](visit("aaaa")) == 0.25


def test_the_order_of_the_features_does_not_matter() -> None:
    seen = [visit(text, successes=n) for n, text in enumerate(("abcd", "aabb", "aaaa", "aabc"))]
    straight = [score(v, WEIGHTS) for v in seen]
    for order in itertools.permutations(WEIGHTS):
        assert [score(v, {name: WEIGHTS[name] for name in order}) for v in seen] == straight


def test_with_the_published_weights_the_level_decides_alone() -> None:
    """Enumerated at 4 rollouts, each right or not and in a box or not, with 1 to 4 answers: less than one level."""
    terms = []
    for kinds in itertools.combinations_with_replacement([(c, b) for c in (0, 1) for b in (0, 1)], 4):
        right = sum(c for c, _ in kinds) / 4
        spread = pvariance([c + 0.5 * b for c, b in kinds])
        terms += [0.0050 * right + 0.1832 * spread - 0.0751 * different / 4 for different in range(1, 5)]
    assert max(terms) - min(terms) == pytest.approx(0.161875)
    assert max(terms) - min(terms) < 0.2188


def test_a_cycle_is_a_probe_and_a_burst_on_the_best() -> None:
    problems = pool(9)
    curriculum, history = started("sgac", problems, groups=8, burst=2), History()
    probed = curriculum.next(0, history)
    drawn = list(dict.fromkeys(p.id for p in probed))
    assert len(drawn) == 4
    assert all([p.id for p in probed].count(one) == 2 for one in drawn)
    by_id = {p.id: p for p in problems}
    # Wrong answers differ from each other, so fewer right ones mean more entropy.
    history.observe(0, [answered(by_id[one], i, (8, 2, 6, 8)[i], 8, 0) for i, one in enumerate(drawn)])
    for step in (1, 2):
        assert [p.id for p in curriculum.next(step, history)] == [drawn[1]] * 8
    second = {p.id for p in curriculum.next(3, history)}
    assert not second & set(drawn)  # all four are used up


@pytest.mark.parametrize(("never", "always"), [(0, 8), (0, 0), (8, 8)])
def test_a_burst_goes_to_one_that_is_solved_sometimes(never: int, always: int) -> None:
    """Wrong answers of a candidate never solved have the most entropy, but its groups have no advantages."""
    problems = pool(4)
    curriculum, history = started("sgac", problems, groups=8, burst=2), History()
    drawn = list(dict.fromkeys(p.id for p in curriculum.next(0, history)))
    by_id = {p.id: p for p in problems}
    solved = (never, 7, always, never)
    history.observe(0, [answered(by_id[one], i, solved[i], 8, 0) for i, one in enumerate(drawn)])
    entropies = [FEATURES["entropy"](v) for v in history.visits(0, 1)]
    assert never or max(entropies) > entropies[1]
    assert {p.id for p in curriculum.next(1, history)} == {drawn[1]}


def test_where_none_is_the_score_decides() -> None:
    problems = pool(4)
    curriculum, history = started("sgac", problems, groups=8), History()
    drawn = list(dict.fromkeys(p.id for p in curriculum.next(0, history)))
    by_id = {p.id: p for p in problems}
    history.observe(0, [answered(by_id[one], i, (8, 8, 0, 8)[i], 8, 0) for i, one in enumerate(drawn)])
    assert {p.id for p in curriculum.next(1, history)} == {drawn[2]}


def test_visits_of_a_candidate_are_added_up() -> None:
    """A probe of two steps may visit one twice: 0 of 8, then 8 of 8 is solved sometimes, whichever came last."""
    problems = pool(3)
    for first, second in ((0, 8), (8, 0)):
        curriculum, history = started("sgac", problems, groups=2, candidates=3), History()
        drawn = list(dict.fromkeys(p.id for step in (0, 1) for p in curriculum.next(step, history)))
        assert len(drawn) == 3
        by_id = {p.id: p for p in problems}
        history.observe(0, [answered(by_id[drawn[0]], 0, first, 8, 0), answered(by_id[drawn[1]], 1, 0, 8, 0)])
        history.observe(1, [answered(by_id[drawn[2]], 0, 0, 8, 1), answered(by_id[drawn[0]], 1, second, 8, 1)])
        assert {p.id for p in curriculum.next(2, history)} == {drawn[0]}
    total = summed(history.visits(0, 2))[drawn[0]]
    assert (total.step, total.samples, total.successes, dict(total.answers)["7"]) == (1, 16, 8, 8)
    assert sum(dict(total.answers).values()) == 16


def test_candidates_are_used_up_before_they_come_again() -> None:
    rates = {f"p{i}": random.Random(i).random() for i in range(12)}
    chosen, _ = run(started("sgac", pool(12), groups=4, burst=1), rates, range(12))
    probes = chosen[::2]
    for epoch in (probes[:3], probes[3:]):
        assert sorted(p for step in epoch for p in step) == sorted(rates)
    assert probes[:3] != probes[3:]


def test_more_candidates_than_groups_take_several_steps() -> None:
    rates = {f"p{i}": 0.5 for i in range(8)}
    chosen, _ = run(started("sgac", pool(8), groups=2, candidates=5, burst=2), rates, range(5))
    assert len({p for step in chosen[:3] for p in step}) == 5
    assert chosen[3] == chosen[4]
    assert len(set(chosen[3])) == 1


def test_a_candidate_without_a_visit_is_not_taken() -> None:
    problems: list[Problem] = pool(4)
    curriculum, history = started("sgac", problems), History()
    drawn = [p.id for p in curriculum.next(0, history)]
    by_id = {p.id: p for p in problems}
    history.observe(0, [answered(by_id[drawn[2]], 0, 4, 4, 0)])  # no entropy at all, but seen
    assert {p.id for p in curriculum.next(1, history)} == {drawn[2]}
