"""How long a run takes, worked by hand from a given speed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from oneshot.config.schema import AlgorithmConfig, Config, EvalsConfig, OptimConfig, RolloutConfig
from oneshot.stages.resources.forecasts import Speed, TimeForecast, as_dict, time_forecast

SPEED = Speed(decode=100.0, learn=200.0, decode_rows=8, decode_tokens=320, learn_tokens=128)


def config(*, packing: bool = True, updates: int = 1, every: int = 0, **evals: Any) -> Config:
    return Config(
        algorithm=AlgorithmConfig(updates=updates),
        rollout=RolloutConfig(groups=2, group_size=4, max_new_tokens=50),
        optim=OptimConfig(steps=10, micro_tokens=210, packing=packing),
        evals=EvalsConfig(**{"max_new_tokens": 100, "every": every, "drift": False, **evals}),
    )


def test_by_hand() -> None:
    """8 responses of 50: 400/100 s sampled; 4 of them fit beside a prompt of 10, so (400 + 2 · 10)/200 s learned.

    Of 20 tokens: 160/100 s, and 10 fit: (160 + 10)/200 s.
    """
    told = time_forecast(config(), SPEED, prompt=10, mean_length=20.0)
    assert told.step == pytest.approx((0.8 * (1.6 + 0.85), 1.2 * (4.0 + 2.1)))
    assert told.total == pytest.approx((10 * told.step[0], 10 * told.step[1]))
    assert told.lengths == (20.0, 50)
    assert "10 steps of 2.0 to 7.3 s (responses of 20 (as sampled) to 50 tokens)" in told.sentence()


def test_padding_repeats_the_prompt_and_updates_repeat_the_learning() -> None:
    slow = time_forecast(config(packing=False, updates=3), SPEED, prompt=10, mean_length=50.0)
    assert slow.step[1] == pytest.approx(1.2 * (4.0 + 3 * (400 + 8 * 10) / 200))


def test_dynamic_sampling_may_take_all_its_rounds() -> None:
    settings = config()
    rollout = replace(settings.rollout, dynamic=True, max_rounds=3)
    told = time_forecast(replace(settings, rollout=rollout), SPEED, prompt=10, mean_length=20.0)
    assert told.step == pytest.approx((0.8 * (1.6 + 0.85), 1.2 * (3 * 4.0 + 2.1)))


def test_without_a_sampled_length_the_quick_end_is_a_quarter_of_the_limit() -> None:
    told = time_forecast(config(), SPEED, prompt=10)
    assert told.lengths == (12.5, 50)
    assert not told.observed
    assert "as sampled" not in told.sentence()


@pytest.mark.parametrize(("every", "readings"), [(0, 2), (3, 5), (5, 3), (10, 2), (20, 2)])
def test_evaluations_before_during_and_after(every: int, readings: int) -> None:
    told = time_forecast(config(every=every), SPEED, prompt=10, held_out=6)
    assert told.evaluations == readings
    assert told.evaluation[1] == pytest.approx(1.2 * 6 * 100 / 100)
    assert told.total[1] == pytest.approx(10 * told.step[1] + readings * told.evaluation[1])
    assert f"{readings} evaluations of" in told.sentence()


def test_nothing_held_out_nothing_evaluated() -> None:
    told = time_forecast(config(every=1), SPEED, prompt=10)
    assert (told.evaluations, told.evaluation) == (0, (0.0, 0.0))
    assert "evaluation" not in told.sentence()


def test_a_range_even_where_every_sample_ran_to_the_limit() -> None:
    low, high = time_forecast(config(), SPEED, prompt=10, mean_length=50.0).step
    assert high == pytest.approx(1.5 * low)


def test_a_response_longer_than_a_micro_batch_has_one_of_its_own() -> None:
    told = time_forecast(config(), SPEED, prompt=400, mean_length=50.0)
    assert told.step[1] == pytest.approx(1.2 * (4.0 + (400 + 8 * 400) / 200))


def test_as_a_dict_it_says_how_it_was_measured() -> None:
    told: TimeForecast = time_forecast(config(), SPEED, prompt=10)
    found = as_dict(told, SPEED)
    assert found is not None
    assert found["how"].startswith("measured: sampling 100 tokens/s (320 tokens, 8 rows at once), learning 200")
    assert found["total"] == told.total
    assert as_dict(None, None) is None


def test_test_tasks_are_read_with_the_dev_set() -> None:
    """6 responses of 100 tokens, and 5 of 40: 800 tokens in all, at 100 tokens a second."""
    told = time_forecast(config(every=5), SPEED, prompt=10, mean_length=20.0, held_out=6, tasks=[(5, 40)])
    assert told.evaluations == 3
    assert told.evaluation == pytest.approx((0.8 * 8 * 20 / 50, 1.2 * 8))
    alone = time_forecast(config(), SPEED, prompt=10, tasks=[(5, 40), (1, 10)])
    assert (alone.evaluations, alone.evaluation[1]) == (2, pytest.approx(1.2 * 2.1))


def test_drift_is_a_forward_pass_with_each_reading_and_the_bases_answers_once() -> None:
    """6 answers of 100: (10 + 100) · 6 / 200 s as if learned; of 40, a third of (10 + 40) · 6 / 200. 600 sampled once.

    Of a larger dev set 32 are used.
    """
    without = time_forecast(config(), SPEED, prompt=10, mean_length=20.0, held_out=6)
    told = time_forecast(config(drift=True), SPEED, prompt=10, mean_length=20.0, held_out=6)
    more = [a - b for a, b in zip(told.evaluation, without.evaluation, strict=True)]
    assert more == pytest.approx([0.8 * 50 * 6 / 200 / 3, 1.2 * 110 * 6 / 200])
    assert told.before == pytest.approx((0.8 * 6 * 40 / 100, 1.2 * 6 * 100 / 100))
    assert without.before == (0.0, 0.0)
    assert told.total[1] == pytest.approx(10 * told.step[1] + 2 * told.evaluation[1] + told.before[1])
    assert "transfer map" not in told.sentence()
    many = time_forecast(config(drift=True), SPEED, prompt=10, held_out=500)
    assert many.before[1] == pytest.approx(1.2 * 32 * 100 / 100)


def test_the_transfer_map_is_sampled_and_learned_from_once() -> None:
    """8 responses of 50 to 6 problems and to 16 times the example: 8,800 tokens sampled, and learned with 22 prompts.

    Of a larger dev set 128 problems are used.
    """
    told = time_forecast(config(transfer_map=8), SPEED, prompt=10, mean_length=20.0, held_out=6)
    assert told.before[1] == pytest.approx(1.2 * (8800 / 100 + (8800 + 220) / 200))
    assert told.before[0] == pytest.approx(0.8 * (3520 / 100 + (3520 + 220) / 200))
    assert told.sentence().endswith("before them, mostly the transfer map")
    many = time_forecast(config(transfer_map=8), SPEED, prompt=10, held_out=500)
    assert many.before[1] == pytest.approx(1.2 * (144 * 400 / 100 + (144 * 400 + 1440) / 200))
    assert time_forecast(config(transfer_map=8), SPEED, prompt=10).before == (0.0, 0.0)
