"""One token from one uniform number: inverse CDF, temperature, greedy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from oneshot.rollout.native import _draw, _Row, _uniform
from oneshot.types import Sampling

PROBABILITIES = (0.5, 0.25, 0.125, 0.1, 0.025)


def rows_with(uniform: Sequence[float]) -> list[_Row | None]:
    return [_Row(i, np.array([u])) for i, u in enumerate(uniform)]


def draw(uniform: Sequence[float], probabilities: Sequence[float], temperature: float) -> tuple[list[int], list[float]]:
    logits = torch.tensor(probabilities).log() * temperature + 3.0
    return _draw(logits.expand(len(uniform), -1), rows_with(uniform), temperature)


@pytest.mark.parametrize("temperature", [0.6, 1.0])
def test_inverse_cdf_by_hand(temperature: float) -> None:
    uniform = [0.0, 0.49, 0.51, 0.74, 0.76, 0.874, 0.876, 0.974, 0.976, 1 - 2**-53]
    tokens, logp = draw(uniform, PROBABILITIES, temperature)
    assert tokens == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert logp == pytest.approx([math.log(PROBABILITIES[token]) for token in tokens], abs=1e-6)


def test_impossible_tokens_are_never_drawn() -> None:
    tokens, _ = draw([0.0, 0.3, 0.6, 0.999999], [0.0, 0.5, 0.0, 0.5, 0.0], 1.0)
    assert tokens == [1, 1, 3, 3]


@pytest.mark.parametrize("temperature", [0.6, 1.0])
def test_the_draws_follow_the_distribution(temperature: float) -> None:
    uniform = np.random.Generator(np.random.Philox(7)).random(20_000)
    tokens, _ = draw(uniform.tolist(), PROBABILITIES, temperature)
    seen = np.bincount(tokens, minlength=5)
    expected = 20_000 * np.array(PROBABILITIES)
    assert float(((seen - expected) ** 2 / expected).sum()) < 18.5  # the .999 quantile with 4 degrees of freedom


def test_temperature_sharpens_and_the_log_prob_is_that_of_the_tempered_distribution() -> None:
    logits_RV = torch.tensor([[0.0, math.log(3)]])
    (token,), (logp,) = _draw(logits_RV, rows_with([0.05]), 0.5)  # odds 1 : 9
    assert token == 0
    assert logp == pytest.approx(math.log(0.1), abs=1e-6)
    (token,), (logp,) = _draw(logits_RV, rows_with([0.15]), 0.5)
    assert token == 1
    assert logp == pytest.approx(math.log(0.9), abs=1e-6)
    assert _draw(logits_RV, rows_with([0.15]), 1.0)[0] == [0]  # odds 1 : 3


def test_greedy_takes_the_largest_and_reports_no_log_prob() -> None:
    logits_RV = torch.tensor([[1.0, 3.0, 2.0], [5.0, 3.0, 2.0]])
    assert _draw(logits_RV, rows_with([0.999, 0.999]), 0.0) == ([1, 0], [])


def test_rows_kept_for_their_shape_use_up_no_number() -> None:
    logits_RV = torch.tensor([PROBABILITIES] * 2).log()
    live = _Row(0, np.array([0.9, 0.1]), tokens=[4])
    tokens, _ = _draw(logits_RV, [None, live], 1.0)
    assert tokens[1] == 0  # it is at its second number, .1, because it has one token


def test_streams_differ_in_seed_step_and_sample_and_in_nothing_else() -> None:
    base = _uniform(Sampling(seed=1, max_new_tokens=5), 2, 3)
    assert base.shape == (5,)
    assert bool((base >= 0).all() and (base < 1).all())
    assert base.tolist() == _uniform(Sampling(seed=1, max_new_tokens=5, temperature=0.3), 2, 3).tolist()
    longer = _uniform(Sampling(seed=1, max_new_tokens=9), 2, 3)
    assert longer[:5].tolist() == base.tolist()  # the limit does not change the numbers before it
    for seed, step, sample in ((0, 2, 3), (1, 3, 3), (1, 2, 4), (2, 1, 3), (1, 3, 2)):
        assert _uniform(Sampling(seed=seed, max_new_tokens=5), step, sample).tolist() != base.tolist()
    assert _uniform(Sampling(temperature=0), 2, 3).size == 0
