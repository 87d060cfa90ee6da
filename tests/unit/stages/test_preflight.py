"""Whether training can start, and when it is stopped: the numbers of both rules worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from oneshot.errors import DataError, HealthAbort
from oneshot.stages.training.preflight import PROBED, T_975, BaseRate, Health, base_rate, check_base_rate
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


def test_the_quantiles_of_t_are_those_that_leave_a_fortieth_above() -> None:
    """Trapezoids on [0, 4000] after x = tan(angle), against the density by its formula."""
    assert len(T_975) == PROBED - 1
    for freedom, quantile in enumerate(T_975, start=1):
        constant = math.gamma((freedom + 1) / 2) / math.sqrt(freedom * math.pi) / math.gamma(freedom / 2)
        top, parts = math.atan(quantile), 2000
        heights = [
            constant
            * (1 + math.tan(top * i / parts) ** 2 / freedom) ** (-(freedom + 1) / 2)
            / math.cos(top * i / parts) ** 2
            for i in range(parts + 1)
        ]
        below = 0.5 + (sum(heights) - (heights[0] + heights[-1]) / 2) * top / parts
        assert below == pytest.approx(0.975, abs=3e-5)


def test_the_interval_of_a_pool_counts_examples() -> None:
    """Rates 1, .5, 0, .5: mean .5, s² = 1/6, s/√4 = .204124; t(3) = 3.182 gives ± .649523, cut at 0 and 1."""
    wide = BaseRate(successes=16, samples=32, rates=(1.0, 0.5, 0.0, 0.5), pool=4)
    assert wide.interval == (0.0, 1.0)
    # .25, .5, .75, .5: s² = 1/24, s/2 = .102062, ± .324761.
    found = BaseRate(successes=16, samples=32, rates=(0.25, 0.5, 0.75, 0.5), pool=4)
    assert found.interval == pytest.approx((0.175239, 0.824761), abs=1e-5)
    assert "95 % interval 18% to 82%" in found.sentence(8)
    assert BaseRate(successes=16, samples=32).interval == pytest.approx((0.3364, 0.6636), abs=1e-4)  # one example


def test_the_interval_of_a_pool_is_never_that_of_more_samples_than_there_are() -> None:
    """Equal rates say that examples are alike, not that the rate is known exactly."""
    alike = BaseRate(successes=16, samples=32, rates=(0.5,) * 4, pool=9)
    assert alike.interval == BaseRate(successes=16, samples=32).interval


@pytest.mark.parametrize("rate", [0, 1])
def test_where_all_samples_are_alike_each_example_counts_as_one(rate: int) -> None:
    """0 of 16: z²/(n + z²) = 3.841459/19.841459 = .193608, not .0291 as of 128."""
    found = BaseRate(successes=128 * rate, samples=128, rates=(float(rate),) * 16, pool=1209).interval
    assert found == pytest.approx((0.806392, 1.0) if rate else (0.0, 0.193608), abs=1e-5)
    assert (0.0 if rate == 0 else 1.0) in found


def test_what_is_recorded_of_a_pool_s_rate() -> None:
    found = BaseRate(successes=16, samples=32, rates=(0.25, 0.75), pool=9).as_dict()
    assert (found["value"], found["n"], found["rates"], found["pool"]) == (0.5, 32, [0.25, 0.75], 9)
    assert set(BaseRate(successes=16, samples=32).as_dict()) == {"value", "ci_low", "ci_high", "n"}


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
    assert health.samples == 32_000


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
