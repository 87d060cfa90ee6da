"""What must fit before a run can be anything: its memory, the model's positions, a token that ends a response."""

from __future__ import annotations

from dataclasses import replace

import torch

from oneshot.config.names import flag
from oneshot.config.origins import value_of
from oneshot.config.schema import Config
from oneshot.errors import DataError, UsageError
from oneshot.model.checkpointing import recompute
from oneshot.model.memory import checkpointed, forecast, gib
from oneshot.model.policy import Policy
from oneshot.model.shapes import lookup

HEAD_LIMIT = {torch.float32: 1e-3, torch.float64: 1e-6}
"""Of ‖ours − theirs‖ / ‖theirs‖ of a model's logits; .05 in lower precision."""
TRAINING, EVALUATION = "rollout.max_new_tokens", "evals.max_new_tokens"


def reading(config: Config, longest: int) -> Config:
    """The configuration with what takes most room among what is read, for the checks of memory and positions.

    `longest` is the longest response limit of the test tasks; 0 means that there is none.
    """
    most = max(longest, config.evals.source_tokens if config.evals.source else 0)
    return replace(config, evals=replace(config.evals, max_new_tokens=most)) if longest else config


def decide_checkpointing(config: Config, *, available: int | None, longest: int = 0) -> tuple[Config, str]:
    """The configuration with activations recomputed where only that fits, and what to say about it ("" for nothing).

    `longest` as in `reading`.
    """
    asked, shapes = reading(config, longest), lookup(config.model.name)
    decided = checkpointed(asked, available=available)
    if decided == asked or shapes is None:
        return config, ""
    without, with_it = (gib(forecast(shapes, each).total) for each in (asked, decided))
    return replace(config, optim=decided.optim), (
        f"memory: activations are computed again in the backward pass (optim.checkpointing = on): the run needs about "
        f"{with_it} GiB so, {without} otherwise"
    )


def recomputed(policy: Policy, config: Config) -> str:
    """Put `optim.checkpointing = on` into force; what to say where it cannot be."""
    if config.optim.checkpointing != "on" or recompute(policy.model):
        return ""
    return f"warning: optim.checkpointing = on does nothing: {policy.name} names no layers that can be run again"


def check_limits(config: Config, *, training: bool) -> None:
    """Refuse a response limit that leaves no position for a prompt, where that is known before the model is loaded.

    Raises:
        UsageError: E105.
    """
    shapes = lookup(config.model.name)
    read = EVALUATION if config.evals.source or config.evals.tasks or not training else ""
    for key in filter(None, (TRAINING if training else "", read)):
        if shapes is not None and shapes.context and _limit(config, key) >= shapes.context:
            raise too_long(config, key, prompt=1, context=shapes.context)


def check_length(policy: Policy, config: Config, key: str, prompt: tuple[int, ...]) -> tuple[int, ...]:
    """The prompt, if with the response limit `key` it stays within the positions that the model was made for.

    Raises:
        UsageError: E105 otherwise. Beyond them a model answers, but not sensibly.
    """
    context = getattr(policy.model.config, "max_position_embeddings", None) or 0
    if context and len(prompt) + _limit(config, key) > context:
        raise too_long(config, key, prompt=len(prompt), context=context)
    return prompt


def _limit(config: Config, key: str) -> int:
    """The response limit that stands under a key; at evaluation 0 stands for the usual one."""
    return config.evals.source_tokens if key == EVALUATION else int(value_of(config, key))


def too_long(config: Config, key: str, *, prompt: int, context: int) -> UsageError:
    """E105 with the largest limit that fits."""
    limit, room = _limit(config, key), context - prompt
    return UsageError(
        f"{key} = {limit} and a prompt of {prompt} token{'s' if prompt > 1 else ''} make {limit + prompt}, but "
        f"{config.model.name} was made for {context} positions.",
        code="E105",
        tries=(f"{flag(key)} {room}",) if room > 0 else ("--model another-model   (one made for more positions)",),
        kept="Nothing was trained.",
    )


@torch.no_grad()
def check_head(policy: Policy) -> None:
    """Refuse a model whose logits are more than states times output matrix: scaled, capped, or with a bias.

    Sampler and learner both compute them so, and would sample and train another distribution than the model's.

    Raises:
        DataError: E304.
    """
    ids = torch.arange(1, 4, device=policy.device)[None]  # not 0, which may be a pad without a vector
    ours = policy.decoder(input_ids=ids, use_cache=False).last_hidden_state @ policy.head.T
    theirs = policy.model(input_ids=ids, use_cache=False).logits
    limit = HEAD_LIMIT.get(theirs.dtype, 0.05)
    if not (ours - theirs).float().norm() <= limit * theirs.float().norm():
        raise DataError(
            f"the logits of {policy.name} ({policy.model.config.model_type}) are more than its last states times its "
            "output matrix (a scale, a cap or a bias), which sampler and learner here do not know.",
            code="E304",
            tries=("--model smollm2-135m", "--model Qwen/Qwen2.5-Math-1.5B   (Llama, Qwen and Mistral kinds work)"),
            kept="Nothing was trained.",
        )


def check_eos(policy: Policy) -> None:
    """Refuse a model that can never end a response.

    Raises:
        DataError: E304.
    """
    words = len(policy.head)
    if not any(0 <= number < words for number in policy.eos_ids):
        named = ", ".join(map(str, sorted(policy.eos_ids))) or "none"
        raise DataError(
            f"no token of {policy.name} ends a response: its end-of-sequence ids ({named}) are not among its {words} "
            "words, so every response would be cut at the limit.",
            code="E304",
            tries=(f"set eos_token_id in {policy.name}/generation_config.json", "--model smollm2-135m"),
            kept="Nothing was trained.",
        )
