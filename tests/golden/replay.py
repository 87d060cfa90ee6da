"""Recorded rollouts through pack, score, credit and update, as the training loop does it. Nothing is sampled here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import LlamaConfig, LlamaForCausalLM

from oneshot.algos.algorithm import configured
from oneshot.algos.zoo import ALGORITHMS
from oneshot.data.packing import pack
from oneshot.model.policy import Policy
from oneshot.train.learner import AdamWSettings, Learner
from oneshot.train.weights import load_weights
from oneshot.types import Completion, Group, Problem
from tests.tiny import tokenizer

INPUTS = Path(__file__).parent / "tiny"
TEMPERATURE = 0.6
"""The paper's; so are KL .001 (k3), entropy .001, clip .2, weight decay .01 and gradient clip 1."""

ENDS = frozenset(range(0, 260, 8))
"""So many ids ended a response that the recorded lengths differ."""


def recorded() -> list[list[Group]]:
    """The groups of each step."""
    stored: dict[str, Any] = json.loads((INPUTS / "rollouts.json").read_text())
    groups = [
        Group(
            id=row["id"],
            problem=Problem(id=str(row["prompt"]), prompt="", answer="-"),
            prompt_tokens=tuple(row["prompt"]),
            completions=tuple(
                Completion(
                    tokens=tuple(tokens), logprobs=tuple(logprobs), text="", finished=tokens[-1] in ENDS, reward=reward
                )
                for tokens, logprobs, reward in zip(row["tokens"], row["logprobs"], row["rewards"], strict=True)
            ),
            policy_version=0,
        )
        for row in stored["groups"]
    ]
    size = stored["groups_per_step"]
    return [groups[start : start + size] for start in range(0, len(groups), size)]


def learner_of_recorded() -> Learner:
    """A learner on the stored weights. The learning rate is large, so that KL is not lost in rounding."""
    config = LlamaConfig.from_pretrained(INPUTS, attn_implementation="sdpa")
    model = LlamaForCausalLM(config).eval()
    load_weights(model, INPUTS)
    policy = Policy(model=model, tokenizer=tokenizer(), eos_ids=ENDS, name="golden")
    algorithm = configured(ALGORITHMS.build("grpo"), {"kl": 0.001, "entropy": 0.001})
    return Learner(policy, algorithm, AdamWSettings(lr=3e-3), temperature=TEMPERATURE)


def step_of(learner: Learner, groups: list[Group], *, packed: bool = True, micro_tokens: int = 64) -> dict[str, float]:
    """One step of the loop without its sampling."""
    batch = learner.score(
        pack(groups, max_response=10, micro_tokens=micro_tokens, packed=packed), learner.algorithm.needs
    )
    return learner.update(batch, learner.algorithm.credit(batch))


def replay(**layout: Any) -> list[dict[str, float]]:
    """Metrics of all recorded steps."""
    learner = learner_of_recorded()
    return [step_of(learner, groups, **layout) for groups in recorded()]
