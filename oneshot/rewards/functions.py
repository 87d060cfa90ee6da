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
| `paper-train-think` | the same, after `</think>` (R1-Distill) | the same |
| `paper-eval` | as the paper's evaluation does | as there, see `paper.evaluation` |

Text that no tier can compare counts as wrong and has status `undecided`. Nothing here raises.
"""

from __future__ import annotations

from functools import partial

from oneshot.config.gym import LENIENT, PREFIX
from oneshot.errors import MachineError, UsageError
from oneshot.registry import Registry
from oneshot.rewards import choices
from oneshot.rewards.answers.compare import is_read, same, unread
from oneshot.rewards.composed import FixedVerifier, Found, Graded, TextVerifier
from oneshot.rewards.extract import boxed_answer, last_box, last_number, visible
from oneshot.rewards.lenient import stated_answer
from oneshot.rewards.paper import evaluation, training
from oneshot.rewards.symbolic import Symbolic
from oneshot.types import Verifier

VERIFIERS: Registry[Verifier] = Registry("grader")


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


def _after_thinking(answer: str) -> tuple[str, ...]:
    return (rf"<think>It is {answer}.</think>\boxed{{{answer}}}",)


@VERIFIERS.register("paper-train")
def paper_train() -> Verifier:
    """The paper's training reward."""
    return FixedVerifier("paper-train", training.grade)


@VERIFIERS.register("paper-train-think")
def paper_train_think() -> Verifier:
    """The same for models that think first: the answer must follow `</think>`."""
    return FixedVerifier("paper-train-think", partial(training.grade, think=True), _after_thinking)


@VERIFIERS.register("paper-eval")
def paper_eval() -> Verifier:
    """The paper's evaluation grader, lenient as it is; nothing of a response is ever executed."""
    return FixedVerifier("paper-eval", evaluation.grade)


RENAMED = {"boxed": "math", "final-number": "number"}
"""Former names, for the hint."""


def build_verifier(name: str, *, timeout: float = 10.0) -> Verifier:
    """The grader of a name, or the function of `file.py:function`, which then runs in a process of its own.

    Args:
        name: a name in `VERIFIERS`, a reasoning-gym task (`gym:chain_sum:seed=0:size=100`), or a Python file and a
            function in it.
        timeout: seconds one call of a user's function may take.

    Raises:
        UsageError: E102 unknown name, E106 no such file. DataError: E305 the function cannot be used.
    """
    if name.startswith((PREFIX, LENIENT)):
        from oneshot.rewards.gym import gym_verifier

        return gym_verifier(name)
    if ":" in name or name.endswith(".py"):
        from oneshot.rewards.user.verifier import FunctionVerifier

        return FunctionVerifier(name, deadline=timeout)
    if name in RENAMED:
        raise UsageError(f"the grader {name!r} is called {RENAMED[name]!r} now.", code="E102")
    return VERIFIERS.build(name)
