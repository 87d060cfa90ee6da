"""Ranges (E103) and contradictions (E105): one table row a rule, one message that names the value and its origin."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from oneshot.config.names import KEYS, closest, flag, short_flag
from oneshot.config.origins import DEFAULT, Resolved, show, value_of
from oneshot.config.schema import Config
from oneshot.errors import UsageError

Rule = tuple[Callable[[Any], bool], str]

DENSE_SAMPLING = (
    "training samples from the whole distribution: under top-p, top-k or min-p the log-probabilities the learner "
    "computes would not be those of the policy that sampled"
)
REFUSED: dict[str, str] = dict.fromkeys(("top_p", "top_k", "min_p"), DENSE_SAMPLING)
"""Keys that are known and refused wherever they stand, with the reason."""
INSTEAD = ("--rollout.temperature 0.7   (makes responses likelier too, and is what is learned from)",)
"""What comes nearest to them and is allowed."""


def _at_least(low: float) -> Rule:
    return (lambda value: value >= low), f"must be at least {low:g}"


def _above(low: float, why: str = "") -> Rule:
    return (lambda value: value > low), f"must be above {low:g}{why}"


def _one_of(*names: str) -> Rule:
    shown = ", ".join(name or '""' for name in names)
    return (lambda value: value in names), f"must be one of: {shown}"


TRAINING_STEPS = 1_000_000
"""Steps that have random streams of their own in training (`rollout.streams`)."""

_DECAY: Rule = (lambda value: 0 <= value < 1), "must be at least 0 and below 1"

RULES: dict[str, Rule] = {
    "model.dtype": _one_of("auto", "float32", "bfloat16"),
    "model.threads": _at_least(0),
    "model.lora_rank": _at_least(0),
    "model.lora_alpha": _at_least(0),
    "model.lora_targets": (lambda value: bool(value.strip(", ")), "must be all-linear or names of layers"),
    "data.index": _at_least(-1),
    "data.corrupt": ((lambda value: 0 <= value <= 1), "must be between 0 and 1: it is a share of the examples"),
    "reward.timeout": _above(0),
    "algorithm.policy": _at_least(0),
    "algorithm.kl": _at_least(0),
    "algorithm.kl_kind": _one_of("", "k2", "k3", "rho_k3"),
    "algorithm.kl_in_reward": _at_least(0),
    "algorithm.entropy_schedule": _one_of("constant", "linear", "cosine"),
    "algorithm.weighting": _one_of("", "token_mean", "sequence_mean", "fixed_length", "per_row"),
    "algorithm.importance_cap": _at_least(0),
    "algorithm.updates": _at_least(1),
    "algorithm.minibatches": _at_least(1),
    "rollout.groups": _at_least(1),
    "rollout.group_size": _at_least(1),
    "rollout.temperature": _above(0, ": greedy responses of a group are all the same, so none is better than another"),
    "rollout.max_new_tokens": _at_least(1),
    "rollout.max_prompt_tokens": _at_least(1),
    "rollout.batch": _at_least(0),
    "rollout.max_rounds": _at_least(1),
    "optim.steps": (
        lambda value: 0 <= value <= TRAINING_STEPS,
        f"must be at least 0 and at most {TRAINING_STEPS}: a later one would draw random numbers of other work",
    ),
    "optim.lr": _at_least(0),
    "optim.warmup": _at_least(0),
    "optim.schedule": _one_of("constant", "linear", "cosine"),
    "optim.lr_final": _at_least(0),
    "optim.term_norms_every": _at_least(0),
    "optim.weight_decay": _at_least(0),
    "optim.beta1": _DECAY,
    "optim.beta2": _DECAY,
    "optim.eps": _above(0),
    "optim.grad_clip": _at_least(0),
    "optim.micro_tokens": _at_least(1),
    "optim.checkpointing": _one_of("auto", "on", "off"),
    "evals.every": _at_least(0),
    "evals.limit": _at_least(0),
    "evals.samples": _at_least(0),
    "evals.max_new_tokens": _at_least(0),
    "evals.batch": _at_least(0),
    "save.every": _at_least(0),
    "save.keep": _at_least(1),
    "save.runs": (bool, "must name a folder"),
    "save.name": (lambda value: not set(value) & set("/\\\0") and value not in (".", ".."), "must be one plain word"),
}

K1_REASON = (
    "k1 as a loss on the policy's own samples has an expected gradient of zero, so it would hold nothing back; "
    "k3, k2 and rho_k3 do"
)
PURE_LR = 1e-4
"""bfloat16 weights without float32 masters are trained from this learning rate on only."""
CONTROLS = (
    "shuffled", "random", "wrong", "unguessable", "format", "majority", "entropy", "confidence", "rft", "noop",
)  # fmt: skip
"""Names of `reward.control`."""
NO_SIGNAL = ("unguessable", "entropy", "confidence", "rft")
"""Control arms in which no response is ever better than another of its group, or none is asked."""
OWN_LABEL = ("wrong", "unguessable")
"""Control arms that pay a label of their own."""
WITHOUT_GROUP_NORM = ("ppo", "reinforce_pp")
"""Algorithms whose advantage does not compare the responses of one group."""


def check(resolved: Resolved) -> None:
    """Raise `UsageError` for the first value out of range (E103) or pair of values that contradict (E105)."""
    for key, kind in KEYS.items():
        if kind is float and not math.isfinite(value_of(resolved.config, key)):
            raise UsageError(f"{_told(resolved, key)} must be a finite number.", code="E103")
    for key, (holds, rule) in RULES.items():
        value = value_of(resolved.config, key)
        if key == "algorithm.kl_kind" and value == "k1":
            tries = ("--algorithm.kl-kind k3", "--algorithm.kl 0 --algorithm.kl-in-reward 0.001")
            raise UsageError(f"{_told(resolved, key)} is refused in the loss: {K1_REASON}.", code="E105", tries=tries)
        if not holds(value):
            default = show(value_of(Config(), key))
            way = f"{flag(key)} {default}   (the default)"
            raise UsageError(f"{_told(resolved, key)} {rule}.", code="E103", tries=(way,))
    _contradictions(resolved)


def _contradictions(resolved: Resolved) -> None:
    data, config = resolved.config.data, resolved.config
    if data.example and data.source:
        raise UsageError(
            f"{_told(resolved, 'data.example')} and {_told(resolved, 'data.source')} name two training examples.",
            code="E105",
            tries=("--example TEXT --answer TEXT", "--data FILE --data.index N"),
        )
    if bool(data.example) != bool(data.answer):
        has, lacks = ("example", "answer") if data.example else ("answer", "example")
        raise UsageError(
            f"{_told(resolved, f'data.{has}')} stands without {flag(f'data.{lacks}')}.",
            code="E105",
            tries=("--example TEXT --answer TEXT",),
        )
    if data.example and data.index >= 0:
        raise UsageError(
            f"{_told(resolved, 'data.index')} picks a row of a file, but the example is given as text.", code="E105"
        )
    for key in ("model.lora_alpha", "model.lora_targets"):
        if not config.model.lora_rank and value_of(config, key) != value_of(Config(), key):
            raise UsageError(
                f"{_told(resolved, key)} is about an adapter, but {flag('model.lora_rank')} is 0.",
                code="E105",
                tries=("--model.lora-rank 16",),
            )
    grouped = config.algorithm.name not in WITHOUT_GROUP_NORM or config.algorithm.options.get("baseline") == "group"
    if config.rollout.group_size < 2 and grouped:
        raise UsageError(
            f"{_told(resolved, 'rollout.group_size')} leaves nothing to compare: {config.algorithm.name} measures each "
            "response against the others of its group.",
            code="E105",
            tries=("--rollout.group-size 8",),
        )
    if config.algorithm.minibatches > config.rollout.groups:
        raise UsageError(
            f"{_told(resolved, 'algorithm.minibatches')} with {_told(resolved, 'rollout.groups')}: a mini-batch is of "
            "whole groups, so there cannot be more of them.",
            code="E105",
            tries=(f"--algorithm.minibatches {config.rollout.groups}",),
        )
    refuse_pure_bfloat16(config)
    _control(resolved)
    if config.rollout.dynamic and config.rollout.group_size < 2:
        raise UsageError(
            f"{_told(resolved, 'rollout.dynamic')} samples again until the rewards of a group differ, which those of a "
            "single response never do.",
            code="E105",
            tries=("--rollout.dynamic false", "--rollout.group-size 8"),
        )


def _control(resolved: Resolved) -> None:
    """Refuse an unknown control arm (E102), and settings under which one would not be what it is called (E105)."""
    config, name = resolved.config, resolved.config.reward.control
    if not name:
        return
    said, entropy = _told(resolved, "reward.control"), _told(resolved, "algorithm.entropy")
    if name not in CONTROLS:
        near = closest(name, CONTROLS)
        hint = f" Did you mean {near!r}?" if near else ""
        raise UsageError(f"{said} is no control arm.{hint} Known: {', '.join(CONTROLS)}.", code="E102")
    up, last = config.algorithm.entropy, config.algorithm.entropy_final
    why, tries = "", ("--algorithm.entropy 0.001",)
    if name == "entropy" and (up <= 0 or last < 0):
        why = f"with {entropy}: what is left in this arm is the entropy bonus, which must be above 0"
    elif name == "confidence" and up == 0:
        why = f"with {entropy}: what is left in this arm is the entropy term (its sign is turned here)"
    elif name == "rft" and config.algorithm.name == "ppo":
        why, tries = (
            "with algorithm.name = ppo: imitation has no advantages, so its critic has no use",
            ("--algorithm grpo",),
        )
    elif name in NO_SIGNAL and config.rollout.dynamic:
        why, tries = (
            f"with {_told(resolved, 'rollout.dynamic')}: no reward tells the responses of a group apart, so every step "
            "would sample to the last round",
            ("--rollout.dynamic false",),
        )
    elif name in OWN_LABEL and config.data.corrupt:
        why, tries = f"with {_told(resolved, 'data.corrupt')}: both replace the answer", ("--corrupt 0",)
    if why:
        raise UsageError(f"{said} {why}.", code="E105", tries=tries)


def refuse_pure_bfloat16(config: Config) -> None:
    """Refuse to train bfloat16 weights themselves at a learning rate below `PURE_LR`.

    Raises:
        UsageError: E105.
    """
    pure = config.model.dtype == "bfloat16" and not config.optim.masters and not config.model.lora_rank
    if pure and 0 < config.optim.lr < PURE_LR:
        raise UsageError(
            f"optim.masters = false with optim.lr = {config.optim.lr:g}: a bfloat16 number has 8 bits, so steps that "
            f"small leave nearly all weights as they are; from {PURE_LR:g} on it is allowed.",
            code="E105",
            tries=("--optim.masters true", f"--optim.lr {PURE_LR:g}", "--model.dtype float32"),
        )


def _told(resolved: Resolved, key: str) -> str:
    """`optim.lr = -1.0 (flag --optim.lr)`, `optim.steps = -1 (flag --steps)`."""
    origin = resolved.origins.get(key, DEFAULT)
    if origin == f"flag {flag(key)}":
        origin = f"flag {short_flag(key)}"
    return f"{key} = {show(value_of(resolved.config, key))} ({origin})"
