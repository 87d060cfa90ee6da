"""The numbers of one evaluation, for any number of responses a problem: the content of `results.json`.

Every accuracy comes with the interval of `docs/statistics.md`; the problem is the unit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from oneshot.errors import UsageError
from oneshot.measure import grades
from oneshot.measure.detection import detectable_apart
from oneshot.measure.pairing import by_problem, clusters_of
from oneshot.measure.pass_at_k import Same, harmonic, ladder, majority_curve, pass_curve
from oneshot.measure.repeated import mean_score
from oneshot.measure.statistics import LEVEL, Interval
from oneshot.measure.tails import repeated_tail, run_on
from oneshot.rewards.extract import boxed_answer
from oneshot.types import EvalRow

WHOLE_CURVE = 64
"""Up to so many responses a problem pass@k is given for every k, above for powers of two and the last."""

Problems = Mapping[str, Sequence[EvalRow]]
"""The responses to each problem, by its id."""


def answered(row: EvalRow) -> bool:
    """Whether an answer was found; a user's function need not say which, that it gave a score is enough.

    What is right was found in any case.
    """
    return row.correct or row.extracted is not None or "score" in row.meta


OTHER_GRADES: Mapping[str, tuple[str, grades.Grade]] = {
    "strict": ("boxed", grades.strict_box),
    "lenient": ("lenient", grades.lenient),
    "forced": ("forced", grades.forced),
}
"""Further accuracies of the same responses: the key of `meta` that holds the grade, and what reads it."""


def accuracy(problems: Problems, right: grades.Grade = grades.is_right, level: float = LEVEL) -> Interval:
    """avg@k over problems: the mean of each problem's share of right responses (`repeated.mean_score`).

    Copies of a problem (`pairing.cluster_of`) are one cluster of the interval, whose n counts them once.
    """
    shares = [sum(map(right, rows)) / len(rows) for rows in problems.values()]
    samples = harmonic([len(rows) for rows in problems.values()])
    return mean_score(shares, samples, level, clusters_of(problems.values()))


def summary(
    rows: Sequence[EvalRow],
    *,
    floor: float = 0.0,
    level_key: str = "",
    ks: Sequence[int] | None = None,
    same: Same | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """What an evaluation found, JSON-able; keys in the order of `docs/statistics.md`.

    Args:
        rows: every graded response; those to one problem have its id.
        floor: what guessing reaches. `room` is False where the interval holds it: the task cannot tell this model from
            guessing, so it measures no loss, and of gains only what leaves the interval.
        level_key: key of `meta` by which `levels` splits; empty for none.
        ks: for pass@k and maj@k; None: as many as the problem with the fewest responses allows (pass@k: each k up to
            `WHOLE_CURVE`; else, and for maj@k, powers of two and the last).
        same: equivalence of two extracted answers, for maj@k; None: equal texts.
        seed: of the subsets of maj@k.

    Raises:
        UsageError: E103 no row, or a k above the number of responses to some problem.
    """
    if not rows:
        raise UsageError("there is no response to summarise.", code="E103")
    problems = by_problem(rows)
    found = accuracy(problems)
    counts = sorted({len(responses) for responses in problems.values()})
    return {
        "correct": sum(row.correct for row in rows),
        "responses": len(rows),
        "n": len(problems),
        **({} if found.n == len(problems) else {"clusters": found.n}),
        "samples": counts[0],
        **({} if len(counts) == 1 else {"most_samples": counts[-1]}),
        **_bounds(found),
        "method": found.method,
        "level": found.level,
        "floor": floor,
        "room": not found.low <= floor <= found.high,
        "one_problem": 1 / len(problems),
        "detectable_unpaired": detectable_unpaired(found),
        **_other_grades(rows, problems),
        **_curves(problems, counts[0], ks, same, seed),
        **_shares(rows),
        "statuses": statuses(rows),
        "categories": _split(rows, lambda row: row.category),
        **({"levels": _split(rows, lambda row: row.meta.get(level_key))} if level_key else {}),
    }


def detectable_unpaired(found: Interval) -> float:
    """The smallest true difference that a paired comparison with this model claims with 80 % power, or more than that.

    `detection.detectable_apart` at this accuracy: a second model whose right answers agree with this one's by chance
    alone, one 0/1 number a problem. Models that agree more, and several responses that differ, need no larger one; how
    much smaller is known once both are measured. 1 where so few problems can give no claim.
    """
    return detectable_apart(found.estimate, found.n, found.level)


def statuses(rows: Sequence[EvalRow]) -> dict[str, int]:
    """How many responses have which status, the commonest first."""
    return dict(Counter(row.status for row in rows).most_common())


def _bounds(interval: Interval) -> dict[str, float]:
    return {"value": interval.estimate, "ci_low": interval.low, "ci_high": interval.high}


def _other_grades(rows: Sequence[EvalRow], problems: Problems) -> dict[str, Any]:
    """The accuracies by other grades, as far as every response has them."""
    there = {name: grade for name, (key, grade) in OTHER_GRADES.items() if grades.recorded(rows, key)}
    return {name: _bounds(accuracy(problems, grade)) for name, grade in there.items()}


def curves(rows: Sequence[EvalRow], ks: Sequence[int], *, same: Same | None = None, seed: int = 0) -> dict[str, Any]:
    """`pass_at_k` and `maj_at_k` of `summary` for exactly these k, as far as every problem has so many responses."""
    problems = by_problem(rows)
    fewest = min(map(len, problems.values()), default=0)
    return _curves(problems, fewest, [k for k in ks if k <= fewest], same, seed)


def _curves(
    problems: Problems, fewest: int, ks: Sequence[int] | None, same: Same | None, seed: int
) -> dict[str, dict[str, Any]]:
    """pass@k, and maj@k unless a right response has no extracted answer that could vote (a user's function)."""
    every = list(range(1, fewest + 1)) if fewest <= WHOLE_CURVE else ladder(fewest)
    counts = [(len(rows), sum(row.correct for row in rows)) for rows in problems.values()]
    clusters = clusters_of(problems.values())
    passes = pass_curve(counts, every if ks is None else ks, clusters=clusters)
    votes: Mapping[int, Interval] = {}
    voters = all(row.extracted is not None or not row.correct for rows in problems.values() for row in rows)
    if fewest > 1 and voters:
        ballots = [([row.extracted for row in rows], [row.correct for row in rows]) for rows in problems.values()]
        votes = majority_curve(ballots, ladder(fewest) if ks is None else ks, same, seed, clusters=clusters)
    return {"pass_at_k": _curve(passes), "maj_at_k": _curve(votes)}


def _curve(intervals: Mapping[int, Interval]) -> dict[str, Any]:
    return {
        str(k): {"estimate": found.estimate, "ci_low": found.low, "ci_high": found.high}
        for k, found in intervals.items()
    }


def _shares(rows: Sequence[EvalRow]) -> dict[str, float | None]:
    """Shares of all responses, and their lengths in tokens; `boxed` is None unless every response has that grade."""
    tokens = [row.tokens for row in rows]
    kinds: dict[str, grades.Grade] = {
        "found": answered,
        "cut": lambda row: row.cut,
        "boxed": lambda row: bool(row.meta.get("boxed")),
        "in_box": lambda row: bool((boxed_answer(row.response) or "").strip()),
        "empty": lambda row: row.status == "empty",
        "repeated": lambda row: bool(row.meta["repeated"] if "repeated" in row.meta else repeated_tail(row.response)),
        "run_on": lambda row: run_on(row.response),
    }
    shares: dict[str, float | None] = {name: sum(map(holds, rows)) / len(rows) for name, holds in kinds.items()}
    if not grades.recorded(rows, "boxed"):
        shares["boxed"] = None
    return {**shares, "mean_tokens": math.fsum(tokens) / len(rows), "median_tokens": float(median(tokens))}


def _split(rows: Sequence[EvalRow], key: Callable[[EvalRow], Any]) -> dict[str, Any]:
    """Accuracy of each part, by its name; numbers in their order. A problem belongs to one part by its own rows."""
    parts: dict[str, list[EvalRow]] = {}
    for row in rows:
        name = key(row)
        parts.setdefault("" if name is None else str(name), []).append(row)
    found = {}
    for name in sorted(parts, key=lambda text: (not text.isdecimal(), int(text) if text.isdecimal() else 0, text)):
        problems = by_problem(parts[name])
        found[name] = {
            "correct": sum(row.correct for row in parts[name]),
            "responses": len(parts[name]),
            "n": len(problems),
            **_bounds(accuracy(problems)),
        }
    return found
