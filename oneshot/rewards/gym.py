"""reasoning-gym's own scorers as graders: `gym:chain_sum:seed=0:size=100` (last box) and `gym-lenient:...`.

The scorer is asked in a worker process that is killed after `DEADLINE` seconds and has bounded memory: the library is
not ours, and a response may be anything. It also hands responses to `eval` and to sympy's `parse_expr`, which runs what
it reads. In the worker neither is left as it is: `eval` reads literals and arithmetic of numbers, `parse_expr` refuses
names that are no mathematical function or single letter.

A response is right when its score is 1. What the library gives in part, for instance to a text that contains the
answer, counts as wrong: a rate of right answers and a mean of partial credit cannot be compared.
"""

from __future__ import annotations

import ast
import operator
import re
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from oneshot.config.gym import LENIENT, key, make_dataset, read_spec, unmarked
from oneshot.errors import OneshotError
from oneshot.rewards.composed import Found, Graded, TextVerifier
from oneshot.rewards.extract import boxed_answer
from oneshot.rewards.lenient import stated_answer
from oneshot.rewards.workers import WorkerPool

DEADLINE = 10.0
"""Seconds one answer may take."""
MAX_TEXT = 2_000
"""A longer answer is not asked about."""
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}
_WORD = re.compile(r"[^\W\d]\w*")
_FUNCTIONS = frozenset(
    {"sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh"}
    | {"atanh", "exp", "log", "ln", "sqrt", "Abs", "pi", "oo", "erf"}
)


def gym_verifier(name: str) -> TextVerifier:
    """The grader of `gym:NAME...` or `gym-lenient:NAME...`; the worker starts with the first answer.

    Raises:
        UsageError, MachineError: as `config.gym.read_spec` and `make_dataset`, before anything is graded.
    """
    spec = read_spec(name)
    make_dataset(spec)
    return TextVerifier(name, stated_answer if name.startswith(LENIENT) else _box, _Asked(spec.text), _stated)


def _box(response: str) -> Found:
    return boxed_answer(response), "boxed"


def _stated(reference: str) -> tuple[str, ...]:
    answer, _ = unmarked(reference)  # empty where many answers are right and the library names none
    return (rf"\boxed{{{answer}}}",) if answer else ()


class _Asked:
    """Compares by asking the scorer in its process. Never raises."""

    def __init__(self, spec: str) -> None:
        self._pool = WorkerPool(f"{__name__}:scorer", (spec,), deadline=DEADLINE)
        self._failed = ""

    def __call__(self, answer: str, reference: str) -> Graded:
        _, entry = unmarked(reference)
        if not entry:
            return Graded(None, "gym", "undecided", "the reference does not say which entry it belongs to")
        if len(answer) > MAX_TEXT:
            return Graded(False, "gym", "ok", f"longer than {MAX_TEXT} characters")
        if not self._failed:
            try:
                self._pool.start()
            except OneshotError as error:
                self._failed = error.message  # a broken installation stays broken
        if self._failed:
            return Graded(None, "gym", "error", self._failed)
        outcome = self._pool([answer, entry])
        if outcome.status != "ok":
            return Graded(None, "gym", outcome.status, outcome.message)
        if outcome.value is None:
            return Graded(None, "gym", "error", "reasoning-gym makes other problems in each process from the same seed")
        return Graded(outcome.value >= 1, "gym", "ok", "" if outcome.value >= 1 else f"score {outcome.value:g}")


def scorer(spec: str) -> Callable[[list[str]], float | None]:
    """The worker's function: [answer, key of the entry] -> score; None where the entry is another one here."""
    _disarm_sympy()
    data = make_dataset(read_spec(spec))
    for name, module in list(sys.modules.items()):
        if name.startswith("reasoning_gym."):
            vars(module)["eval"] = read_literal

    def score(job: list[str]) -> float | None:
        answer, wanted = job
        number = int(wanted.partition("-")[0])
        entry = data[number]
        return float(data.score_answer(answer, entry)) if key(number, str(entry["question"])) == wanted else None

    return score


def read_literal(text: str, *_: Any) -> Any:
    """What stands in the place of `eval` there: literals, and arithmetic of numbers.

    Raises:
        ValueError: anything else.
    """
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError):
        try:
            return _number(ast.parse(text.strip(), mode="eval").body)
        except (SyntaxError, TypeError, RecursionError, ArithmeticError) as error:
            raise ValueError("only literals and arithmetic are read from text here") from error


def _number(node: ast.AST) -> Any:
    """The value of an expression of numbers and operators."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _BINARY[type(node.op)](_number(node.left), _number(node.right))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return _UNARY[type(node.op)](_number(node.operand))
    raise ValueError("only literals and arithmetic are read from text here")


def _disarm_sympy() -> None:
    """Let `parse_expr` refuse names; done before reasoning-gym imports it."""
    sympy, parser = import_module("sympy"), import_module("sympy.parsing.sympy_parser")
    original = parser.parse_expr

    def parse_expr(text: str, *arguments: Any, **options: Any) -> Any:
        known = {*(options.get("local_dict") or {}), *_FUNCTIONS}
        words = _WORD.findall(text)
        if (
            "__" in text
            or any(len(word) > 1 and word not in known for word in words)
            or set(text) & set("\"'[]{};:@\\")
        ):
            raise ValueError("only mathematics is read from text here")
        return original(text, *arguments, **options)

    for module in (sympy, parser):
        vars(module)["parse_expr"] = parse_expr
