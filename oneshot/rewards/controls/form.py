"""The form of a response: what the arm `format` pays, whatever the answer. Loads no torch."""

from __future__ import annotations

import re
from collections.abc import Callable

from oneshot.config.gym import PREFIX
from oneshot.rewards.answers.numbers import DECIMAL
from oneshot.rewards.extract import boxed_answer, visible
from oneshot.types import Completion

BOXED = ("math", "math-lenient", "math-symbolic", "paper-train", "paper-train-think", "paper-eval")
"""Rewards whose form is a box."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_NUMBER = re.compile(rf"(?<![A-Za-z0-9_^])(?:\\[dt]?frac\{{{DECIMAL}\}}\{{{DECIMAL}\}}|{DECIMAL}(?:/{DECIMAL})?)")


def form_of(reward: str) -> Callable[[Completion], bool] | None:
    r"""The form that stands for a reward; None for one without, such as a user's own function.

    A complete `\boxed{}` with something in it, after any thoughts (the paper's: an answer can be read); for `number`
    the response ended by itself and its last sentence holds exactly one number.
    """
    if reward in BOXED or reward.startswith(PREFIX):
        return lambda completion: bool((boxed_answer(completion.text) or "").strip())
    return _one_number if reward == "number" else None


def _one_number(completion: Completion) -> bool:
    sentences = [part for part in _SENTENCE.split(visible(completion.text)) if part.strip()]
    return completion.finished and bool(sentences) and len(_NUMBER.findall(sentences[-1])) == 1
