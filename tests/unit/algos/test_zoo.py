"""Named algorithms: what they are made of, what they need scored, and what a wrong option says."""

from __future__ import annotations

import pytest
import torch

from oneshot.algos import credit, penalty, weighting
from oneshot.algos.algorithm import configured
from oneshot.algos.zoo import ALGORITHMS
from oneshot.errors import UsageError


def test_names() -> None:
    assert {"grpo", "dr_grpo"} <= set(ALGORITHMS.names())


def test_compositions() -> None:
    grpo, dr_grpo = ALGORITHMS.build("grpo"), ALGORITHMS.build("dr_grpo")
    assert (grpo.credit, grpo.weighting) == (credit.z_scored, weighting.token_mean)
    assert (dr_grpo.credit, dr_grpo.weighting) == (credit.centred, weighting.fixed_length)


def test_an_option_reaches_the_surrogate() -> None:
    up = torch.full((1, 1), 0.5)  # ρ = e^.5 = 1.65
    one, zero = torch.ones(1, 1), torch.zeros(1, 1)
    assert float(ALGORITHMS.build("grpo").surrogate(up, zero, one)) == pytest.approx(-1.2)
    assert float(ALGORITHMS.build("grpo", {"clip_high": 0.28}).surrogate(up, zero, one)) == pytest.approx(-1.28)
    assert float(ALGORITHMS.build("dr_grpo", {"clip_low": "0.4"}).surrogate(-up, zero, -one)) == pytest.approx(
        0.6065307
    )


def test_needs() -> None:
    algorithm = ALGORITHMS.build("grpo")
    assert algorithm.needs == frozenset()
    assert configured(algorithm, {"kl": 0.001}).needs == {"reference"}
    assert configured(algorithm, {"updates": 2}).needs == {"old"}
    assert configured(algorithm, {"updates": 2, "kl": 0.1}).needs == {"old", "reference"}


def test_configured_changes_only_what_it_is_told() -> None:
    before = ALGORITHMS.build("grpo")
    after = configured(before, {"kl_of": penalty.k2, "entropy": 0.5, "weighting": weighting.sequence_mean})
    assert (after.kl_of, after.entropy, after.weighting) == (penalty.k2, 0.5, weighting.sequence_mean)
    assert (after.credit, after.surrogate, after.policy, after.kl) == (before.credit, before.surrogate, 1.0, 0.0)
    assert before.entropy == 0.0


@pytest.mark.parametrize(
    ("name", "options", "code", "said"),
    [
        ("drgrpo", {}, "E102", "Did you mean 'dr_grpo'?"),
        ("nothing-like-it", {}, "E102", "Known: "),
        ("grpo", {"clip_hi": 0.3}, "E101", "Did you mean 'clip_high'?"),
        ("grpo", {"zzz": 1}, "E101", "It takes: clip_low, clip_high."),
        ("grpo", {"clip_low": "wide"}, "E103", "option 'clip_low': 'wide' is not a float"),
        ("grpo", {"clip_low": True}, "E103", "True is not a float"),
        ("grpo", {"clip_low": None}, "E103", "None is not a float"),
    ],
)
def test_a_wrong_name_or_option_says_what_is_near(name: str, options: dict[str, object], code: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        ALGORITHMS.build(name, options)
    assert caught.value.code == code
    assert caught.value.exit_code == 2
    assert said in caught.value.message
