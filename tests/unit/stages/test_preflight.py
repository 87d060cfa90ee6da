"""Whether training can start, and when it is stopped: the numbers of both rules worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from oneshot.errors import DataError, HealthAbort
from oneshot.stages.preflight import BaseRate, Health, base_rate, check_base_rate
from tests.unit.stages.parts import ScriptedEngine, metrics, prober, problems

NOTHING = {"train__accuracy": 0.0}


def test_the_base_rate_has_32_samples_or_8_of_each_of_at_most_16_examples() -> None:
    for count, each, tried in ((1, 32, 1), (2, 16, 2), (3, 11, 3), (4, 8, 4), (16, 8, 16), (100, 8, 16)):
        engine = ScriptedEngine(lambda round, i: 2)
        rate, groups = base_rate(prober(engine), problems(count))
        assert (rate.successes, rate.samples) == (2 * tried, each * tried)
        assert [len(g.completions) for g in groups] == [each] * tried
        assert [round for round, _ in engine.asked] == [3]  # streams that no probing round uses


def test_the_examples_of_a_pool_are_drawn_by_the_seed() -> None:
    """Not the first ones: pools are often sorted by difficulty."""
    drawn = []
    for seed in (0, 0, 1):
        probe = prober(ScriptedEngine(lambda round, i: 2))
        probe = replace(probe, sampling=replace(probe.sampling, seed=seed))
        drawn.append([g.problem.id for g in base_rate(probe, problems(100))[1]])
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 16
    assert drawn[0] != [p.id for p in problems(16)]


def test_a_pool_is_named_as_one_and_its_signal_is_the_mean_over_its_examples() -> None:
    rate = BaseRate(successes=8, samples=16, rates=(1.0, 0.0), pool=50)
    assert rate.zero_signal(8) == 1.0  # not 2/256 as at one example's rate of 1/2
    assert "solves 2 of the 50 examples 8 of 16 times" in rate.sentence(8)
    assert "solves the 2 examples" in BaseRate(successes=8, samples=16, rates=(1.0, 0.0), pool=2).sentence(8)


def test_the_share_of_groups_without_signal() -> None:
    assert BaseRate(successes=4, samples=32).zero_signal(8) == pytest.approx(0.3436089)  # (1/8)^8 + (7/8)^8
    assert BaseRate(successes=16, samples=32).zero_signal(2) == 0.5
    assert BaseRate(successes=0, samples=32).zero_signal(8) == 1.0
    assert BaseRate(successes=32, samples=32).zero_signal(8) == 1.0
    assert "about 34% of groups of 8" in BaseRate(successes=4, samples=32).sentence(8)


def test_never_solved() -> None:
    rate = BaseRate(successes=0, samples=32)
    with pytest.raises(DataError, match=r"0 of 32 tries .* 0 to 11%") as caught:
        check_base_rate(rate, allow_unsolved=False, yes=False)
    assert (caught.value.code, caught.value.exit_code) == ("E303", 4)
    assert "--allow-unsolved" in caught.value.tries[0]
    assert "never solved in selection still worked" in caught.value.message
    check_base_rate(rate, allow_unsolved=True, yes=False)
    with pytest.raises(DataError):  # --yes is no answer to this one
        check_base_rate(rate, allow_unsolved=False, yes=True)


def test_always_solved() -> None:
    rate = BaseRate(successes=32, samples=32)
    with pytest.raises(DataError, match=r"32 of 32 tries .* 89% to 100 %") as caught:
        check_base_rate(rate, allow_unsolved=True, yes=False)
    assert (caught.value.code, caught.value.exit_code) == ("E307", 4)
    assert "--yes" in caught.value.tries[0]
    check_base_rate(rate, allow_unsolved=False, yes=True)


@pytest.mark.parametrize("successes", [1, 31])
def test_one_success_or_one_failure_is_enough(successes: int) -> None:
    check_base_rate(BaseRate(successes=successes, samples=32), allow_unsolved=False, yes=False)


def test_no_success_stops_when_one_was_due() -> None:
    """.98^341 = .001019 and .98^342 = .000998: at a rate of at least .02 the 342nd failure is one too many."""
    assert 0.98**342 < 0.001 < 0.98**341
    health = Health(rate_low=0.02)
    assert health.check(metrics(**NOTHING), 341) == ""
    with pytest.raises(HealthAbort, match=r"no success in 342 samples, where at least 2\.0% were due") as caught:
        health.check(metrics(**NOTHING), 1)
    assert (caught.value.code, caught.value.exit_code) == ("E501", 5)


def test_a_single_success_ends_the_watch_for_the_first_one() -> None:
    health = Health(rate_low=0.02)
    assert health.check(metrics(train__accuracy=1 / 32), 32) == ""
    for _ in range(50):
        assert health.check(metrics(**NOTHING), 32) == ""


def test_a_healthy_run_at_a_low_rate_is_not_stopped_by_one_step_without_success() -> None:
    """At .09, one 32-sample step in twenty has no success: .91^32 = .049."""
    assert 0.048 < 0.91**32 < 0.05
    health = Health(rate_low=0.09)
    assert health.check(metrics(**NOTHING), 32) == ""


def test_with_an_unknown_rate_a_lack_of_success_never_stops() -> None:
    health = Health(rate_low=0.0)
    for _ in range(1000):
        assert health.check(metrics(**NOTHING), 32) == ""
    assert not math.isnan(health.samples)


@pytest.mark.parametrize("accuracy", [1.0, 0.0])
def test_equal_rewards_never_stop_a_run_that_had_a_success(accuracy: float) -> None:
    """After saturation every group is all right, and that is wanted."""
    health = Health(rate_low=0.5)
    assert health.check(metrics(train__accuracy=0.5), 32) == ""
    for _ in range(200):
        assert health.check(metrics(train__accuracy=accuracy, signal=0.0), 32) == ""


@pytest.mark.parametrize("bad", [{"completions__clipped_ratio": 0.96}, {"found": 0.0}])
def test_five_bad_steps_in_a_row_stop(bad: dict[str, float]) -> None:
    health = Health(rate_low=0.0)
    for _ in range(4):
        assert health.check(metrics(**bad), 32) == ""
    assert health.check(metrics(), 32) == ""  # a good one starts the count anew
    for _ in range(4):
        assert health.check(metrics(**bad), 32) == ""
    with pytest.raises(HealthAbort, match="for 5 steps in a row") as caught:
        health.check(metrics(**bad), 32)
    assert caught.value.tries
    assert caught.value.kept


def test_at_the_edge_of_bad() -> None:
    health = Health(rate_low=0.0)
    for _ in range(20):
        assert health.check(metrics(completions__clipped_ratio=0.95, found=1 / 32), 32) == ""


def test_yes_makes_every_finding_a_warning() -> None:
    health = Health(rate_low=0.5, yes=True)
    assert health.check(metrics(**NOTHING), 9) == ""  # .5^9 = .00195
    assert "no success in 10 samples" in health.check(metrics(**NOTHING), 1)
    cut = Health(rate_low=0.0, yes=True)
    assert [bool(cut.check(metrics(completions__clipped_ratio=1.0), 32)) for _ in range(6)] == [False] * 4 + [True] * 2


def recorded(accuracy: float, *, cut: float | None = 0.0, found: float = 1.0) -> dict[str, float | None]:
    return {"train/accuracy": accuracy, "completions/clipped_ratio": cut, "found": found}


def test_a_resumed_run_is_judged_with_the_steps_before() -> None:
    """.5^9 = .00195, .5^10 = .00098: one more failure than the nine that were recorded is one too many."""
    health = Health(rate_low=0.5)
    health.recall([recorded(0.0)] * 9, 1)
    with pytest.raises(HealthAbort, match="no success in 10 samples"):
        health.check(metrics(**NOTHING), 1)


def test_a_success_before_the_resume_counts() -> None:
    health = Health(rate_low=0.5)
    health.recall([recorded(1.0), recorded(0.0)], 32)
    for _ in range(50):
        assert health.check(metrics(**NOTHING), 32) == ""


def test_bad_steps_in_a_row_go_on_over_a_resume() -> None:
    health = Health(rate_low=0.0)
    health.recall([recorded(0.0, cut=1.0)] * 4, 32)
    with pytest.raises(HealthAbort, match="for 5 steps in a row"):
        health.check(metrics(completions__clipped_ratio=1.0), 32)


def test_samples_that_were_drawn_again_count_in_the_health_rules() -> None:
    """.5^10 = .00098: ten failures in one step of one response whose group was drawn ten times."""
    health = Health(rate_low=0.5)
    with pytest.raises(HealthAbort, match="no success in 10 samples"):
        health.check(metrics(**NOTHING, rollout__responses=10.0), 1)
    again = Health(rate_low=0.5)
    again.recall([recorded(0.0) | {"rollout/responses": 9.0}], 1)
    assert again.samples == 9


def test_recalling_stops_nothing_by_itself() -> None:
    health = Health(rate_low=0.9)
    health.recall([recorded(0.0, cut=None, found=0.0)] * 20, 32)  # a run that went on with --yes
    assert health.samples == 640
