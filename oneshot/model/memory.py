"""Memory that training in plain torch takes, from the model's shapes and the settings, before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from oneshot.config.schema import Config
from oneshot.errors import MachineError
from oneshot.model.machine import available_memory
from oneshot.model.shapes import Shapes, lookup

GIB = 1024**3
RUNTIME = 512 * 1024**2
"""Bytes of the process itself with torch and transformers imported."""
PROMPT_TOKENS = 128
"""Prompt length that is assumed, since nothing is tokenised yet (the prompt limit where that is lower)."""
LOGIT_CHUNK = 256
"""Tokens whose logits exist at once in training: `logprobs.CHUNK`, which needs torch to be imported."""
CACHE_GROWTH = 128
"""Tokens the sampler's cache is ahead by: `rollout.cache.GROWTH`."""
MIN_ROWS = 16
"""Rows the sampler decodes at least: `rollout.native.MIN_ROWS`."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Bytes by purpose; what a run does not do takes 0. Learner and sampler take turns: the larger of them counts."""

    weights: int
    gradients: int
    optimizer: int
    """AdamW's two moments."""
    reference: int
    """The initial weights for the KL term; 0 without one."""
    activations: int
    """Kept for the backward pass of one micro-batch."""
    logits: int
    """One chunk of logits with its gradients, and the head's gradient while it is summed."""
    kv_cache: int
    """Keys and values of the rows decoded at once."""
    drawing: int
    """The sampler's logits and cumulative probabilities."""

    @property
    def lasting(self) -> int:
        """What stays during the whole run, the process itself included."""
        return RUNTIME + self.weights + self.gradients + self.optimizer + self.reference

    @property
    def total(self) -> int:
        """The peak: what lasts, and the larger of learning and sampling."""
        return self.lasting + max(self.activations + self.logits, self.kv_cache + self.drawing)

    def lines(self) -> list[str]:
        """One line a part for the user, in GiB; parts that take nothing are left out."""
        lasting = {
            "weights": self.weights,
            "gradients": self.gradients,
            "Adam": self.optimizer,
            "reference model": self.reference,
            "process": RUNTIME,
        }
        parts = {
            "lasting": lasting,
            "learning": {"activations": self.activations, "logits": self.logits},
            "sampling": {"cache": self.kv_cache, "drawing": self.drawing},
        }
        lines = [
            f"{name:<9} {gib(sum(part.values()))} GiB = " + " + ".join(f"{k} {gib(v)}" for k, v in part.items() if v)
            for name, part in parts.items()
            if any(part.values())
        ]
        return [*lines, f"peak      {gib(self.total)} GiB = lasting + the larger of the others"]


def forecast(shapes: Shapes, config: Config, *, training: bool = True, prompt: int = 0) -> Forecast:
    """What full fine-tuning on a CPU takes: every weight trained, no activation recomputed; or an evaluation alone.

    Approximations, meant to be 10 % or so high rather than low:

    - Activations, in numbers a layer and token: 6 hidden + 5 query + 4 MLP sizes, and the attention mask as floats
      (one a token of the micro-batch). A test compares this with what autograd keeps for small models.
    - A micro-batch holds `optim.micro_tokens` tokens, or one response with its prompt where that is longer.
    - The prompt has `prompt` tokens, or `PROMPT_TOKENS` where that is 0: not known yet.
    """
    size = bytes_a_weight(config)
    rollout = config.rollout
    weights = size * shapes.params
    prompt = prompt or min(PROMPT_TOKENS, rollout.max_prompt_tokens)
    longest = prompt + rollout.max_new_tokens
    responses = rollout.groups * rollout.group_size
    tokens = min(max(config.optim.micro_tokens, longest), prompt + responses * rollout.max_new_tokens)
    queries, keys = shapes.heads * shapes.head_dim, shapes.kv_heads * shapes.head_dim
    kept = 6 * shapes.hidden + 5 * queries + 4 * shapes.mlp + tokens
    rows, length = max(MIN_ROWS, min(rollout.batch, responses)), longest
    if not training:
        rows, length = max(MIN_ROWS, config.evals.batch), prompt + config.evals.max_new_tokens
    elif config.evals.source:
        rows, length = max(rows, config.evals.batch), max(length, prompt + config.evals.max_new_tokens)
    return Forecast(
        weights=weights,
        gradients=weights * training,
        optimizer=2 * weights * training,
        reference=weights * (training and (config.algorithm.kl != 0 or config.algorithm.kl_in_reward != 0)),
        activations=size * kept * shapes.layers * tokens * training,
        # Logits, log p, p, their slope and gradient, in float32; the head's gradient once as sum and once as summand.
        logits=(5 * min(LOGIT_CHUNK, tokens) + 2 * shapes.hidden) * shapes.vocab * 4 * training,
        kv_cache=size * 2 * keys * shapes.layers * rows * (length + CACHE_GROWTH),
        # Logits, scaled, log p in float32; exp and its cumulative sum in float64.
        drawing=(3 * 4 + 2 * 8) * rows * shapes.vocab,
    )


def check_memory(config: Config, *, training: bool = True, available: int | None = None) -> Forecast | None:
    """Refuse a run that cannot fit, before any download. Call it where the run will be on the CPU.

    Args:
        config: the whole configuration.
        training: False for an evaluation alone.
        available: free bytes; by default what `available_memory` says.

    Returns:
        The forecast; None where the model's shapes are unknown.

    Raises:
        MachineError: E201 with the numbers.
    """
    shapes = lookup(config.model.name)
    if shapes is None:
        return None
    plan = forecast(shapes, config, training=training)
    free = available_memory() if available is None else available
    if free and plan.total > free:
        dtype = "bfloat16" if config.model.dtype == "bfloat16" else "float32"
        purpose = f"to train in {dtype}" if training else f"to be run in {dtype}"
        raise MachineError(
            f"{config.model.name} ({shapes.params / 1e6:,.0f} M parameters) needs about {gib(plan.total)} GiB "
            f"{purpose}; {gib(free)} GiB are free here.\n  " + "\n  ".join(plan.lines()),
            code="E201",
            tries=ways_out(config, plan, free),
            kept="Nothing was downloaded.",
        )
    return plan


def ways_out(config: Config, plan: Forecast, free: int) -> tuple[str, ...]:
    """Flags that make the run smaller, the mildest that may do first."""
    tries = []
    if plan.lasting < free:
        batches = f"--evals.batch {MIN_ROWS}"
        tries.append(f"--rollout.batch {MIN_ROWS} {batches} --optim.micro-tokens 256" if plan.gradients else batches)
        if plan.gradients and config.rollout.max_new_tokens > MIN_ROWS:
            tries.append(f"--rollout.max-new-tokens {config.rollout.max_new_tokens // 2}")
    elif plan.lasting - plan.reference < free:
        tries.append("--algorithm.kl 0   (no second copy of the weights)")
    if config.model.name != "smollm2-135m":
        tries.append("--model smollm2-135m")
    return tuple(tries) or ("close other programs, or use a machine with more memory",)


def gib(size: int) -> str:
    """Bytes as GiB with one decimal, without the unit."""
    return f"{size / GIB:.1f}"


def bytes_a_weight(config: Config) -> int:
    """Bytes of one weight in memory and in a checkpoint."""
    return 2 if config.model.dtype == "bfloat16" else 4
