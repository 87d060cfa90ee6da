"""The rows of a pool to choose from, and what `oneshot select` says of each. Loads no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneshot.data.problems import BUILTIN, Loaded, examples, load_source
from oneshot.data.readers import hash_id
from oneshot.errors import UsageError
from oneshot.types import Problem

INDEX_COLUMNS = ("index", "extra_info.index")
ID_COLUMNS = ("id", "unique_id")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One row of a pool; nothing is merged or dropped."""

    index: int | str
    """The row's `index` (verl: `extra_info.index`), else its number from 0. The reader adds `-2` to one seen before."""
    id: str
    """The row's id, else a hash of the question, which equal questions share."""
    problem: Problem
    """As training reads the row; its `id` may be another one, unique in the pool."""
    same_as: tuple[int | str, ...] = ()
    """Indices of the other rows with the same question."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One ranked example. Numbers that are not known are NaN."""

    candidate: Candidate
    rank: int
    score: float
    low: float
    """95 % interval of the score."""
    high: float
    mean: float
    """Mean accuracy over the visits; after a probe the rate of fresh samples, or of those chosen by (see `fresh`)."""
    visits: int
    tie_first: int
    tie_last: int
    rank_low: float = math.nan
    """95 % interval of the rank."""
    rank_high: float = math.nan
    corrected: float = math.nan
    """Variance less its expected noise."""
    accuracies: tuple[float, ...] = ()
    fresh: int | None = None
    """After a probe: the samples that had no part in the choice; 0: `mean` is the rate that was chosen by."""

    def row(self) -> dict[str, Any]:
        """A row of the output file: fit to be read again as `train --data` and as a pool."""
        return {
            "rank": self.rank,
            "index": self.candidate.index,
            "id": self.candidate.id,
            "score": self.score,
            "ci_low": self.low,
            "ci_high": self.high,
            "mean_accuracy": self.mean,
            "visits": self.visits,
            "tie_first": self.tie_first,
            "tie_last": self.tie_last,
            "problem": self.candidate.problem.prompt,
            "answer": self.candidate.problem.answer,
        }

    def told(self) -> dict[str, Any]:
        """The row with what `--json` says beside it."""
        return self.row() | {
            "rank_low": self.rank_low,
            "rank_high": self.rank_high,
            "corrected_variance": self.corrected,
            "same_problem_as": list(self.candidate.same_as),
            "empty_reference": not self.candidate.problem.answer,
            "fresh_samples": self.fresh,
        }


def read_candidates(source: str, *, offline: bool = False) -> list[Candidate]:
    """Every row of a file or a Hub data set, in order.

    Raises:
        UsageError: E105 the name of something built in; and as `oneshot.data.problems.load_source`.
    """
    _no_pool(source)
    loaded = load_source(source, allow_empty_answer=True, offline=offline)
    indices = [_index(loaded, place) for place in range(len(loaded.problems))]
    equal: dict[str, list[int]] = {}
    for place, problem in enumerate(loaded.problems):
        equal.setdefault(problem.prompt, []).append(place)
    own = loaded.columns.get("id") in ID_COLUMNS
    return [
        Candidate(
            index=indices[place],
            id=problem.id if own else hash_id(problem.prompt),
            problem=problem,
            same_as=tuple(indices[other] for other in equal[problem.prompt] if other != place),
        )
        for place, problem in enumerate(loaded.problems)
    ]


def _no_pool(source: str) -> None:
    """Refuse the names that `train` knows and that hold no rows to choose from."""
    if Path(source).expanduser().exists():
        return
    if source == BUILTIN:
        raise UsageError(
            "the built-in task is no pool of rows: the demo makes its problems and chooses one of them itself.",
            code="E105",
            tries=("oneshot demo", "oneshot select FILE.jsonl --probe 8 --out picks.jsonl"),
        )
    if source in examples():
        raise UsageError(
            f"{source} is one built-in example, so there is nothing to choose from.",
            code="E105",
            tries=(f"oneshot train --data {source}", "oneshot select FILE.jsonl --probe 8 --out picks.jsonl"),
        )


def _index(loaded: Loaded, place: int) -> int | str:
    problem = loaded.problems[place]
    if loaded.columns.get("id") not in INDEX_COLUMNS:
        index = problem.meta.get("index", place)
    else:  # the reader took the index as the id; a row without one got the hash
        index = place if problem.id == hash_id(problem.prompt) else problem.id
    if isinstance(index, int):
        return index
    text = str(index)
    return int(text) if text.isascii() and text.isdigit() and str(int(text)) == text else text


def notes(pool: Sequence[Candidate]) -> list[str]:
    """What is odd about a pool: questions that occur more than once, references that nothing can match."""
    told = []
    repeated = [candidate for candidate in pool if candidate.same_as]
    if repeated:
        texts = len({candidate.problem.prompt for candidate in pool})
        told.append(
            f"{len(pool):,} rows, {texts:,} different questions; the same as another row: "
            f"{named([candidate.index for candidate in repeated])}. All are kept."
        )
    if empty := [candidate.index for candidate in pool if not candidate.problem.answer]:
        rows = "1 row has" if len(empty) == 1 else f"{len(empty)} rows have"
        told.append(f"{rows} an empty reference, which nothing can match: {named(empty)}. Kept, but not to train on.")
    return told


def named(indices: Sequence[int | str], most: int = 6) -> str:
    """`index 265`, `indices 136, 780, 899`, or the first of many."""
    shown = ", ".join(map(str, indices[:most])) + (", ..." if len(indices) > most else "")
    return f"{'index' if len(indices) == 1 else 'indices'} {shown}"
