"""The Triton kernels against plain torch in float64: values, gradients, tokens.

On a GPU as they are; without one under `TRITON_INTERPRET=1`, where triton is installed, on the CPU.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor

from oneshot.model import logprobs
from oneshot.rollout import attend
from oneshot.rollout import draw as drawing
from oneshot.rollout.fixed import FixedDecoding, Means
from oneshot.types import Sampling
from tests.parts import tiny_policy

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
CUDA = torch.cuda.is_available() and not INTERPRETED
DEVICE = torch.device("cuda" if CUDA else "cpu")
pytestmark = [
    pytest.mark.skipif(find_spec("triton") is None, reason="needs triton, which is not installed"),
    pytest.mark.skipif(not (CUDA or INTERPRETED), reason="needs a CUDA GPU, or TRITON_INTERPRET=1 with triton"),
    # numpy below 2.4, which the interpreter of Triton 3.6 needs for `test_attention`
    pytest.mark.filterwarnings("ignore:Conversion of an array with ndim:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:All-NaN slice:RuntimeWarning"),
]
DTYPES = [torch.float32, torch.bfloat16]
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
"""Of ‖found − exact‖ / ‖exact‖, exact in float64 from the same rounded inputs."""


def apart(found: Tensor, exact: Tensor) -> float:
    return float((found.detach().double() - exact.detach()).norm() / exact.detach().norm())


def head_results(head: Any, hidden_NH: Tensor, weight_VH: Tensor, target_N: Tensor, temperature: float) -> list[Tensor]:
    """Values and gradients of an uneven mixture."""
    leaves = [t.detach().clone().requires_grad_() for t in (hidden_NH, weight_VH)]
    values = head(*leaves, target_N, temperature)
    rising_N = torch.linspace(-1, 2, len(target_N), dtype=values[0].dtype, device=DEVICE)
    loss = (rising_N * values[0]).sum() + (rising_N.flip(0).square() * values[1]).sum()
    return [t.detach() for t in (*values, *torch.autograd.grad(loss, leaves))]


def head_inputs(tokens: int, words: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    maker = torch.Generator(DEVICE).manual_seed(tokens + words)
    hidden_NH = torch.randn(tokens, 48, generator=maker, device=DEVICE).to(dtype)
    weight_VH = (torch.randn(words, 48, generator=maker, device=DEVICE) / 3).to(dtype)
    return hidden_NH, weight_VH, torch.randint(words, (tokens,), generator=maker, device=DEVICE)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("words", [5, 4096, 5000, *([49_152, 151_936] if CUDA else [])])
def test_head_values_and_gradients(
    words: int, temperature: float, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oneshot.model import fused_head

    monkeypatch.setattr(fused_head, "CHUNK_BYTES", 4 * words * 7)  # several chunks, the last one shorter
    hidden_NH, weight_VH, target_N = head_inputs(23, words, dtype)
    found = head_results(fused_head.FusedLogProb.apply, hidden_NH, weight_VH, target_N, temperature)
    exact = head_results(logprobs.chunked, hidden_NH.double(), weight_VH.double(), target_N, temperature)
    # On a CPU the logits themselves are rounded to bfloat16.
    slack = 4.0 if dtype == torch.bfloat16 and not CUDA else 1.0
    names = ("logp", "entropy", "entropy1", "d_hidden", "d_weight")
    gaps = {name: apart(f, e) for name, f, e in zip(names, found, exact, strict=True)}
    assert max(gaps.values()) < slack * TOLERANCE[dtype], gaps
    assert [t.dtype for t in found] == [torch.float32] * 3 + [dtype] * 2
    if CUDA and dtype == torch.bfloat16:
        assert max(gaps[name] for name in names[:3]) < 1e-5, gaps  # float32 logits, not rounded ones


def test_head_with_extreme_logits_stays_finite() -> None:
    from oneshot.model.fused_head import FusedLogProb

    hidden_NH, weight_VH, target_N = head_inputs(9, 5000, torch.float32)
    for values in head_results(FusedLogProb.apply, 1e4 * hidden_NH, weight_VH, target_N, 0.6):
        assert bool(values.isfinite().all())


def test_head_of_a_nan_is_a_nan_and_of_its_row_alone() -> None:
    from oneshot.model.fused_head import FusedLogProb

    hidden_NH, weight_VH, target_N = head_inputs(9, 5000, torch.float32)
    hidden_NH[3, 0] = torch.nan
    for values in FusedLogProb.apply(hidden_NH, weight_VH, target_N, 0.6):  # type: ignore[no-untyped-call]
        assert values.isnan().nonzero()[:, 0].tolist() == [3]


@pytest.mark.parametrize("alone", [0, 1])
def test_head_with_one_slope_and_a_frozen_side(alone: int) -> None:
    from oneshot.model.fused_head import FusedLogProb

    hidden_NH, weight_VH, target_N = head_inputs(9, 300, torch.float32)
    for head in (hidden_NH.requires_grad_(), weight_VH.requires_grad_()):
        found, exact = (
            torch.autograd.grad(function(hidden_NH, weight_VH, target_N, 0.6)[alone].sum(), head)[0]
            for function in (FusedLogProb.apply, logprobs.chunked)
        )
        assert apart(found, exact.double()) < 1e-5
        head.requires_grad_(False)


def test_head_of_no_tokens() -> None:
    from oneshot.model.fused_head import FusedLogProb

    hidden_NH, weight_VH, target_N = head_inputs(3, 300, torch.float32)
    values = FusedLogProb.apply(hidden_NH[:0], weight_VH, target_N[:0], 0.6)  # type: ignore[no-untyped-call]
    assert [len(v) for v in values] == [0, 0, 0]


# The interpreter multiplies bfloat16 matrices as if their bits were integers.
@pytest.mark.parametrize("dtype", DTYPES if CUDA else DTYPES[:1], ids=str)
@pytest.mark.parametrize(("heads", "shared", "dim"), [(12, 2, 128), (9, 3, 64), (4, 4, 16), (4, 1, 8), (6, 2, 80)])
def test_attention(heads: int, shared: int, dim: int, dtype: torch.dtype) -> None:
    assert attend.attention_apart(DEVICE, dtype, heads, shared, dim) < TOLERANCE[dtype]


def test_attention_reads_nothing_behind_a_rows_end() -> None:
    from oneshot.rollout.kernels import attend as kernel

    maker = torch.Generator(DEVICE).manual_seed(1)
    query, key, value = (
        torch.randn(shape, generator=maker, device=DEVICE) for shape in ((3, 6, 1, 32), (3, 2, 96, 32), (3, 2, 96, 32))
    )
    length_R = torch.tensor([1, 64, 70], dtype=torch.int32, device=DEVICE)
    clean = kernel(query, key, value, length_R, 0.2)
    for row, length in enumerate(length_R.tolist()):
        key[row, :, length:], value[row, :, length:] = torch.nan, torch.nan
    assert torch.equal(kernel(query, key, value, length_R, 0.2), clean)


@pytest.mark.parametrize("temperature", [0.6, 1.0])
@pytest.mark.parametrize("words", [7, 4096, 9000, *([151_936] if CUDA else [])])
def test_draws(words: int, temperature: float) -> None:
    assert attend.draws_apart(DEVICE, words, temperature) <= attend.FLIPS


def test_draws_by_hand() -> None:
    from oneshot.rollout.kernels import draw

    probabilities = torch.tensor([0.0, 0.5, 0.0, 0.25, 0.25, 0.0], device=DEVICE)
    numbers = [0.0, 0.49, 0.51, 0.74, 0.76, 1 - 2**-53]
    logits_RV = (probabilities.log() * 0.5 + 3).expand(6, -1).contiguous()
    tokens_R, logp_R = draw(logits_RV, torch.tensor(numbers, dtype=torch.float64, device=DEVICE), 0.5)
    assert tokens_R.tolist() == [1, 1, 3, 3, 4, 4]  # the last is next to 1 and still no token without probability
    assert logp_R.exp().tolist() == pytest.approx([0.5, 0.5, 0.25, 0.25, 0.25, 0.25], abs=1e-6)


def test_draws_follow_the_distribution_across_blocks() -> None:
    from oneshot.rollout.kernels import WORDS, draw

    probabilities = torch.zeros(2 * WORDS + 10, device=DEVICE)
    places = torch.tensor([3, WORDS - 1, WORDS, 2 * WORDS + 9], device=DEVICE)
    probabilities[places] = torch.tensor([0.1, 0.2, 0.3, 0.4], device=DEVICE)
    rows = 400
    uniform_R = (torch.arange(rows, device=DEVICE, dtype=torch.float64) + 0.5) / rows
    tokens_R, _ = draw(probabilities.log().expand(rows, -1).contiguous(), uniform_R, 1.0)
    assert [int((tokens_R == place).sum()) for place in places] == [40, 80, 120, 160]
    logits_RV = probabilities.log().expand(3, -1).contiguous()
    expected, _ = drawing.draw(logits_RV, uniform_R[::150], 1.0)
    assert torch.equal(draw(logits_RV, uniform_R[::150].contiguous(), 1.0)[0], expected)


def test_decoding_with_kernels_is_decoding_without() -> None:
    policy, sampling = tiny_policy(eos=range(0, 260, 20)), Sampling(temperature=0.8, max_new_tokens=10, seed=3)
    policy.model.to(DEVICE)
    prompts, streams = [(5, 17, 40)] * 5 + [tuple(range(60, 130))] * 5, [(0, i) for i in range(10)]
    with torch.inference_mode():
        plain, found = (
            FixedDecoding(policy, 16, prompts, sampling, streams, None, Means(attend=kernels, draw=kernels)).run(
                lambda: None
            )
            for kernels in (False, True)
        )
    assert sum(a.tokens != b.tokens for a, b in zip(found, plain, strict=True)) <= 1
    assert len({c.tokens for c in plain}) > 5
    for one, other in zip(found, plain, strict=True):
        if one.tokens == other.tokens:
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
