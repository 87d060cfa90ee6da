r"""The forced box: where a response has no complete box, one is begun for it and the model fills it in, greedily.

What formatting alone can give for a text, at most: the share of responses that are right then. The text before the box
is the model's own response as text, tokenised again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oneshot._store.evaluations import FORCED, Key
from oneshot.rewards.forced import OPENING, needs_box
from oneshot.rollout.streams import EVAL_STEP
from oneshot.stages.evals.work import Row, Work, batch_of
from oneshot.stages.setup import Setup
from oneshot.types import Sampling

MOST = 64
"""Tokens decoded after it."""


def force(work: Work, setup: Setup, name: str, prompts: Sequence[Sequence[int]], texts: Mapping[Key, str]) -> None:
    """Decode after a forced box for every response without one that the record lacks. Errors as of `Work.draw`.

    Where prompt, response and box would exceed the model's positions, the response loses tokens at its end.

    Args:
        work: the attempt.
        setup: the model.
        name: of the task, for the progress.
        prompts: tokens, by problem.
        texts: the response of every key.
    """
    tokenizer = setup.policy.tokenizer
    context = getattr(setup.policy.model.config, "max_position_embeddings", None) or 0
    opening = _ids(tokenizer, OPENING)

    def prompt(key: Key) -> list[int]:
        before, whole = prompts[key[0]], _ids(tokenizer, texts[key] + OPENING)
        if context and len(before) + len(whole) + MOST > context:
            room = max(0, context - len(before) - len(opening) - MOST)
            whole = _ids(tokenizer, texts[key])[:room] + opening
        return [*before, *whole]

    def make(keys: Sequence[Key]) -> list[Row]:
        sampling = Sampling(temperature=0.0, max_new_tokens=MOST)
        streams = [(EVAL_STEP + i, s) for i, s in keys]  # greedy: not read
        rows = [prompt(key) for key in keys]
        return work.generate(rows, sampling, streams, lambda place, made: (*keys[place], made.text))

    wanted = [key for key, text in texts.items() if needs_box(text)]
    work.draw(f"{name}: forced boxes", FORCED, wanted, batch_of(setup, MOST), make)


def _ids(tokenizer: Any, text: str) -> list[int]:
    return [int(t) for t in tokenizer(text, add_special_tokens=False)["input_ids"]]
