"""One token from one uniform number: inverse CDF, temperature, greedy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from oneshot.rollout.draw import Filters, uniform
from oneshot.rollout.draw import draw as draw_tokens
from oneshot.types import Sampling

PROBABILITIES = (0.5, 0.25, 0.125, 0.1, 0.025)


def tokens_of(
    logits_RV: Tensor, numbers: Sequence[float], temperature: float, filters: Filters | None = None
) -> tuple[list[int], list[float]]:
    tokens_R, logp_R = draw_tokens(logits_RV, torch.tensor(numbers, dtype=torch.float64), temperature, filters)
    return tokens_R.tolist(), [] if logp_R is None else logp_R.tolist()


def draw(numbers: Sequence[float], probabilities: Sequence[float], temperature: float) -> tuple[list[int], list[float]]:
    logits = torch.tensor(probabilities).log() * temperature + 3.0
    return tokens_of(logits.expand(len(numbers), -1), numbers, temperature)


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
    (token,), (logp,) = tokens_of(logits_RV, [0.05], 0.5)  # odds 1 : 9
    assert token == 0
    assert logp == pytest.approx(math.log(0.1), abs=1e-6)
    (token,), (logp,) = tokens_of(logits_RV, [0.15], 0.5)
    assert token == 1
    assert logp == pytest.approx(math.log(0.9), abs=1e-6)
    assert tokens_of(logits_RV, [0.15], 1.0)[0] == [0]  # odds 1 : 3


def test_greedy_takes_the_largest_and_reports_no_log_prob() -> None:
    logits_RV = torch.tensor([[1.0, 3.0, 2.0], [5.0, 3.0, 2.0]])
    assert tokens_of(logits_RV, [0.999, 0.999], 0.0) == ([1, 0], [])
    assert tokens_of(logits_RV, [0.999, 0.999], 0.0, Filters(top_p=0.5, min_p=0.5)) == ([1, 0], [])


def kept(filters: Filters, probabilities: Sequence[float] = PROBABILITIES) -> list[int]:
    filtered = filters.apply(torch.tensor([probabilities]).log())[0]
    assert torch.equal(filtered[filtered.isfinite()], torch.tensor(probabilities).log()[filtered.isfinite()])
    return filtered.isfinite().nonzero()[:, 0].tolist()


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), [0, 1, 2, 3, 4]),
        (Filters(top_k=2), [0, 1]),
        (Filters(top_k=9), [0, 1, 2, 3, 4]),
        (Filters(top_p=0.74), [0, 1]),  # .5 does not reach it, .5 + .25 does
        (Filters(top_p=0.76), [0, 1, 2]),
        (Filters(top_p=0.0), [0]),  # the likeliest always stays
        (Filters(min_p=0.22), [0, 1, 2]),  # .22 of .5 is .11
        (Filters(min_p=1.0), [0]),
        (Filters(top_k=2, top_p=0.6), [0]),  # of what top-k left, the first has 2/3
        (Filters(top_k=3, top_p=0.6), [0, 1]),  # and 4/7 of three
    ],
)
def test_filters_by_hand(filters: Filters, expected: list[int]) -> None:
    assert kept(filters) == expected
    backwards = kept(filters, PROBABILITIES[::-1])
    assert backwards == [4 - token for token in reversed(expected)]


def test_top_k_keeps_ties_and_top_p_the_first_of_them() -> None:
    assert kept(Filters(top_k=1), (0.4, 0.4, 0.2)) == [0, 1]
    assert kept(Filters(top_p=0.3), (0.4, 0.4, 0.2)) == [0]


def test_log_prob_after_a_filter_is_that_of_what_is_left() -> None:
    logits_RV = torch.tensor([PROBABILITIES] * 3).log()
    tokens, logp = tokens_of(logits_RV, [0.1, 0.66, 0.67], 1.0, Filters(top_k=2))
    assert tokens == [0, 0, 1]
    assert logp == pytest.approx([math.log(2 / 3), math.log(2 / 3), math.log(1 / 3)], abs=1e-6)


def test_streams_differ_in_seed_step_and_sample_and_in_nothing_else() -> None:
    base = uniform(Sampling(seed=1, max_new_tokens=5), 2, 3)
    assert base.shape == (5,)
    assert bool((base >= 0).all() and (base < 1).all())
    assert base.tolist() == uniform(Sampling(seed=1, max_new_tokens=5, temperature=0.3), 2, 3).tolist()
    longer = uniform(Sampling(seed=1, max_new_tokens=9), 2, 3)
    assert longer[:5].tolist() == base.tolist()  # the limit does not change the numbers before it
    for seed, step, sample in ((0, 2, 3), (1, 3, 3), (1, 2, 4), (2, 1, 3), (1, 3, 2)):
        assert uniform(Sampling(seed=seed, max_new_tokens=5), step, sample).tolist() != base.tolist()
