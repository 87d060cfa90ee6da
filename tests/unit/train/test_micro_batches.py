"""What may not matter: packing, padding, and how a step is cut into micro-batches."""

from __future__ import annotations

import pytest
import torch

from oneshot.algos.algorithm import Algorithm, configured
from oneshot.algos.credit import less_kl, whitened
from oneshot.algos.weighting import WEIGHTINGS
from oneshot.algos.zoo import ALGORITHMS
from oneshot.types import Group
from tests.parts import apart, batch_of, gradients, group, grpo, learner_of, one_step, ragged_groups, tiny_policy

FULL = {"kl": 0.05, "entropy": 0.01, "updates": 2, "importance_cap": 2.0}
CASES = {
    "unequal lengths, two prompts": ragged_groups(),
    "one response": [group(0, (3, 4, 5), [(7, 8, 9)], [1])],
    "one token each": [group(0, (3, 4, 5), [(7,), (8,), (9,)], [1, 0, 0])],
    "one prompt in two groups": [
        group(1, (3, 4), [(7, 8), (9, 9, 9)], [1, 0]),
        group(0, (3, 4), [(7,), (1, 2, 3, 4)], [0, 1]),
    ],
    "prompt of one token": [group(0, (3,), [(7, 8, 9), (5,), (6, 6)], [0, 1, 0])],
}


def result(
    groups: list[Group], dtype: torch.dtype = torch.float32, algorithm: Algorithm | None = None, **layout: object
) -> tuple[dict[str, float], torch.Tensor, int]:
    """Metrics and gradient of the second step, where KL is no longer zero, and the number of micro-batches."""
    learner = learner_of(
        tiny_policy(dtype=dtype), algorithm or grpo(**FULL), temperature=0.6, grad_clip=0, lr=1e-3, eps=1e-3
    )
    batch = batch_of(groups, **layout)
    one_step(learner, batch)
    return one_step(learner, batch), gradients(learner), len(batch.micro)


COMPARED = {"loss", "policy", "kl", "entropy", "entropy_t1", "grad_norm", "mismatch/logprob"}


def assert_same(one: dict[str, float], other: dict[str, float], *, rel: float) -> None:
    for name in one.keys() & COMPARED:
        assert other[name] == pytest.approx(one[name], rel=rel, abs=rel * 1e-2), name
    share = "clip_ratio/region_mean"  # summed in float32
    assert other.get(share) == (pytest.approx(one[share], rel=1e-6) if share in one else None)


@pytest.mark.parametrize("case", CASES)
def test_packed_is_padded(case: str) -> None:
    packed, gradient, _ = result(CASES[case], packed=True)
    padded, other, _ = result(CASES[case], packed=False)
    assert_same(packed, padded, rel=1e-4)
    assert apart(other, gradient) < 1e-4


@pytest.mark.parametrize("case", CASES)
def test_packed_is_padded_in_float64(case: str) -> None:
    packed, gradient, _ = result(CASES[case], torch.float64, packed=True)
    padded, other, _ = result(CASES[case], torch.float64, packed=False)
    assert_same(packed, padded, rel=1e-9)
    assert apart(other, gradient) < 1e-9


def eight_rows() -> list[Group]:
    """Eight responses of one prompt of three tokens, 3 to 4 tokens long, in two groups."""
    rows = [tuple(range(10 * i, 10 * i + 3 + i % 2)) for i in range(1, 9)]
    return [group(1, (3, 4, 5), rows[:4], [1, 0, 0, 1]), group(0, (3, 4, 5), rows[4:], [0, 0, 1, 0])]


# (tokens of a micro-batch, number of micro-batches): 3 + 28 tokens, 3 + 7, and one response at a time.
@pytest.mark.parametrize("name", [*WEIGHTINGS.names(), *ALGORITHMS.names(), "kl in the reward"])
@pytest.mark.parametrize("packed", [True, False])
def test_one_four_and_eight_micro_batches_have_the_same_gradient(name: str, packed: bool) -> None:
    """With two updates a batch and a truncated importance weight, so that every tensor matters."""
    if name in WEIGHTINGS.names():
        algorithm = grpo(**FULL, weighting=WEIGHTINGS.build(name))
    elif name in ALGORITHMS.names():
        algorithm = configured(ALGORITHMS.build(name), FULL)
    else:
        algorithm = grpo(credit=less_kl(whitened(), 0.1))
    sizes = {1: 1000, 4: 10, 8: 1} if packed else {1: 1000, 4: 14, 8: 1}
    seen = {
        count: result(eight_rows(), torch.float64, algorithm, packed=packed, micro_tokens=tokens)
        for count, tokens in sizes.items()
    }
    assert {count: number for count, (_, _, number) in seen.items()} == {1: 1, 4: 4, 8: 8}
    for count in (4, 8):
        assert_same(seen[1][0], seen[count][0], rel=1e-9)
        assert apart(seen[count][1], seen[1][1]) < 1e-9


def test_the_gradients_differ_between_weightings() -> None:
    """The test above can tell weightings apart."""
    one, other = (
        result(eight_rows(), torch.float64, grpo(weighting=WEIGHTINGS.build(name)))[1]
        for name in ("token_mean", "sequence_mean")
    )
    assert apart(other, one) > 1e-3


def test_in_float32_the_micro_batches_agree_to_rounding() -> None:
    gradients_of = [result(ragged_groups(), micro_tokens=tokens)[1] for tokens in (1024, 24, 1)]
    for other in gradients_of[1:]:
        assert apart(other, gradients_of[0]) < 1e-4
