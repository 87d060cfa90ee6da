r"""The graders that `--reward` and `--grader` name: where the answer stands in a response, and when it is right.

| name | reads | right when |
| --- | --- | --- |
| `math` | the last complete `\boxed{}`; without one there is no answer | mathematically equal (`compare.same`) |
| `math-lenient` | the same, else what is stated without a box | the same |
| `number` | the last complete `\boxed{}` if there is any, else the last number | the same |
| `choice` | the same as `math-lenient`, else a last single letter | the same letter |
| `math-symbolic` | as `math` | the same; what is undecided goes to math-verify in a killable process |
| `exact` | the whole response, stripped | the same characters |
| `paper-train` | as the paper's training reward does | as there, see `paper.training` |
| `paper-eval` | as the paper's evaluation does | as there, see `paper.evaluation` |

Text that no tier can compare counts as wrong and has status `undecided`. Nothing here raises.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from oneshot.errors import MachineError, UsageError
from oneshot.registry import Registry
from oneshot.rewards import choices
from oneshot.rewards.answers.compare import is_read, same, unread
from oneshot.rewards.answers.text import MAX_ANSWER
from oneshot.rewards.extract import boxed_answer, last_box, last_number, visible
from oneshot.rewards.lenient import stated_answer
from oneshot.rewards.paper import evaluation, training
from oneshot.rewards.symbolic import Symbolic
from oneshot.types import Verdict, Verifier

VERIFIERS: Registry[Verifier] = Registry("grader")

Found = tuple[str | None, str]
"""The answer text, or None, and the rule that found it."""

MAX_REMEMBERED = 65_536
"""Pairs of answer and reference a grader remembers."""


class Graded(NamedTuple):
    """A comparison: whether equal (None: undecided), the tier that decided, and the status of the verdict."""

    equal: bool | None
    method: str
    status: str = "ok"
    message: str = ""


class TextVerifier:
    """A grader made of a way to find the answer and a way to compare it, with what it decided before remembered."""

    def __init__(
        self,
        name: str,
        find: Callable[[str], Found],
        compare: Callable[[str, str], Graded],
        states: Callable[[str], tuple[str, ...]] = lambda answer: (rf"\boxed{{{answer}}}",),
        reads: Callable[[str], bool] = lambda reference: True,
    ) -> None:
        """What a grader is made of.

        `states` names responses that state a given answer, all of which it must accept (`verifier.self_check`);
        `reads` says whether a reference is understood, so that more than the same text can match it.
        """
        self.name = name
        self.states = states
        self.reads = reads
        self._find = find
        self._compare = compare
        self._decided: dict[tuple[str, str], Graded] = {}

    def __call__(self, response: str, reference: str) -> Verdict:
        """Grade one response. `method` is the tier that decided; `extracted` is cut to 2,000 characters."""
        start = time.perf_counter()
        answer, rule = self._find(response)
        if answer is None:
            return Verdict(correct=False, extracted=None, method="none", status="no_answer", seconds=_since(start))
        if not answer.strip() or not reference.strip():
            graded = Graded(False, rule, "empty")
        else:
            graded = self._remembered(answer, reference)
        return Verdict(
            correct=graded.equal is True,
            extracted=answer[:MAX_ANSWER],
            method=graded.method,
            status=graded.status,
            seconds=_since(start),
            message=graded.message,
        )

    def _remembered(self, answer: str, reference: str) -> Graded:
        """One example has few distinct answers. A time-out may come out otherwise next time, so it is not kept."""
        key = answer, reference
        found = self._decided.get(key)
        if found is None:
            found = self._compare(answer, reference)
            if found.status in ("ok", "undecided") and len(answer) <= MAX_ANSWER:
                if len(self._decided) >= MAX_REMEMBERED:
                    self._decided.clear()
                self._decided[key] = found
        return found


def _since(start: float) -> float:
    return time.perf_counter() - start


def _in_process(answer: str, reference: str) -> Graded:
    box = last_box(reference)
    reference = reference if box is None else box
    decision = same(answer, reference)
    if decision.equal is None:
        return Graded(None, decision.method, "undecided", unread(answer, reference))
    return Graded(decision.equal, decision.method)


def _box(response: str) -> Found:
    return boxed_answer(response), "boxed"


def _box_or_number(response: str) -> Found:
    box = boxed_answer(response)
    return (box, "boxed") if box is not None else (last_number(visible(response)), "number")


def _box_or_stated(answer: str) -> tuple[str, ...]:
    return rf"\boxed{{{answer}}}", f"The answer is {answer}."


@VERIFIERS.register("math")
def math() -> Verifier:
    r"""The last complete `\boxed{}` of the response, compared as mathematics; strict."""
    return TextVerifier("math", _box, _in_process, reads=is_read)


@VERIFIERS.register("math-lenient")
def math_lenient() -> Verifier:
    r"""The last complete `\boxed{}`; without one what is stated, or the last formula or number."""
    return TextVerifier("math-lenient", stated_answer, _in_process, reads=is_read)


@VERIFIERS.register("math-symbolic")
def math_symbolic(*, timeout: float = 2.0) -> Verifier:
    """`math`, and what it leaves undecided is put to math-verify in a process that is killed after `timeout` seconds.

    Raises:
        MachineError: E204 when math-verify is not installed.
    """
    last = Symbolic(deadline=timeout)
    if not last.available():
        raise MachineError(
            "the grader 'math-symbolic' needs the package math-verify.",
            code="E204",
            tries=("python -m pip install 'oneshot-rlvr[math]'",),
        )

    def compare(answer: str, reference: str) -> Graded:
        graded = _in_process(answer, reference)
        if graded.equal is not None:
            return graded
        decided, status = last(answer, reference)
        return Graded(decided, "symbolic" if decided is not None else "none", status)

    return TextVerifier("math-symbolic", _box, compare)


@VERIFIERS.register("number")
def number() -> Verifier:
    r"""The last complete `\boxed{}` if there is any, else the last number of the response."""
    return TextVerifier("number", _box_or_number, _in_process, _box_or_stated, is_read)


def _same_letter(answer: str, reference: str) -> Graded:
    wanted = choices.letter(reference)
    return Graded(choices.letter(answer) == wanted if wanted else None, "letter", "ok" if wanted else "undecided")


@VERIFIERS.register("choice")
def choice() -> Verifier:
    """A multiple-choice letter A to J: in the box, stated, or the last one that stands alone."""
    return TextVerifier("choice", choices.find, _same_letter, _box_or_stated)


@VERIFIERS.register("exact")
def exact() -> Verifier:
    """The whole response, stripped, must be the reference, stripped."""
    return TextVerifier(
        "exact",
        lambda response: (response.strip(), "exact"),
        lambda answer, reference: Graded(answer == reference.strip(), "exact"),
        lambda answer: (answer,),
    )


@dataclass
class FixedVerifier:
    """A grader that is one function."""

    name: str
    function: Callable[[str, str], Verdict]

    def __call__(self, response: str, reference: str) -> Verdict:
        """Grade one response."""
        return self.function(response, reference)


@VERIFIERS.register("paper-train")
def paper_train(*, think: bool = False) -> Verifier:
    """The paper's training reward; `think`: the answer must follow `</think>`, as for R1-Distill."""
    return FixedVerifier("paper-train", partial(training.grade, think=think))


@VERIFIERS.register("paper-eval")
def paper_eval() -> Verifier:
    """The paper's evaluation grader, lenient as it is; nothing of a response is ever executed."""
    return FixedVerifier("paper-eval", evaluation.grade)


RENAMED = {"boxed": "math", "final-number": "number"}
"""Former names, for the hint."""


def build_verifier(name: str, *, timeout: float = 10.0) -> Verifier:
    """The grader of a name, or the function of `file.py:function`, which then runs in a process of its own.

    Args:
        name: a name in `VERIFIERS`, or a Python file and a function in it.
        timeout: seconds one call of a user's function may take.

    Raises:
        UsageError: E102 unknown name, E106 no such file. DataError: E305 the function cannot be used.
    """
    if ":" in name or name.endswith(".py"):
        from oneshot.rewards.user.verifier import FunctionVerifier

        return FunctionVerifier(name, deadline=timeout)
    if name in RENAMED:
        raise UsageError(f"the grader {name!r} is called {RENAMED[name]!r} now.", code="E102")
    return VERIFIERS.build(name)
