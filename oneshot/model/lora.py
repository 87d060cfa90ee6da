"""A policy with an adapter (LoRA): put one in, and take it out by merging."""

from __future__ import annotations

import copy
from dataclasses import replace

from oneshot.errors import UsageError
from oneshot.model import adapters
from oneshot.model.policy import Policy


def adapt(
    policy: Policy, *, rank: int, alpha: float = 0.0, targets: str = "all-linear", seed: int = 0, revision: str = ""
) -> Policy:
    """Freeze a policy and put a new adapter into it, which changes nothing yet; only the adapter is trained then.

    Args:
        policy: its model is changed in place.
        rank: of the product B A.
        alpha: the product counts alpha / rank times; 0 means 2 x rank.
        targets: `all-linear`, or names of linear layers of the decoder, separated by commas.
        seed: decides A.
        revision: of the model on the Hub, for the adapter's file; without one it is that of the loaded files.

    Raises:
        UsageError: E103 for layers that are not there, E105 for a policy that has an adapter.
        MachineError: E204 without peft.
    """
    if policy.adapted:
        base = adapters.base_of(policy.model.peft_config["default"])
        raise UsageError(
            f"{policy.name} is an adapter already, so it cannot get another one of rank {rank}.",
            code="E105",
            tries=(
                f"--model {base} --model.lora-rank {rank}   (a new adapter)",
                f"--model {policy.name} --model.lora-rank 0   (merged, and every weight trained)",
            ),
            kept="Nothing was trained.",
        )
    adapters.attach(policy.model, rank=rank, alpha=alpha, asked=targets, seed=seed, revision=revision)
    return policy


def merged(policy: Policy, *, keep: bool = True) -> Policy:
    """The plain policy that an adapted one stands for, W + (alpha / rank) B A, up to rounding.

    With `keep` the adapted policy stays as it is, for a second copy of the weights; without, its model is changed.
    """
    model = copy.deepcopy(policy.model) if keep else policy.model
    if adapters.adapted(model):
        adapters.merge(model)
    return replace(policy, model=model)
