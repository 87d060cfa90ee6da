"""Prompt embeddings: the mean of the last hidden states, whatever a prompt is padded with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from oneshot.train.curriculum import embedding
from oneshot.train.curriculum.embedding import mean_hidden
from oneshot.types import Problem
from tests.parts import tiny_policy

PROMPTS = {f"p{i}": tuple(range(5 + i, 7 + 3 * i)) for i in range(5)}
PROBLEMS = [Problem(id=key, prompt="?", answer="7") for key in PROMPTS]


def render(problem: Problem) -> tuple[int, ...]:
    return PROMPTS[problem.id]


def test_it_is_the_mean_of_each_prompt_alone() -> None:
    policy = tiny_policy()
    found = mean_hidden(policy, render, PROBLEMS)
    assert found.shape == (5, 32)
    assert found.dtype == np.float32
    for row, tokens in zip(found, PROMPTS.values(), strict=True):
        with torch.no_grad():
            hidden = policy.decoder(input_ids=torch.tensor([tokens])).last_hidden_state[0]
        assert row == pytest.approx(hidden.mean(0).numpy(), abs=1e-5)


def test_equal_prompts_have_equal_vectors_and_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, rows = tiny_policy(), []
    forward = policy.decoder.forward

    def counted(*args: object, **kwargs: torch.Tensor) -> object:
        rows.append(len(kwargs["input_ids"]))
        return forward(*args, **kwargs)

    monkeypatch.setattr(policy.decoder, "forward", counted)
    monkeypatch.setattr(embedding, "ROWS", 2)
    found = mean_hidden(policy, render, [*PROBLEMS, *PROBLEMS])
    assert (found[:5] == found[5:]).all()
    assert rows == [2, 2, 1]


def test_it_comes_out_alike_each_time() -> None:
    assert (mean_hidden(tiny_policy(), render, PROBLEMS) == mean_hidden(tiny_policy(), render, PROBLEMS)).all()
    assert (mean_hidden(tiny_policy(seed=1), render, PROBLEMS) != mean_hidden(tiny_policy(), render, PROBLEMS)).any()
