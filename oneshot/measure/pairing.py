"""Two evaluations of the same problems, matched: problem by problem, and sample by sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from fractions import Fraction
from typing import TypeVar

from oneshot.errors import UsageError
from oneshot.types import EvalRow

Value = TypeVar("Value", bound=Hashable)


def by_problem(rows: Sequence[EvalRow]) -> dict[str, list[EvalRow]]:
    """Problem id -> its responses in the order of their sample numbers; problems in the order of their first row."""
    table: dict[str, list[EvalRow]] = {}
    for row in rows:
        table.setdefault(row.id, []).append(row)
    return {key: sorted(found, key=lambda row: row.sample) for key, found in table.items()}


def cluster_of(row: EvalRow) -> Hashable:
    """What a problem shares with its copies: the `cluster` of its meta if given, else its text and reference answer.

    White space in the text does not count. A row without a text (grades kept alone) stands for itself.
    """
    if "cluster" in row.meta:
        return "given", str(row.meta["cluster"])
    text = " ".join(row.prompt.split())
    return ("text", text, row.answer.strip()) if text else ("id", row.id)


def clusters_of(problems: Iterable[Sequence[EvalRow]]) -> list[Hashable]:
    """The cluster of every problem, given its responses; as many different ones as problems where none is a copy."""
    return [cluster_of(rows[0]) for rows in problems]


def matched_problems(base: Sequence[EvalRow], trained: Sequence[EvalRow]) -> list[tuple[list[EvalRow], list[EvalRow]]]:
    """The responses of two evaluations to each problem, in the order of `base`; any number of samples on each side.

    Raises:
        UsageError: E103 when there is no row, a sample of a problem occurs twice, or ids or reference answers differ.
    """
    _refuse_repeats(base, "base")
    _refuse_repeats(trained, "trained")
    first, second = by_problem(base), by_problem(trained)
    if first.keys() != second.keys():
        raise _other_problems(first.keys() - second.keys(), second.keys() - first.keys())
    if not first:
        raise UsageError("there is no problem to compare.", code="E103")
    for key in first:
        if len({row.answer for row in (*first[key], *second[key])}) > 1:
            raise UsageError(f"problem {key!r} has another reference answer in the two evaluations.", code="E103")
    return [(rows, second[key]) for key, rows in first.items()]


def _other_problems(base: set[str], trained: set[str]) -> UsageError:
    sides = [(len(base), "the base"), (len(trained), "the trained")]
    counts = " and ".join(f"{count} in {name} evaluation only" for count, name in sides if count)
    return UsageError(
        f"the evaluations hold different problems: {counts}, such as {min(base | trained)!r}. "
        "A paired comparison needs the same problems.",
        code="E103",
    )


def _refuse_repeats(rows: Sequence[EvalRow], name: str) -> None:
    seen = Counter((row.id, row.sample) for row in rows)
    if len(seen) < len(rows):
        (key, sample), _ = seen.most_common(1)[0]
        which = f"sample {sample} of problem {key!r}" if sample else f"problem {key!r}"
        raise UsageError(f"{which} occurs more than once in the {name} evaluation.", code="E103")


def matched(base: Sequence[EvalRow], trained: Sequence[EvalRow]) -> list[tuple[EvalRow, EvalRow]]:
    """Pairs of responses to the same problem, in the order of `base`: sample i with sample i, where both have it.

    Where two evaluations share no sample number of a problem, its responses are paired in their order instead, so
    that no problem is lost. Samples that only one side has are left out. Errors as `matched_problems`.
    """
    pairs: list[tuple[EvalRow, EvalRow]] = []
    for before, after in matched_problems(base, trained):
        numbered = {row.sample: row for row in after}
        shared = [(row, numbered[row.sample]) for row in before if row.sample in numbered]
        pairs += shared or zip(before, after, strict=False)
    return pairs


def tally(found: Iterable[tuple[str, Value]]) -> dict[Value, float]:
    """How many problems each value stands for, from (problem id, value) of every response or pair.

    Each of a problem's m counts 1/m. Whole numbers where every problem has one.
    """
    seen = Counter(found)
    sizes: Counter[str] = Counter()
    for (key, _), count in seen.items():
        sizes[key] += count
    mass: dict[Value, Fraction] = {}
    for (key, value), count in seen.items():
        mass[value] = mass.get(value, Fraction(0)) + Fraction(count, sizes[key])
    whole = max(sizes.values(), default=1) == 1
    return {value: int(total) if whole else float(total) for value, total in mass.items()}
