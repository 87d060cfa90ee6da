"""What k responses to a problem are worth: at least one right (pass@k), or the majority's answer right (maj@k)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import combinations

import numpy as np
import numpy.typing as npt

from oneshot.errors import UsageError
from oneshot.measure.repeated import mean_score
from oneshot.measure.statistics import LEVEL, Interval

SUBSETS = 1_000
"""Random subsets for maj@k, where there are more than so many."""

Same = Callable[[str, str], bool]
"""Whether two answers are equal; asked only of different texts."""


@lru_cache(maxsize=65_536)
def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that k of n responses, drawn without replacement, hold at least one of the c right ones.

    1 - C(n-c, k)/C(n, k) as 1 - prod over j = n-c+1..n of (1 - k/j): the unbiased estimate of pass@k (Chen et al.,
    arXiv 2107.03374). 1 - (1 - c/n)^k is biased downwards. Example: `pass_at_k(4, 1, 2)` is .5.

    Raises:
        UsageError: E103 k below 1 or above n, c outside 0..n.
    """
    if not 0 <= c <= n or k < 1:
        raise UsageError(f"pass@{k} of {c} right among {n} responses makes no sense.", code="E103")
    if k > n:
        raise UsageError(
            f"pass@{k} needs at least {k} responses a problem, and there are {n}.", code="E103", tries=(f"--n {k}",)
        )
    if n - c < k:
        return 1.0
    missed = 1.0
    for j in range(n - c + 1, n + 1):
        missed *= 1 - k / j
    return 1 - missed


def pass_curve(
    counts: Sequence[tuple[int, int]],
    ks: Sequence[int],
    level: float = LEVEL,
    clusters: Sequence[Hashable] | None = None,
) -> dict[int, Interval]:
    """pass@k for every k: the mean over problems of `pass_at_k`, with an interval over problems.

    The interval is `mean_score`'s: n/k samples a problem, since n responses hold n/k sets of k that share none. With
    one response a problem, and for k = n, it is plain Wilson.

    Args:
        counts: (responses n, right ones c) of every problem; n may differ.
        ks: which k.
        level: of the intervals.
        clusters: the cluster of every problem, as in `mean_score`.

    Raises:
        UsageError: E103 a k that is larger than a problem's n.
    """
    samples = harmonic([n for n, _ in counts])
    return {k: mean_score([pass_at_k(n, c, k) for n, c in counts], samples / k, level, clusters) for k in ks}


def harmonic(counts: Sequence[int]) -> float:
    """The harmonic mean, by which unequal numbers of samples enter the variance of a mean; 0 of nothing.

    In whole numbers: equal counts give that count, not a number next to it.
    """
    sizes = Counter(counts)
    return float(len(counts) / sum(Fraction(many, n) for n, many in sizes.items())) if counts else 0.0


def ladder(n: int) -> list[int]:
    """The k to show of n responses: 1, 2, 4, ... and n."""
    return sorted({2**i for i in range(n.bit_length())} | {n}) if n else []


def majority(
    answers: Sequence[str | None],
    right: Sequence[bool],
    k: int,
    same: Same | None = None,
    seed: int = 0,
) -> float:
    """maj@k of one problem: the expected grade of the commonest answer among k of the n responses.

    `majorities` for one k; see there.
    """
    return majorities(answers, right, [k], same, seed)[k]


def majorities(
    answers: Sequence[str | None],
    right: Sequence[bool],
    ks: Sequence[int],
    same: Same | None = None,
    seed: int | Sequence[int] = 0,
) -> dict[int, float]:
    """maj@k of one problem for several k, from one set of subsets.

    Answers are clustered: equal texts first, then each new text joins the first cluster whose first text it is the
    same as. A response without an answer (None) votes for nothing and cannot win; if no response has one, the value
    is 0. A cluster's grade is the share of its responses that were graded right (0 or 1 unless the grader tells them
    apart). Tied clusters share the vote: the value is the mean of their grades.

    For k < n the value is the mean over all k-subsets where there are at most `SUBSETS`, else over as many random ones
    (the first k of a seeded shuffle; the same shuffles for every k).

    Args:
        answers: the extracted answer of every response.
        right: its grade.
        ks: sizes of the vote.
        same: equivalence of two answers; None: equal texts only.
        seed: of the shuffles.

    Raises:
        UsageError: E103 a k below 1 or above the number of responses, or as many grades as answers are missing.
    """
    n = len(answers)
    if len(right) != n or any(not 1 <= k <= n for k in ks):
        raise UsageError(
            f"maj@k of {n} answers with {len(right)} grades needs k from 1 to {n}; asked for {list(ks)}.", code="E103"
        )
    cluster_N, clusters = _clusters(answers, same)
    if not clusters:
        return dict.fromkeys(ks, 0.0)
    votes_NC = (cluster_N[:, None] == np.arange(clusters)).astype(np.int64)
    grade_C = (votes_NC * np.asarray(right, dtype=np.float64)[:, None]).sum(axis=0) / votes_NC.sum(axis=0)
    if not grade_C.any():
        return dict.fromkeys(ks, 0.0)
    found: dict[int, float] = {}
    shuffled: npt.NDArray[np.int64] | None = None
    for k in ks:
        if math.comb(n, k) <= SUBSETS:
            subsets_SK = np.array(list(combinations(range(n), k)), dtype=np.int64)
        else:
            if shuffled is None:
                shuffled = np.random.default_rng(seed).random((SUBSETS, n)).argsort(axis=1)
            subsets_SK = shuffled[:, :k]
        found[k] = float(_won(votes_NC[subsets_SK].sum(axis=1), grade_C).mean())
    return found


def _clusters(answers: Sequence[str | None], same: Same | None) -> tuple[npt.NDArray[np.int64], int]:
    """[N]: the cluster of every answer, -1 for none; and how many there are."""
    known: dict[str, int] = {}
    firsts: list[str] = []
    for answer in answers:
        if answer is None or answer in known:
            continue
        joined = next((i for i, first in enumerate(firsts) if same is not None and same(first, answer)), len(firsts))
        if joined == len(firsts):
            firsts.append(answer)
        known[answer] = joined
    return np.array([-1 if a is None else known[a] for a in answers], dtype=np.int64), len(firsts)


def _won(counts_SC: npt.NDArray[np.int64], grade_C: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """[S]: the grade of the most frequent cluster of every subset, the mean of those tied; 0 where nobody voted."""
    most_S = counts_SC.max(axis=1)
    winners_SC = (counts_SC == most_S[:, None]) & (most_S[:, None] > 0)
    share: npt.NDArray[np.float64] = (winners_SC * grade_C).sum(axis=1) / np.maximum(winners_SC.sum(axis=1), 1)
    return share


def majority_curve(
    problems: Sequence[tuple[Sequence[str | None], Sequence[bool]]],
    ks: Sequence[int],
    same: Same | None = None,
    seed: int = 0,
    level: float = LEVEL,
    clusters: Sequence[Hashable] | None = None,
) -> dict[int, Interval]:
    """maj@k over problems, each (answers, grades), with the intervals of `pass_curve`. Errors as `majorities`.

    Problems draw their subsets with keys of their own, (seed, place): the random parts of their errors average out.
    """
    each = [majorities(answers, right, ks, same, (seed, place)) for place, (answers, right) in enumerate(problems)]
    samples = harmonic([len(answers) for answers, _ in problems])
    return {k: mean_score([values[k] for values in each], samples / k, level, clusters) for k in ks}
