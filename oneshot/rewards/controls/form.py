"""The form of a response: what the arm `format` pays, whatever the answer. Loads no torch."""

from __future__ import annotations

import re
from collections.abc import Callable

from oneshot.config.gym import LENIENT, PREFIX
from oneshot.rewards.answers.numbers import DECIMAL
from oneshot.rewards.extract import boxed_answer, visible
from oneshot.types import Completion

BOXED = ("math", "math-lenient", "math-symbolic", "paper-train", "paper-train-think", "paper-eval")
"""Rewards whose form is a box, beside those of a gym."""
ELSEWHERE = ("math-lenient", "paper-eval")
"""Of these the ones that find an answer outside a box too."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_NUMBER = re.compile(rf"(?<![A-Za-z0-9_^])(?:\\[dt]?frac\{{{DECIMAL}\}}\{{{DECIMAL}\}}|{DECIMAL}(?:/{DECIMAL})?)")


def users_own(name: str) -> bool:
    """Whether the name of a reward or grader is that of a function of the user's own, `FILE.py:NAME`."""
    return (":" in name or name.endswith(".py")) and not name.startswith((PREFIX, LENIENT))


def form_is_box(reward: str) -> bool | None:
    """Whether the form that stands for a reward is a box; None of a function of the user's own: it is not known."""
    if users_own(reward):
        return None
    return reward in BOXED or reward.startswith(PREFIX)


def needs_box(grader: str) -> bool | None:
    """Whether a grader finds no answer without a box; None as of `form_is_box`."""
    return False if grader in ELSEWHERE else form_is_box(grader)


def form_of(reward: str) -> Callable[[Completion], bool] | None:
    r"""The form that stands for a reward; None for one without, such as a user's own function.

    A complete `\boxed{}` with something in it, after any thoughts (the paper's: an answer can be read); for `number`
    the response ended by itself and its last sentence holds exactly one number.
    """
    if form_is_box(reward):
        return lambda completion: bool((boxed_answer(completion.text) or "").strip())
    return _one_number if reward == "number" else None


def _one_number(completion: Completion) -> bool:
    sentences = [part for part in _SENTENCE.split(visible(completion.text)) if part.strip()]
    return completion.finished and bool(sentences) and len(_NUMBER.findall(sentences[-1])) == 1
