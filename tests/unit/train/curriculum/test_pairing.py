"""Pairing: the band, the pair, and the knob that would do nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from oneshot.algos import credit
from oneshot.history import History, Visit
from oneshot.train.curriculum import CURRICULA
from oneshot.train.curriculum.base import found
from oneshot.train.curriculum.pairing import paired
from oneshot.types import PAIR
from tests.toy import batch
from tests.unit.train.curriculum.simulated import answered, pool, run, started


def visits(*successes: int, samples: int = 8) -> list[Visit]:
    return [Visit(0, f"p{i}", samples, s, ()) for i, s in enumerate(successes)]


@pytest.mark.parametrize(("brittle", "in_band"), [(8, False), (7, True), (6, True), (5, False)])
def test_the_band_of_the_easy_one(brittle: int, in_band: bool) -> None:
    """c = 2 of 8: 7/8 and 6/8, not 8/8."""
    assert paired(visits(1, brittle), 2) == (("p0", "p1") if in_band else None)


def test_by_hand() -> None:
    assert paired(visits(0, 3, 1, 6, 7, 8), 2) == ("p2", "p4")  # the hardest solved, the easiest that fails
    assert paired(visits(1, 1, 7, 7), 2) == ("p0", "p2")  # of equals the first
    assert paired(visits(0, 7), 2) is None  # never solved is no q⁺
    assert paired(visits(6, 7), 2) is None  # two brittle ones
    assert paired(visits(4, 7), 2) is None  # 4 of 8 is not hard
    assert paired(visits(3, 7), 2) == ("p0", "p1")
    assert paired(visits(1, 4, 4), 2) is None
    assert paired(visits(0, 1, samples=2), 2) is None  # 1 of 2 is not easy, whatever c is
    assert paired([], 2) is None


def test_the_pool_is_probed_and_the_pair_shares_the_groups() -> None:
    rates = {f"p{i}": rate for i, rate in enumerate((0, 0, 0.3, 0, 1, 1, 0.85, 1, 1))}
    chosen, history = run(started("pairing", pool(9), groups=4), rates, range(24))
    assert {p for step in chosen[:3] for p in step} == {f"p{i}" for i in range(9)}  # one round of three steps
    found = [i for i in range(3, 24) if set(chosen[i]) == {"p2", "p6"}]
    assert found == list(range(found[0], 24))  # once found it stays
    assert found[0] % 3 == 0
    assert all(chosen[i].count("p2") == 2 for i in found)
    assert len(history.accuracy("p2")) > len(history.accuracy("p0"))


def test_without_a_pair_the_rounds_go_on() -> None:
    chosen, _ = run(started("pairing", pool(9), groups=4), {f"p{i}": 1.0 for i in range(9)}, range(12))
    for first in range(0, 12, 3):
        assert {p for step in chosen[first : first + 3] for p in step} == {f"p{i}" for i in range(9)}
    assert chosen[0:3] != chosen[3:6]


def test_samples_of_a_round_are_added_up() -> None:
    """9 examples in 12 slots: three have two visits in the round, and are judged by both."""
    rates = {f"p{i}": 0.5 for i in range(9)}
    _, history = run(started("pairing", pool(9), groups=4), rates, range(3))
    curriculum = started("pairing", pool(9), groups=4)
    summed = curriculum._round(0, history)  # type: ignore[attr-defined]
    assert [v.problem_id for v in summed] == [f"p{i}" for i in range(9)]
    assert sorted({v.samples for v in summed}) == [8, 16]


def seen(*successes: int) -> History:
    """A round of three steps over nine examples, three a step with 8 samples each."""
    history, problems = History(), pool(len(successes))
    for step in range(3):
        part = list(enumerate(successes))[3 * step : 3 * step + 3]
        history.observe(step, [answered(problems[i], i, s, 8, step) for i, s in part])
    return history


def test_the_pair_has_its_roles_and_no_other_step_has() -> None:
    history = seen(0, 0, 1, 0, 8, 8, 7, 8, 8)
    curriculum = started("pairing", pool(9), groups=4, success=2.0)
    assert not any(PAIR in p.meta for step in range(3) for p in curriculum.next(step, history))
    roles = {p.id: p.meta[PAIR] for p in curriculum.next(3, history)}
    assert roles == {"p2": 1, "p6": -1}
    assert not any(p.meta for p in pool(9))  # the pool's own problems are as they were
    design = CURRICULA.build("pairing", {"success": 2.0, "failure": "0.5"})
    assert design.weights == (2.0, 0.5)


def test_the_pair_is_told_at_the_step_it_begins() -> None:
    history = seen(0, 0, 1, 0, 8, 8, 7, 8, 8)
    curriculum = started("pairing", pool(9), groups=4)
    told = [found(curriculum, step) for step in range(7) if curriculum.next(step, history)]
    assert [step for step, one in enumerate(told) if one] == [3]
    assert told[3] is not None
    assert told[3].kind == "pair"
    hard, easy = ({"id": "p2", "successes": 1, "samples": 8}, {"id": "p6", "successes": 7, "samples": 8})
    assert told[3].details == {"hard": hard, "easy": easy}
    assert told[3].said == "pairing: from here on p2 (solved 1 of 8 times), and p6 (solved 7 of 8 times)"
    resumed = started("pairing", pool(9), groups=4)  # which was told before
    assert [found(resumed, step) for step in (5, 6) if resumed.next(step, history)] == [None, None]


def test_a_round_without_a_pair_is_told() -> None:
    curriculum, history = started("pairing", pool(9), groups=4), seen(*[8] * 9)
    told = [found(curriculum, step) for step in range(7) if curriculum.next(step, history)]
    assert [step for step, one in enumerate(told) if one] == [3, 6]
    assert told[3] is not None
    assert told[3].details == {"hard": None, "easy": None}
    assert told[3].said == "pairing: no pair among 9 examples yet; 3 more steps of looking"


def test_of_equals_the_seed_draws_one() -> None:
    """Not the first ones of the file."""
    history, pairs = seen(1, 1, 1, 1, 7, 7, 7, 7, 8), set()
    for seed in range(20):
        first, again = (started("pairing", pool(9), groups=2, seed=seed) for _ in range(2))
        pair = [p.id for p in first.next(5, history)]
        assert pair == [p.id for p in again.next(5, history)]
        pairs.add(tuple(sorted(pair)))
    assert len(pairs) > 5
    assert all(one in ("p0", "p1", "p2", "p3") and other in ("p4", "p5", "p6", "p7") for one, other in pairs)


@pytest.mark.parametrize("penalty", [0.5, 1.0, 3.0])
def test_a_penalty_on_failures_would_do_nothing(penalty: float) -> None:
    """λ_neg is missing on purpose: z-scores do not change under 1/0 -> 1/−λ, per prompt or pooled over the pair."""
    outcomes = torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0], dtype=torch.float64)
    mapped = torch.where(outcomes > 0, 1.0, -penalty).double()
    apart = torch.tensor([0] * 8 + [1] * 8)
    for group_B in (apart, torch.zeros(16, dtype=torch.long)):
        plain, changed = (
            credit.z_scored(replace(batch(), rewards_B=rewards, group_B=group_B)) for rewards in (outcomes, mapped)
        )
        assert changed.tolist() == pytest.approx(plain.tolist(), abs=1e-5)
    # Pooled, with rates 1/8 and 7/8: every success alike, every failure alike.
    assert plain.tolist() == pytest.approx([0.9682 * (1 if r else -1) for r in outcomes.tolist()], abs=1e-4)


@pytest.mark.parametrize(("penalty", "success"), [(0.5, 1.3125), (1.0, 1.75), (3.0, 3.5)])
def test_without_the_division_it_would_act(penalty: float, success: float) -> None:
    rewards = torch.tensor([1.0] + [-penalty] * 7, dtype=torch.float64)
    assert float(credit.centred(replace(batch(), rewards_B=rewards))[0]) == pytest.approx(success)


def test_rare_events_weigh_most_as_it_is() -> None:
    advantages = credit.z_scored(batch())
    assert advantages.tolist() == pytest.approx([2.474867] + [-0.353552] * 7, abs=1e-5)
    assert float(advantages[0]) == pytest.approx(-7 * float(advantages[1]), rel=1e-6)
