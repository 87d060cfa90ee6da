"""What is measured on the loaded model before step 0: one worst-case step, the sampler's speed, the log-prob gap.

Nothing here changes the policy: the step's update is left out, its gradients are thrown away, no random stream of the
run is used.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from oneshot.data.packing import pack
from oneshot.errors import MachineError
from oneshot.model import policy as policies
from oneshot.model.logprobs import Head, logprob_and_entropy
from oneshot.model.machine import available_memory
from oneshot.model.memory import ROWS, Forecast, gib, ways_out
from oneshot.model.plain import plain_head
from oneshot.rollout.streams import DECODE_STEP
from oneshot.stages.resources.forecasts import Speed
from oneshot.stages.resources.room import out_of_memory
from oneshot.stages.setup import Setup
from oneshot.train.learner import AdamWSettings, Learner
from oneshot.types import Completion, Group, Problem, Sampling, TokenBatch

DECODE_TOKENS = 32
"""Tokens a row that decoding is timed on, at most."""


@dataclass(frozen=True, kw_only=True)
class WorstCase:
    """A full micro-batch, the longest prompt with responses at their limit, forward and backward."""

    prompt: int
    responses: int
    tokens: int
    """Of the micro-batch: the prompt once and every response, or padded rows."""
    seconds: float
    """Scoring, forward and backward; the first call, so the warm-up is in it."""
    peak: int
    """Most memory the process (or the GPU) held so far, in bytes."""
    moments: int
    """AdamW's two moments, which the first real update adds."""
    room: int
    """What the process holds now and what is still free; 0 where that is not known."""

    @property
    def needed(self) -> int:
        """Bytes a real step takes."""
        return self.peak + self.moments

    def sentence(self) -> str:
        """What was run and what it took."""
        room = f" of {gib(self.room)} there" if self.room else ""
        return (
            f"{self.tokens} tokens (prompt {self.prompt}, {self.responses} responses at the limit) forward and "
            f"backward in {self.seconds:.1f} s; with Adam's moments {gib(self.needed)} GiB{room}: fits"
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, with `needed`."""
        return {**asdict(self), "needed": self.needed}


def still_learner(setup: Setup) -> Learner:
    """A learner like the run's, one update a batch, whose optimisers' steps do nothing: they have no moments."""
    algorithm = replace(setup.names.algorithm, updates=1, minibatches=1)
    settings = AdamWSettings(lr=0.0, masters=setup.config.optim.masters)
    learner = Learner(
        setup.policy, algorithm, settings, temperature=setup.config.rollout.temperature, masters=setup.masters
    )
    for optimizer in learner.optimizers:
        optimizer.still = True
    learner.head = head_of(setup)
    return learner


def run_worst_case(setup: Setup, prompt: Sequence[int], learner: Learner, forecast: Forecast | None) -> WorstCase:
    """Run it once.

    Raises:
        MachineError: E201 when the memory ends in it, or would end with the optimiser's moments.
    """
    began = time.perf_counter()
    try:
        responses, tokens = _forward_backward(setup, prompt, learner)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise _too_large(setup, forecast, "the memory ended in it", 0) from error
    finally:
        learner.release()
    seconds = time.perf_counter() - began
    peak, held, free = _memory(setup.policy.device)
    done = WorstCase(
        prompt=len(prompt),
        responses=responses,
        tokens=tokens,
        seconds=seconds,
        peak=peak,
        moments=2 * sum(optimizer.bytes for optimizer in learner.optimizers),
        room=held + free if held and free else 0,
    )
    if done.room and done.needed > done.room:
        what = f"it took {gib(peak)} GiB, with Adam's moments {gib(done.needed)}; {gib(done.room)} are there"
        raise _too_large(setup, forecast, what, done.room)
    return done


def _forward_backward(setup: Setup, prompt: Sequence[int], learner: Learner) -> tuple[int, int]:
    """(responses, tokens) of the one micro-batch that is scored and learned from as the loop does."""
    rollout, micro = setup.config.rollout, setup.config.optim.micro_tokens
    packed = packs(setup)
    length, all_responses = rollout.max_new_tokens, rollout.groups * rollout.group_size
    fit = (micro - len(prompt)) // length if packed else micro // (len(prompt) + length)
    responses = min(max(1, fit), all_responses)
    filler = tuple(prompt[i % len(prompt)] for i in range(length))  # any tokens do: only their number matters
    # Two rewards, so that the policy term acts.
    made = [
        Completion(tokens=filler, logprobs=(0.0,) * length, text="", finished=False, reward=float(i % 2))
        for i in range(responses)
    ]
    group = Group(
        id=0,
        problem=Problem(id="worst-case", prompt="", answer="-"),
        prompt_tokens=tuple(prompt),
        completions=tuple(made),
        policy_version=0,
    )
    batch = pack([group], max_response=length, micro_tokens=micro, packed=packed)
    scored = learner.score(batch, learner.algorithm.needs)
    learner.update(scored, learner.algorithm.credit(scored))
    return responses, max(part.input_ids.numel() for part in batch.micro)


def packs(setup: Setup) -> bool:
    """Whether micro-batches are packed prefix trees, as in the loop."""
    packing = setup.config.optim.packing and "packed" not in setup.plain
    return packing and policies.attends_to_everything(setup.policy)


def packing(setup: Setup) -> Callable[[Sequence[Group]], TokenBatch]:
    """Groups as the loop packs them, with responses of the training limit."""
    limit, micro_tokens = setup.config.rollout.max_new_tokens, setup.config.optim.micro_tokens
    return partial(pack, max_response=limit, micro_tokens=micro_tokens, packed=packs(setup))


def head_of(setup: Setup) -> Head:
    """What computes log-probs and entropies in the learner."""
    return plain_head if "head" in setup.plain else logprob_and_entropy


def _too_large(setup: Setup, forecast: Forecast | None, what: str, room: int) -> MachineError:
    """E201 for the worst-case step, with the mildest ways out first."""
    tries = ways_out(setup.config, forecast, room or forecast.total) if forecast else ("--optim.micro-tokens 256",)
    if setup.config.optim.checkpointing == "auto":  # the forecast fitted without
        tries = ("--optim.checkpointing on   (activations are computed again in the backward pass)", *tries)
    return MachineError(
        f"the worst-case step (longest prompt, responses at their limit) does not fit: {what}.",
        code="E201",
        tries=tries,
        kept="Nothing was trained.",
    )


def _memory(device: torch.device) -> tuple[int, int, int]:
    """(peak, held now, free) bytes of the process, or of the GPU the model is on; 0 for what is not known."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        free = torch.cuda.mem_get_info(device)[0]
        return torch.cuda.max_memory_allocated(device), torch.cuda.memory_reserved(device), free
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    statm = Path("/proc/self/statm")
    held = int(statm.read_text().split()[1]) * resource.getpagesize() if statm.is_file() else 0
    return peak, held, available_memory()


def weights_of(setup: Setup) -> int:
    """How many weights a checkpoint holds: the adapter's where there is one; a tied output matrix counts once."""
    return sum(p.numel() for p in setup.policy.saved)


def rows_at_once(setup: Setup) -> int:
    """Responses that are sampled at once in training."""
    rollout = setup.config.rollout
    return min(rollout.batch or ROWS, rollout.groups * rollout.group_size)


def short_decode(setup: Setup, prompt: Sequence[int]) -> tuple[float, int, int]:
    """(seconds, tokens, rows) of decoding the beginning of as many responses as training has at once."""
    rollout, rows = setup.config.rollout, rows_at_once(setup)
    limit = min(DECODE_TOKENS, rollout.max_new_tokens)
    sampling = Sampling(temperature=rollout.temperature, max_new_tokens=limit, seed=setup.config.seed)
    streams = [(DECODE_STEP, i) for i in range(rows)]
    began = time.perf_counter()
    made = setup.engine.generate([tuple(prompt)] * rows, sampling, streams)
    return time.perf_counter() - began, sum(len(c.tokens) for c in made), rows


def speed_of(seconds: float, tokens: int, rows: int, worst: WorstCase) -> Speed:
    """The speed of sampling `tokens` tokens in `seconds`, and of learning as in the worst-case step."""
    return Speed(
        decode=tokens / max(seconds, 1e-9),
        learn=worst.tokens / max(worst.seconds, 1e-9),
        decode_rows=rows,
        decode_tokens=tokens,
        learn_tokens=worst.tokens,
    )


@dataclass(frozen=True, kw_only=True)
class Gap:
    """|log p of the learner − log p of the sampler| over sampled tokens, with the same weights."""

    mean: float
    largest: float
    tokens: int


def logprob_gap(setup: Setup, groups: Sequence[Group], learner: Learner) -> Gap:
    """How far the learner's log-probs are from those the sampler recorded, on responses of the present weights."""
    scored = learner.score(packing(setup)(groups), frozenset({"old"}))
    assert scored.old_logp_BT is not None, "the learner scores what it is asked for"
    apart = (scored.old_logp_BT - scored.sampler_logp_BT).abs()[scored.mask_BT]
    return Gap(mean=float(apart.mean()), largest=float(apart.max()), tokens=apart.numel())
