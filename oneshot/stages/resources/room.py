"""When memory runs out in the middle of a step: smaller micro-batches once, then a stop that says what may help."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from oneshot.errors import MachineError
from oneshot.record import RunFolder
from oneshot.train.learner import Learner

SMALLER = 4
"""Micro-batches are cut to this part of their tokens; how a step is cut changes its gradient by rounding only."""
_SAID = ("out of memory", "can't allocate memory", "not enough memory")

T = TypeVar("T")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: torch's own on a GPU, its allocator's text on a CPU, Python's."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error).lower() for said in _SAID)


class Room:
    """How many tokens a micro-batch may have: what was asked for until memory runs out, then a quarter of it."""

    def __init__(self, run: RunFolder, learner: Learner, micro_tokens: int, say: Callable[[str], None]) -> None:
        self.run = run
        self.learner = learner
        # What an earlier attempt came down to is kept: it ran out of memory with more.
        known = [int(event["micro_tokens"]) for event in run.events() if event["kind"] == "memory"]
        self.micro_tokens = min([micro_tokens, *known])
        self.say = say
        self.tried = False

    def learn(self, step: int, attempt: Callable[[int], T]) -> T:
        """`attempt(micro_tokens)`, and once more with smaller ones if memory runs out before the weights are touched.

        Raises:
            MachineError: E201 when that does not help either.
        """
        try:
            return attempt(self.micro_tokens)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            if self.tried or not self.learner.intact:
                raise self._too_small(step) from error
        # Outside the handler: the error holds on to every tensor of its step.
        self.tried, self.micro_tokens = True, max(1, self.micro_tokens // SMALLER)
        self._free()
        self.run.event("memory", step=step, micro_tokens=self.micro_tokens)
        self.say(
            f"warning: memory ran out in step {step}; again, and from now on, with micro-batches of "
            f"{self.micro_tokens} tokens (equal up to rounding)"
        )
        return self.learn(step, attempt)

    def _free(self) -> None:
        self.learner.release()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _too_small(self, step: int) -> MachineError:
        self._free()
        smaller = max(1, self.micro_tokens // SMALLER)
        return MachineError(
            f"memory ran out in step {step}, also with micro-batches of {self.micro_tokens} tokens."
            if self.tried
            else f"memory ran out while the optimiser made step {step}.",
            code="E201",
            tries=(
                f"oneshot train --resume {self.run.path} --optim.micro-tokens {smaller}",
                "a new run with --rollout.max-new-tokens smaller, or a smaller --model",
            ),
            kept="The finished steps are kept.",
        )


@contextmanager
def sampling(run: RunFolder, step: int) -> Iterator[None]:
    """Memory that runs out while responses are sampled becomes `MachineError` E201."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise MachineError(
            f"memory ran out while the responses of step {step} were sampled.",
            code="E201",
            tries=(f"oneshot train --resume {run.path} --rollout.batch 16   (fewer rows at once)",),
            kept="The finished steps are kept.",
        ) from error
