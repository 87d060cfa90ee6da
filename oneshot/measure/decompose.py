"""Where a change in accuracy comes from: outcome states, their paired transitions, and products of shares.

Every problem weighs 1, whatever its number of samples: each of its m responses (or pairs of responses) counts 1/m.
Counts are whole numbers where every problem has one sample. The transition table is the evidence. The decompositions
are descriptive: "right, given that an answer was found" is measured on different problems before and after, so a part
is not the effect of anything that could be done alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations
from math import factorial, prod
from typing import Any

from oneshot.measure.pairing import by_problem, matched, matched_problems, tally
from oneshot.measure.scores import accuracy, answered
from oneshot.measure.statistics import LEVEL, Interval
from oneshot.types import EvalRow

STATES = ("cut", "none", "wrong", "right")
CLASSES = ("right", "a+b", "a-b", "axb", "a/b", "operand", "other", "none")


found = answered
"""An answer was found in the response: one definition everywhere."""


def finished(row: EvalRow) -> bool:
    """An answer was found and the response was not cut; a right answer in a cut response counts as finished."""
    return row.correct or (found(row) and not row.cut)


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
    return "wrong" if found(row) else "none"


def outcome_states(rows: Sequence[EvalRow]) -> dict[str, Any]:
    """How many problems' worth of responses ended in each of `STATES`."""
    seen = tally((row.id, outcome(row)) for row in rows)
    return {state: seen.get(state, 0) for state in STATES}


def transitions(base: Sequence[EvalRow], trained: Sequence[EvalRow]) -> dict[str, dict[str, float]]:
    """The 4 x 4 table of paired outcomes: `transitions(...)[before][after]` problems. Errors as `matched`.

    Sample i is paired with sample i, where both have it. With equal numbers of samples the margins are the
    `outcome_states`; with unequal ones, the states of the samples that both have.
    """
    seen = tally((before.id, (outcome(before), outcome(after))) for before, after in matched(base, trained))
    return {before: {after: seen.get((before, after), 0) for after in STATES} for before in STATES}


def share(rows: Sequence[EvalRow], has: Callable[[EvalRow], bool], level: float = LEVEL) -> Interval:
    """The mean over problems of the share of responses that `has` holds for; its interval is `mean_score`'s.

    With one sample a problem this is Wilson's interval; n is the number of problems.
    """
    return accuracy(by_problem(rows), has, level)


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
    n = len(matched_problems(base, trained))
    before, after = _chain(base, list(steps.values())), _chain(trained, list(steps.values()))
    shares_before, shares_after = _fill(before, after), _fill(after, before)
    effects = shapley_product(shares_before, shares_after)
    rows = zip(steps, shares_before, shares_after, effects, strict=True)
    right_before, right_after = (_mass([r for r in side if r.correct], _sizes(side)) for side in (base, trained))
    return Decomposition(
        base=float(right_before / n),
        trained=float(right_after / n),
        change=float((right_after - right_before) / n),
        n=n,
        parts={name: Part(base=b, trained=a, effect=effect) for name, b, a, effect in rows},
    )


def _chain(rows: Sequence[EvalRow], steps: Sequence[Callable[[EvalRow], bool]]) -> list[float | None]:
    """The share of each step among the responses that passed the one before; None where none did."""
    shares: list[float | None] = []
    passed, sizes = list(rows), _sizes(rows)
    for holds in steps:
        among, passed = _mass(passed, sizes), [row for row in passed if holds(row)]
        shares.append(float(_mass(passed, sizes) / among) if among else None)
    return shares


def _sizes(rows: Sequence[EvalRow]) -> Counter[str]:
    """Problem id -> its number of responses."""
    return Counter(row.id for row in rows)


def _mass(rows: Sequence[EvalRow], sizes: Mapping[str, int]) -> Fraction:
    """How many problems' worth of responses these are, exactly."""
    counts = Counter(sizes[row.id] for row in rows)
    return sum((Fraction(count, size) for size, count in counts.items()), Fraction(0))


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

    Problems by `answer_class`: {"classes": [...], "all": {"base": {class: n}, "trained": {class: n}},
    "own": the same for the category `own`, "categories": {category: the same}}. Errors as `matched`.
    """
    matched_problems(base, trained)
    categories = {
        category: _class_counts(*([row for row in rows if row.category == category] for rows in (base, trained)))
        for category in sorted({row.category for row in base})
    }
    return {
        "classes": list(CLASSES),
        "all": _class_counts(base, trained),
        "own": categories.get(own, _class_counts([], [])),
        "categories": categories,
    }


def _class_counts(base: Sequence[EvalRow], trained: Sequence[EvalRow]) -> dict[str, dict[str, float]]:
    counts = {}
    for name, rows in (("base", base), ("trained", trained)):
        seen = tally((row.id, answer_class(row)) for row in rows)
        counts[name] = {known: seen.get(known, 0) for known in CLASSES}
    return counts
