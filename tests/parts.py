"""Small parts for tests of the numerical core: a tiny policy, groups with given tokens, a learner, an update."""

from __future__ import annotations

import copy
import resource
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from oneshot.algos.algorithm import Algorithm, configured
from oneshot.algos.zoo import ALGORITHMS
from oneshot.config.schema import Config, ModelConfig
from oneshot.data.packing import pack
from oneshot.model import attention, precision
from oneshot.model import policy as policies
from oneshot.model.policy import Policy
from oneshot.train.learner import AdamWSettings, Learner
from oneshot.types import Completion, Group, Problem, TokenBatch
from tests.tiny import save_tiny


@lru_cache(maxsize=4)
def _loaded(seed: int, hidden: int, layers: int) -> Policy:
    with tempfile.TemporaryDirectory() as folder:
        save_tiny(Path(folder), seed=seed, hidden=hidden, layers=layers)
        return policies.load(folder, home=Path(folder), offline=True)


def tiny_policy(
    *, seed: int = 0, hidden: int = 32, layers: int = 2, eos: Sequence[int] = (), dtype: torch.dtype = torch.float32
) -> Policy:
    """A tiny policy with weights of its own, on the CPU; in float64 it is float64 throughout."""
    made = _loaded(seed, hidden, layers)
    model = copy.deepcopy(made.model).cpu().to(dtype)
    if dtype == torch.float64:
        # transformers' own normalisation goes through float32, which would hide what is exact.
        norms = [(path, module) for path, module in model.named_modules() if hasattr(module, "variance_epsilon")]
        for path, module in norms:
            exact = torch.nn.RMSNorm(module.weight.shape[0], eps=module.variance_epsilon, dtype=dtype)
            exact.load_state_dict(module.state_dict())
            model.set_submodule(path, exact)
    attention.install(model)
    return replace(made, model=model, eos_ids=frozenset(eos) or made.eos_ids)


def lowered(policy: Policy) -> dict[torch.nn.Parameter, Tensor]:
    """Round a policy to bfloat16, as training does; returns the float32 values it had."""
    config = Config(model=ModelConfig(dtype="bfloat16"))
    return precision.lowered(policy.model, config, training=True)


def group(number: int, prompt: Sequence[int], responses: Sequence[Sequence[int]], rewards: Sequence[float]) -> Group:
    """A group of given responses; their sampler log-probs are −1 each."""
    return Group(
        id=number,
        problem=Problem(id=f"p{number}", prompt="?", answer="7"),
        prompt_tokens=tuple(prompt),
        completions=tuple(
            Completion(tokens=tuple(r), logprobs=(-1.0,) * len(r), text="", finished=True, reward=reward)
            for r, reward in zip(responses, rewards, strict=True)
        ),
        policy_version=0,
    )


def ragged_groups() -> list[Group]:
    """Two prompts in three groups, of which two share a prompt, with 11 responses of 1 to 9 tokens."""
    long, short = (5, 17, 40, 41, 90, 7), (9, 33, 8)
    return [
        group(3, long, [(4, 5, 6, 7), (50,), (60, 61, 62, 63, 64, 65, 66, 0), (10, 11)], [1, 0, 0, 1]),
        group(0, short, [(100, 101, 102), (7, 7, 7, 7, 7, 7, 7, 7, 7), (3, 0)], [0, 1, 0]),
        group(7, long, [(4, 5, 6, 8), (12, 13, 14), (200, 0), (30, 31, 32, 33, 34)], [1, 0, 0, 0]),
    ]


def grpo(**changes: Any) -> Algorithm:
    """The paper's algorithm, with some shared keys changed."""
    return configured(ALGORITHMS.build("grpo"), changes)


def learner_of(policy: Policy, algorithm: Algorithm, *, temperature: float = 1.0, **settings: Any) -> Learner:
    """A learner at lr 1e-3 unless told otherwise."""
    own = {name: settings.pop(name) for name in ("seed", "masters", "term_norms_every") if name in settings}
    return Learner(policy, algorithm, AdamWSettings(**{"lr": 1e-3, **settings}), temperature=temperature, **own)


def batch_of(groups: Sequence[Group], *, micro_tokens: int = 1024, packed: bool = True) -> TokenBatch:
    """The groups as one step."""
    return pack(groups, max_response=16, micro_tokens=micro_tokens, packed=packed)


def one_step(learner: Learner, batch: TokenBatch) -> dict[str, float]:
    """Score, credit, update, as the loop does."""
    scored = learner.score(batch, learner.algorithm.needs)
    return learner.update(scored, learner.algorithm.credit(scored))


def gradients(learner: Learner) -> Tensor:
    """All gradients of the last step as one vector."""
    return torch.cat([p.grad.flatten() for p in learner.parameters if p.grad is not None])


def apart(found: Tensor, expected: Tensor) -> float:
    """‖found − expected‖ / ‖expected‖."""
    return float((found - expected).detach().norm() / expected.detach().norm())


@contextmanager
def files_of_at_most(limit: int) -> Iterator[None]:
    """Writing further than `limit` bytes into a file fails, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
