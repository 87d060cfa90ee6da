"""Where a change in accuracy comes from: outcome states, their paired transitions, and products of shares.

The transition table is the evidence. The decompositions are descriptive: "right, given that an answer was found" is
measured on different problems before and after, so a part is not the effect of anything that could be done alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import factorial, prod
from typing import Any

from oneshot.errors import UsageError
from oneshot.measure.statistics import LEVEL, Interval, wilson
from oneshot.types import EvalRow

STATES = ("cut", "none", "wrong", "right")
CLASSES = ("right", "a+b", "a-b", "axb", "a/b", "operand", "other", "none")


def matched(base: Sequence[EvalRow], trained: Sequence[EvalRow]) -> list[tuple[EvalRow, EvalRow]]:
    """The two evaluations paired by problem id, in the order of `base`.

    Raises:
        UsageError: E103 when there is no row, an id occurs twice, or ids or reference answers differ.
    """
    first, second = _by_id(base, "base"), _by_id(trained, "trained")
    if only := sorted(first.keys() ^ second.keys()):
        raise UsageError(
            f"the evaluations hold different problems: {len(only)} are in one of them only, such as {only[0]!r}. "
            "A paired comparison needs the same problems.",
            code="E103",
        )
    if not first:
        raise UsageError("there is no problem to compare.", code="E103")
    for key, row in first.items():
        if row.answer != second[key].answer:
            raise UsageError(f"problem {key!r} has another reference answer in the two evaluations.", code="E103")
    return [(row, second[key]) for key, row in first.items()]


def _by_id(rows: Sequence[EvalRow], name: str) -> dict[str, EvalRow]:
    table = {row.id: row for row in rows}
    if len(table) < len(rows):
        twice, _ = Counter(row.id for row in rows).most_common(1)[0]
        raise UsageError(f"problem {twice!r} occurs more than once in the {name} evaluation.", code="E103")
    return table


def found(row: EvalRow) -> bool:
    """An answer was found in the response."""
    return row.correct or row.extracted is not None


def finished(row: EvalRow) -> bool:
    """An answer was found and the response was not cut; a right answer in a cut response counts as finished."""
    return row.correct or (row.extracted is not None and not row.cut)


def right_operation(row: EvalRow) -> bool:
    """Finished, and the answer is not exactly what another operation on the operands gives, nor a bare operand.

    An answer of class `other` passes: it may be the right operation with an arithmetic slip, but also anything else, so
    this share is an upper bound.
    """
    return row.correct or (finished(row) and answer_class(row) in ("right", "other", row.meta.get("operation")))


def answer_class(row: EvalRow) -> str:
    """One of `CLASSES`: `right`, else what the task said of the answer, else `other` or, without an answer, `none`."""
    if row.correct:
        return "right"
    stated = row.meta.get("answer_class")
    if stated in CLASSES:
        return str(stated)
    return "other" if found(row) else "none"


def outcome(row: EvalRow) -> str:
    """One of `right`, else `cut` (at the length limit), else `none` (no answer), else `wrong`."""
    if row.correct:
        return "right"
    if row.cut:
        return "cut"
    return "wrong" if row.extracted is not None else "none"


def outcome_states(rows: Sequence[EvalRow]) -> dict[str, int]:
    """How many responses ended in each of `STATES`."""
    seen = Counter(outcome(row) for row in rows)
    return {state: seen[state] for state in STATES}


def transitions(base: Sequence[EvalRow], trained: Sequence[EvalRow]) -> dict[str, dict[str, int]]:
    """The 4 x 4 table of paired outcomes: `transitions(...)[before][after]` problems. Errors as `matched`."""
    seen = Counter((outcome(before), outcome(after)) for before, after in matched(base, trained))
    return {before: {after: seen[before, after] for after in STATES} for before in STATES}


def share(rows: Sequence[EvalRow], has: Callable[[EvalRow], bool], level: float = LEVEL) -> Interval:
    """The share of responses that `has` holds for, with Wilson's interval."""
    return wilson(sum(has(row) for row in rows), len(rows), level)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One factor of the accuracy: its share before and after, and how much of the change it carries."""

    base: float
    trained: float
    effect: float


@dataclass(frozen=True, kw_only=True)
class Decomposition:
    """Accuracy as a product of shares, each given the one before it; the effects sum to `change`."""

    base: float
    trained: float
    change: float
    n: int
    parts: Mapping[str, Part]

    def as_dict(self) -> dict[str, Any]:
        """JSON form: `base`, `trained`, `change`, `n`, `descriptive`, `parts` -> name -> base, trained, effect."""
        parts = {
            name: {"base": part.base, "trained": part.trained, "effect": part.effect}
            for name, part in self.parts.items()
        }
        own = {"base": self.base, "trained": self.trained, "change": self.change, "n": self.n}
        return own | {"descriptive": True, "parts": parts}


def decomposition(base: Sequence[EvalRow], trained: Sequence[EvalRow]) -> Decomposition:
    """Accuracy = f a: an answer was found, and it is right. f carries mean(a) (f1 - f0), a carries mean(f) (a1 - a0).

    Where nothing was found, `a` is unknown there and taken from the other model. Errors as `matched`.
    """
    return _decompose(base, trained, {"found": found, "right_given_found": _is_right})


def operation_decomposition(base: Sequence[EvalRow], trained: Sequence[EvalRow]) -> Decomposition:
    """Accuracy = finishing x operation x arithmetic, for the built-in task.

    finishing: `finished`; operation: `right_operation` among the finished; arithmetic: right among those. Each effect
    is its mean over the six orders in which the factors can be switched from base to trained (Shapley's value). A share
    of nothing is taken from the other model. Errors as `matched`.
    """
    steps = {"finishing": finished, "operation": right_operation, "arithmetic": _is_right}
    return _decompose(base, trained, steps)


def _is_right(row: EvalRow) -> bool:
    return row.correct


def _decompose(
    base: Sequence[EvalRow], trained: Sequence[EvalRow], steps: Mapping[str, Callable[[EvalRow], bool]]
) -> Decomposition:
    """Each step must hold only where the step before it holds, the last one exactly where the answer is right."""
    n = len(matched(base, trained))
    before, after = _chain(base, list(steps.values())), _chain(trained, list(steps.values()))
    shares_before, shares_after = _fill(before, after), _fill(after, before)
    effects = shapley_product(shares_before, shares_after)
    rows = zip(steps, shares_before, shares_after, effects, strict=True)
    right_before, right_after = sum(row.correct for row in base), sum(row.correct for row in trained)
    return Decomposition(
        base=right_before / n,
        trained=right_after / n,
        change=(right_after - right_before) / n,
        n=n,
        parts={name: Part(base=b, trained=a, effect=effect) for name, b, a, effect in rows},
    )


def _chain(rows: Sequence[EvalRow], steps: Sequence[Callable[[EvalRow], bool]]) -> list[float | None]:
    """The share of each step among the rows that passed the one before; None where none did."""
    shares: list[float | None] = []
    passed = list(rows)
    for holds in steps:
        among, passed = len(passed), [row for row in passed if holds(row)]
        shares.append(len(passed) / among if among else None)
    return shares


def _fill(shares: Sequence[float | None], others: Sequence[float | None]) -> list[float]:
    """Unknown shares taken from the other model; 0 where both are unknown."""
    return [
        own if own is not None else other if other is not None else 0.0
        for own, other in zip(shares, others, strict=True)
    ]


def shapley_product(before: Sequence[float], after: Sequence[float]) -> list[float]:
    """How much each factor carries of prod(after) - prod(before): the mean over all orders of switching them.

    The effects sum to the change; swapping `before` and `after` flips every sign.
    """
    effects = [0.0] * len(before)
    for order in permutations(range(len(before))):
        factors = list(before)
        for index in order:
            old = prod(factors)
            factors[index] = after[index]
            effects[index] += prod(factors) - old
    return [effect / factorial(len(before)) for effect in effects]


def operation_table(base: Sequence[EvalRow], trained: Sequence[EvalRow], own: str = "") -> dict[str, Any]:
    """What kind of answer was given before and after: did the model learn to calculate, or to prefer one operation?

    Counts of `answer_class`: {"classes": [...], "all": {"base": {class: n}, "trained": {class: n}},
    "own": the same for the category `own`, "categories": {category: the same}}. Errors as `matched`.
    """
    pairs = matched(base, trained)
    categories = {
        category: _class_counts([pair for pair in pairs if pair[0].category == category])
        for category in sorted({row.category for row in base})
    }
    return {
        "classes": list(CLASSES),
        "all": _class_counts(pairs),
        "own": categories.get(own, _class_counts([])),
        "categories": categories,
    }


def _class_counts(pairs: Sequence[tuple[EvalRow, EvalRow]]) -> dict[str, dict[str, int]]:
    counts = {}
    for name, position in (("base", 0), ("trained", 1)):
        seen = Counter(answer_class(pair[position]) for pair in pairs)
        counts[name] = {known: seen[known] for known in CLASSES}
    return counts
