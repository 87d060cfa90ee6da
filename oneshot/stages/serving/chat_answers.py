"""Who answers in `oneshot chat`: the model before training and the trained one, by the project's own sampler.

They answer one after the other, since one of them keeps the processor busy. With an adapter (LoRA) base is the same
model with the adapter off. Otherwise both stay in memory where a second copy fits, which is looked at once; where it
does not, each is loaded again for its answer, which costs a read from disk instead of a crash.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

from oneshot.data.prompts import render
from oneshot.rollout.streams import FIRST
from oneshot.stages.serving.target import Target
from oneshot.types import Completion, Problem, Sampling

if TYPE_CHECKING:
    from oneshot.model.policy import Policy

BASE, TRAINED = "base", "trained"
MARGIN = 1.5
"""Free memory that a second copy of the weights must leave room for, in copies: caches and logits come on top."""
STEP = FIRST["spare"]
"""Step of the random streams: of no training, probing or evaluation."""

Tell = Callable[[str], None]
"""Told the text so far, after each token."""


class Answers:
    """The models of one chat.

    Args:
        target: what was asked for.
        dtype: of the weights.
        offline: open no socket.
        say: told what takes time.
        free: bytes of memory that are free; None looks when it matters.
    """

    def __init__(
        self, target: Target, *, dtype: str, offline: bool, say: Callable[[str], None], free: int | None = None
    ) -> None:
        self.target, self.offline, self.say = target, offline, say
        self.dtype, self.free = dtype, free
        base = target.base()
        self.names = (BASE, TRAINED) if base else (target.name,)
        self._targets = dict(zip(self.names, (base, target) if base else (target,), strict=True))
        self._held: dict[str, Policy] = {}
        last = self._load(self.names[-1])
        self.shared = base is not None and last.adapted
        """Base is the same model with its adapter off."""
        self.both = base is None or self.shared or self._fits(last)
        """Nothing is loaded again between answers."""
        if not self.both:
            say("base and trained do not fit into memory together: each is loaded again for its answer")

    def _load(self, name: str) -> Policy:
        self.say(f"loading {self._targets[name].source} ...")
        self._held[name] = self._targets[name].load(offline=self.offline, dtype=self.dtype)
        return self._held[name]

    def _fits(self, policy: Policy) -> bool:
        from oneshot.model.machine import available_memory
        from oneshot.model.policy import gpu_memory

        need: int = sum(weight.numel() * weight.element_size() for weight in policy.model.parameters())
        free = self.free
        if free is None:
            free = gpu_memory() if policy.device.type == "cuda" else available_memory()
        return MARGIN * need < (free or 0)

    def _policy(self, name: str) -> Policy:
        if self.shared:
            return self._held[TRAINED]
        if name not in self._held:
            if not self.both:
                self._held.clear()
                gc.collect()
            self._load(name)
        return self._held[name]

    def answer(self, name: str, problem: Problem, sampling: Sampling, number: int, tell: Tell) -> Completion:
        """One answer to a problem, its prompt as in the run's evaluation.

        Args:
            name: one of `names`.
            problem: the question.
            sampling: how tokens are drawn.
            number: of the question, so that the same one asked again is drawn anew.
            tell: told the text so far.

        Raises:
            DataError: E301 a prompt longer than the model's limit.
        """
        from oneshot.rollout.streamed import StreamedEngine

        policy, tokens = self._policy(name), list[int]()
        config = self.target.config
        prompt = render(
            policy.tokenizer,
            problem,
            suffix=config.evals.suffix,
            system=config.data.system,
            limit=config.rollout.max_prompt_tokens,
        )

        def drawn(place: int, token: int) -> None:
            tokens.append(token)
            tell(policy.decode(tokens).rstrip("\ufffd"))  # a character whose last byte is still to come

        with policy.initial() if self.shared and name == BASE else nullcontext():
            (made,) = StreamedEngine(policy, drawn).generate([prompt], sampling, [(STEP, number)])
        return made
