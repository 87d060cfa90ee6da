"""Which code computes the head, and why: what can be said of it without a GPU. The kernels' tests are in tests/gpu."""

from __future__ import annotations

import math
import sys
import types

import pytest
import torch

from oneshot.model import kernels, logprobs, wide
from oneshot.model.logprobs import fast_head


def test_on_a_cpu_and_for_float64_it_is_torch() -> None:
    assert fast_head("cpu") == "torch chunks: the model is on cpu"
    assert fast_head(torch.device("cpu"), torch.float32, 260) == "torch chunks: the model is on cpu"
    assert logprobs.why_not_fused(torch.device("cuda"), torch.float64, 260) == "there is no kernel for torch.float64"


def test_without_triton_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton.errors", None)
    assert kernels.refusal(lambda: 0.0, 1e-3) == "triton is not installed"


class TritonError(Exception):
    pass


@pytest.fixture
def triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the package, as far as `refusal` looks at it."""
    errors = types.ModuleType("triton.errors")
    errors.TritonError = TritonError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "triton", types.ModuleType("triton"))
    monkeypatch.setitem(sys.modules, "triton.errors", errors)


@pytest.mark.usefixtures("triton")
@pytest.mark.parametrize(
    ("apart", "reason"),
    [
        (0.0, ""),
        (1e-3, ""),
        (2e-3, "the kernels are off by 2.0e-03 from plain torch, allowed is 1e-03"),
        (math.nan, "the kernels are off by nan from plain torch, allowed is 1e-03"),
    ],
)
def test_numbers_decide(apart: float, reason: str) -> None:
    assert kernels.refusal(lambda: apart, 1e-3) == reason


@pytest.mark.usefixtures("triton")
@pytest.mark.parametrize("error", [TritonError("no\n  such op"), RuntimeError("no such op"), OSError("no such op")])
def test_what_cannot_run_is_refused_with_its_own_words(error: Exception) -> None:
    def apart() -> float:
        raise error

    assert kernels.refusal(apart, 1e-3) == f"the kernels failed: {type(error).__name__}: no such op"


@pytest.mark.usefixtures("triton")
def test_memory_that_runs_out_is_no_verdict() -> None:
    def apart() -> float:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        kernels.refusal(apart, 1e-3)


def test_the_comparison_of_both_codes_finds_a_wrong_one(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cpu")
    monkeypatch.setattr(logprobs, "_fused", lambda: logprobs.chunked)
    assert logprobs._worst(device, torch.float32, 300) == 0
    with torch.inference_mode():  # it may be asked for while sampling
        assert logprobs._worst(device, torch.bfloat16, 300) == 0

    for factor in (1.1, math.nan):

        def wrong(*given: object, factor: float = factor) -> tuple[torch.Tensor, ...]:
            logp, entropy, entropy1 = logprobs.chunked(*given)  # type: ignore[arg-type]
            return logp, factor * entropy, entropy1

        monkeypatch.setattr(logprobs, "_fused", lambda wrong=wrong: wrong)
        assert not logprobs._worst(device, torch.float32, 300) <= max(logprobs._TOLERANCE.values())


def test_the_comparison_leaves_the_random_state_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logprobs, "_fused", lambda: logprobs.chunked)
        logprobs._worst(torch.device("cpu"), torch.float32, 300)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_wide_product_has_the_dtype_of_sums(dtype: torch.dtype) -> None:
    x, y = torch.randn(5, 7).to(dtype), torch.randn(7, 3).to(dtype)
    found = wide.product(x, y)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(found, (x @ y).to(found.dtype), atol=0, rtol=0)
