"""What prompts begin with in common is run once, and nothing else changes."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oneshot.model.policy import Policy
from oneshot.rollout import prefill as module
from oneshot.rollout.native import NativeEngine
from oneshot.rollout.prefill import Prefilled, prefill
from oneshot.rollout.prefixes import Prompt, shared
from oneshot.types import Sampling

HEADER = tuple(range(20, 32))
SOLVED = (*HEADER, *range(40, 49))
PROMPTS: list[Prompt] = [
    (*SOLVED, 50, 51),
    (*SOLVED, 52),
    (*HEADER, 60, 61, 62, 63, 64),
    (70, 71, 72),
    (*SOLVED, 53, 54, 55, 56),
]
"""Three begin with 21 tokens, these and another with 12 of them, one stands alone."""


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beginnings of 6 tokens are worth it."""
    monkeypatch.setattr(module, "shared", partial(shared, least=6))


def test_by_hand() -> None:
    assert shared([(1, 2, 3, 4), (1, 2, 3, 5), (1, 2, 9)], 1) == {
        (1, 2, 3, 4): (2, 3), (1, 2, 3, 5): (2, 3), (1, 2, 9): (2,)
    }  # fmt: skip
    assert shared([(1, 2, 3, 4), (1, 2, 3, 5), (1, 2, 9)], 3) == {(1, 2, 3, 4): (3,), (1, 2, 3, 5): (3,)}
    assert shared([(1, 2, 3), (1, 2, 3, 4)], 2) == {(1, 2, 3): (2,), (1, 2, 3, 4): (2,)}
    assert shared([(1, 2, 3), (1, 2, 3)], 1) == {}
    assert shared([], 1) == {}
    assert shared(PROMPTS, 6) == {p: (12, 21) for p in PROMPTS if p[:21] == SOLVED} | {PROMPTS[2]: (12,)}
    assert shared(PROMPTS) == {}


def common(a: Prompt, b: Prompt) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


@given(
    st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=12).map(tuple), min_size=2, max_size=12),
    st.integers(1, 4),
)
def test_every_beginning_is_worth_it_and_none_is_missed(prompts: list[Prompt], least: int) -> None:
    found = shared(prompts, least)
    assert set(found) <= set(prompts)
    for prompt, lengths in found.items():
        for before, length in zip((0, *lengths), lengths, strict=False):
            assert least <= length - before
            assert length < len(prompt)
            assert any(length <= common(prompt, other) for other in set(prompts) - {prompt})
    for a in set(prompts):
        for b in set(prompts) - {a}:
            both = {0, *found.get(a, ())} & {0, *found.get(b, ())}
            assert max(x for x in both if x <= common(a, b)) > common(a, b) - 1 - least


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("kept", [8192, 1])
def test_the_same_keys_values_and_hidden_states(policy: Policy, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", kept)
    prefilled = Prefilled(policy, PROMPTS)
    with torch.inference_mode():
        for group in (PROMPTS, PROMPTS[:2], PROMPTS[1:3], PROMPTS[3:], PROMPTS[4:]):
            plain, wanted_PH = prefill(policy, group)
            cache, hidden_PH = prefilled(group)
            torch.testing.assert_close(hidden_PH, wanted_PH, rtol=1e-4, atol=1e-5)
            assert cache.slots.used == max(map(len, group))
            for mine, theirs in zip(cache.layers, plain.layers, strict=True):
                for i, prompt in enumerate(group):
                    for name in ("keys", "values"):
                        got, want = (getattr(layer, name)[i, :, : len(prompt)] for layer in (mine, theirs))
                        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
                assert bool(torch.isfinite(mine.keys).all() & torch.isfinite(mine.values).all())


@pytest.mark.usefixtures("short")
def test_each_beginning_is_run_once(policy: Policy) -> None:
    prefilled = Prefilled(policy, PROMPTS)
    with torch.inference_mode():
        prefilled(PROMPTS)
        assert prefilled.tokens == 12 + 9 + (2 + 1 + 5 + 3 + 4)
        prefilled(PROMPTS[:2])
    assert prefilled.tokens == 36 + (2 + 1)
    assert sum(map(len, PROMPTS)) == 90


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_same_responses(policy: Policy, fixed: bool, temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    sampling = Sampling(temperature=temperature, max_new_tokens=12, seed=3)
    asked = PROMPTS * 5
    streams = [(0, i) for i in range(len(asked))]

    def responses() -> list[tuple[int, ...]]:
        engine = NativeEngine(policy, batch=16, fixed=fixed)
        return [made.tokens for made in engine.generate(asked, sampling, streams)]

    plain = responses()
    runs: list[tuple[int, ...]] = []
    monkeypatch.setattr(module, "shared", lambda prompts: runs.extend(prompts) or shared(prompts, 6))
    assert responses() == plain
    assert set(runs) == set(PROMPTS)


def test_an_engine_that_may_not_share(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(module, "shared", lambda prompts: asked.append(len(list(prompts))) or {})
    for share in (True, False):
        for fixed in (False, True):
            engine = NativeEngine(policy, fixed=fixed)
            assert engine.share  # every layer of this model attends to everything
            engine.share = share
            engine.generate(PROMPTS, Sampling(temperature=0.0, max_new_tokens=2), [(0, i) for i in range(5)])
    assert asked == [5, 5, 0, 0]


@pytest.mark.usefixtures("short")
def test_rows_with_much_left_do_not_lengthen_the_others(policy: Policy, shapes: list[tuple[int, ...]]) -> None:
    alone = tuple(range(100, 140))
    with torch.inference_mode():
        cache, _ = Prefilled(policy, [*PROMPTS, alone])([*PROMPTS, alone])
    assert shapes == [(1, 12), (1, 9), (2, 3), (1, 1), (2, 5), (1, 40)]
    assert cache.slots.used == 40
