"""Memory that training in plain torch takes, from the model's shapes and the settings, before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace

from oneshot.config.schema import Config
from oneshot.errors import MachineError
from oneshot.model.machine import available_memory
from oneshot.model.shapes import Shapes, lookup
from oneshot.model.targets import adapted_sizes, adapter_params

GIB = 1024**3
RUNTIME = 512 * 1024**2
"""Bytes of the process itself with torch and transformers imported."""
PROMPT_TOKENS = 128
"""Prompt length that is assumed, since nothing is tokenised yet (the prompt limit where that is lower)."""
LOGIT_CHUNK = 256
"""Tokens whose logits exist at once in training: `logprobs.CHUNK`, which needs torch to be imported."""
LOGIT_PIECES = 2 * 4 * 1024**2
"""Bytes of the two pieces of logits that are worked on at once (`logprobs.CACHED` numbers each, on a CPU)."""
CACHE_GROWTH = 128
"""Tokens the sampler's cache is ahead by: `rollout.cache.GROWTH`."""
ADAPTER_BYTES = 4
"""Of one number of an adapter, which is float32 whatever the model is."""
MIN_ROWS = 16
"""Rows the sampler decodes at least: `rollout.native.MIN_ROWS`."""
ROWS = 64
"""Rows the sampler decodes at once where nobody says how many: `rollout.native.ROWS`. More on a GPU with room."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Bytes by purpose; what a run does not do takes 0. Learner and sampler take turns: the larger of them counts."""

    weights: int
    """The model's, and the adapter's where one is trained."""
    gradients: int
    """Of what is trained."""
    optimizer: int
    """AdamW's two moments."""
    reference: int
    """The initial weights for the KL term; 0 without one, and with an adapter, which is then switched off."""
    activations: int
    """Kept for the backward pass of one micro-batch; with checkpointing, what goes into each layer and one layer's."""
    logits: int
    """One chunk of logits, which its gradient replaces, and the head's gradient of one micro-batch."""
    kv_cache: int
    """Keys and values of the rows decoded at once."""
    drawing: int
    """The sampler's logits and cumulative probabilities."""
    stepping: int = 0
    """The trained values as they were before an optimiser step, for its norm."""
    masters: int = 0
    """Float32 values behind bfloat16 weights."""
    critic: int = 0
    """PPO's critic where it is a model: its weights, gradients, moments and masters. A lone head takes next to none."""

    @property
    def lasting(self) -> int:
        """What stays during the whole run, the process itself included."""
        trained = self.weights + self.masters + self.gradients + self.optimizer
        return RUNTIME + trained + self.reference + self.critic

    @property
    def total(self) -> int:
        """The peak: what lasts, and the largest of learning, the optimiser's step and sampling."""
        return self.lasting + max(self.activations + self.logits, self.stepping, self.kv_cache + self.drawing)

    def lines(self) -> list[str]:
        """One line a part for the user, in GiB; parts that take nothing are left out."""
        lasting = {
            "weights": self.weights,
            "float32 masters": self.masters,
            "gradients": self.gradients,
            "Adam": self.optimizer,
            "reference model": self.reference,
            "critic": self.critic,
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
    """What training on a CPU takes, of every weight or of an adapter; or an evaluation alone.

    Activations are recomputed where `optim.checkpointing` is `on`; `auto` counts as `off` (see `checkpointed`).

    Approximations, meant to be 10 % or so high rather than low:

    - Activations, in numbers a layer and token: 6 hidden + 5 query + 4 MLP sizes, and one a token of the micro-batch,
      for a mask as floats, or for each response's copy of the prompt's keys and values. A test compares this with what
      autograd keeps for small models. An adapter adds `rank` float32 numbers a layer it is in, and in bfloat16 that
      layer's input as float32; that less is kept of layers without one is not counted.
    - With checkpointing: the hidden states between the layers, and what one layer keeps, a quarter more while its
      gradient is made.
    - A micro-batch holds `optim.micro_tokens` tokens, or one response with its prompt where that is longer.
    - The prompt has `prompt` tokens, or `PROMPT_TOKENS` where that is 0: not known yet.
    """
    size, adapted = bytes_a_weight(config), adapted_sizes(shapes, config.model)
    rollout = config.rollout
    weights = size * shapes.params
    adapter = ADAPTER_BYTES * adapter_params(shapes, config.model) * training
    full = training and not adapter
    trained = adapter or bytes_trained(config) * shapes.params * training
    beside = sum(4 * config.model.lora_rank + 4 * inputs * (size < 4) for inputs, _ in adapted)
    prompt = prompt or min(PROMPT_TOKENS, rollout.max_prompt_tokens)
    longest = prompt + rollout.max_new_tokens
    responses = rollout.groups * rollout.group_size
    tokens = min(max(config.optim.micro_tokens, longest), prompt + responses * rollout.max_new_tokens)
    queries, keys = shapes.heads * shapes.head_dim, shapes.kv_heads * shapes.head_dim
    kept = shapes.layers * (6 * shapes.hidden + 5 * queries + 4 * shapes.mlp + tokens)
    if config.optim.checkpointing == "on":
        kept = shapes.layers * shapes.hidden + kept * 5 // (4 * shapes.layers)
        beside = beside * 5 // (4 * shapes.layers)
    rows, length = max(MIN_ROWS, min(rollout.batch or ROWS, responses)), longest
    if not training:
        rows, length = max(MIN_ROWS, config.evals.batch or ROWS), prompt + config.evals.source_tokens
    elif config.evals.source or config.evals.tasks:
        rows, length = max(rows, config.evals.batch or ROWS), max(length, prompt + config.evals.source_tokens)
    return Forecast(
        weights=weights + adapter,
        # Where each term's gradient is measured apart, there are three beside their sum.
        gradients=trained * (1 + 3 * (config.optim.term_norms_every > 0)),
        stepping=trained,
        optimizer=2 * trained,
        reference=weights * (full and (config.algorithm.kl != 0 or config.algorithm.kl_in_reward != 0)),
        activations=(size * kept + beside) * tokens * training,
        logits=((min(LOGIT_CHUNK, tokens) + shapes.hidden * full) * shapes.vocab * 4 + LOGIT_PIECES) * training,
        kv_cache=size * 2 * keys * shapes.layers * rows * (length + CACHE_GROWTH),
        # Logits, scaled, log p in float32; exp and its cumulative sum in float64.
        drawing=(3 * 4 + 2 * 8) * rows * shapes.vocab,
        masters=trained * (full and bytes_trained(config) > size),
        critic=_critic(shapes, config, adapter) * training * has_critic(config),
    )


def _critic(shapes: Shapes, config: Config, adapter: int) -> int:
    """A copy of the model without its output matrix, and what training it takes: all of it, or its `adapter`."""
    numbers = shapes.params - (0 if shapes.tied else shapes.vocab * shapes.hidden)
    copied, wide = bytes_a_weight(config) * numbers, bytes_trained(config)
    if adapter:
        return copied + 4 * adapter
    masters = wide * numbers * (wide > bytes_a_weight(config))
    return copied + masters + 3 * wide * numbers


def checkpointed(config: Config, *, available: int | None = None) -> Config:
    """The configuration with `optim.checkpointing` decided: `auto` becomes `on` where only that fits the free memory.

    It stays `auto`, which means off, where it fits anyway, where it would not help, and where nothing is known.
    """
    shapes = lookup(config.model.name)
    free = available_memory() if available is None else available
    if config.optim.checkpointing != "auto" or shapes is None or not free:
        return config
    on = replace(config, optim=replace(config.optim, checkpointing="on"))
    return on if forecast(shapes, config).total > free >= forecast(shapes, on).total else config


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
        if plan.gradients and config.optim.checkpointing == "off":
            tries.append("--optim.checkpointing on   (activations are computed again in the backward pass)")
        batches = f"--evals.batch {MIN_ROWS}"
        tries.append(f"--rollout.batch {MIN_ROWS} {batches} --optim.micro-tokens 256" if plan.gradients else batches)
        if plan.gradients and config.rollout.max_new_tokens > MIN_ROWS:
            tries.append(f"--rollout.max-new-tokens {config.rollout.max_new_tokens // 2}")
    elif plan.lasting - plan.critic < free:
        tries.append("--algorithm.critic head   (no second model)")
    elif plan.lasting - plan.reference < free:
        tries.append("--algorithm.kl 0   (no second copy of the weights)")
    if _adapter_fits(config, plan, free):
        tries.append("--model.lora-rank 16   (trains an adapter; needs oneshot-rlvr[lora])")
    if config.model.name != "smollm2-135m":
        tries.append("--model smollm2-135m")
    return tuple(tries) or ("close other programs, or use a machine with more memory",)


def _adapter_fits(config: Config, plan: Forecast, free: int) -> bool:
    """Whether a run that does not fit would if an adapter were trained instead of every weight."""
    shapes = lookup(config.model.name)
    if shapes is None or not plan.gradients or config.model.lora_rank:
        return False
    return forecast(shapes, replace(config, model=replace(config.model, lora_rank=16))).total <= free


def gib(size: int) -> str:
    """Bytes as GiB with one decimal, without the unit."""
    return f"{size / GIB:.1f}"


def bytes_a_weight(config: Config) -> int:
    """Bytes of one weight as sampler and learner use it."""
    return 2 if config.model.dtype == "bfloat16" else 4


def bytes_trained(config: Config) -> int:
    """Bytes of one trained weight as the optimiser moves it, and as a checkpoint holds it: of a master if there is."""
    return 4 if config.optim.masters else bytes_a_weight(config)


def has_critic(config: Config) -> bool:
    """Whether PPO learns with a second model; `auto` is one on CUDA alone, where `precision.settled` says so."""
    return config.algorithm.name == "ppo" and config.algorithm.options.get("critic") == "model"
