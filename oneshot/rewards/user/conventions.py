r"""The calling conventions of reward functions: how each is known, what it is called with, what it returns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from oneshot.rewards.extract import boxed_answer

Values = dict[str, Any]
"""Argument name -> value, everything a convention can supply."""

_ANSWER = re.compile(r"<answer>((?:(?!</?answer>).)*)</answer>", re.DOTALL)


@dataclass(frozen=True)
class Convention:
    """One way to write a reward function."""

    name: str
    marks: tuple[str, ...]
    """Argument names that no other convention has; one of them is enough."""
    signature: str
    """For error messages and the documentation."""
    values: Callable[[str, str], Values]
    """(response, reference) -> what the function may ask for."""
    batched: bool = False
    """It returns a list with one reward a completion."""
    extracts: bool = False
    """It is handed the answer found in the response, as `answer`, not the response."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every argument it can supply."""
        return tuple(self.values("", ""))


class Parser:
    """A verifiers function's `parser` without a format: the text as it is is the answer."""

    def parse(self, text: str) -> str:
        """The text itself."""
        return text

    def parse_answer(self, completion: str | list[Mapping[str, str]]) -> str:
        """The content of the last message."""
        return completion if isinstance(completion, str) else completion[-1]["content"]


def found_answer(response: str) -> str | None:
    """The last complete box, else the last `<answer>...</answer>`, else None."""
    boxed = boxed_answer(response)
    if boxed is not None:
        return boxed
    tagged = _ANSWER.findall(response)
    return tagged[-1].strip() if tagged else None


def _ignore(*values: Any, **named: Any) -> None:
    """Stands in for the loggers a trainer hands over."""


def _trl(response: str, reference: str) -> Values:
    columns = {name: [reference] for name in ("answer", "solution", "ground_truth", "gold")}
    unknown = {"prompts": [None], "completion_ids": None, "trainer_state": None}
    return {"completions": [response], **columns, **unknown, "log_extra": _ignore, "log_metric": _ignore}


def _verl(response: str, reference: str) -> Values:
    return {"data_source": "oneshot", "solution_str": response, "ground_truth": reference, "extra_info": {}}


def _reasoning_gym(response: str, reference: str) -> Values:
    return {"answer": found_answer(response), "entry": {"question": None, "answer": reference, "metadata": {}}}


def _verifiers(response: str, reference: str) -> Values:
    values: Values = {
        "prompt": None,
        "completion": [{"role": "assistant", "content": response}],
        "answer": reference,
        "info": {},
        "task": "default",
    }
    return {**values, "state": dict(values), "parser": Parser()}


def _plain(response: str, reference: str) -> Values:
    return {"response": response, "reference": reference, "answer": reference, "gold": reference}


CONVENTIONS: tuple[Convention, ...] = (
    Convention("TRL", ("completions",), "f(prompts, completions, answer, **kwargs) -> list[float]", _trl, batched=True),
    Convention(
        "verl",
        ("solution_str",),
        "compute_score(data_source, solution_str, ground_truth, extra_info=None) -> float | dict",
        _verl,
    ),
    Convention("reasoning-gym", ("entry",), "score_answer(answer, entry) -> float", _reasoning_gym, extracts=True),
    Convention("verifiers-v0", ("completion", "state"), "f(completion, answer, state, info) -> float", _verifiers),
    Convention("plain", ("response",), "f(response, reference) -> bool | float", _plain),
)
"""In the order in which they are tried."""
