r"""The forced box: what is put after a response without one, and what is graded once the model has filled it in."""

from __future__ import annotations

from oneshot.boxes import boxes
from oneshot.rewards.extract import boxed_answer

OPENING = "\n\nTherefore, the final answer is \\boxed{"


def needs_box(response: str) -> bool:
    """Whether a response has no complete box."""
    return boxed_answer(response) is None


def completed(response: str, filled: str) -> str:
    """What is graded: the response, the opening, and what was decoded, up to the end of the box that was forced."""
    text = OPENING + filled
    found = boxes(text)
    return response + (text[: found[0].end] if found else text)
