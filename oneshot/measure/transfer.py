"""Cross-category transfer: what one example of one category did to all of them, and whether gradients foretold it.

Loads no torch.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from oneshot.measure import gains
from oneshot.types import EvalRow

Rows = Sequence[EvalRow]
FloatArray = npt.NDArray[np.float64]

LEAST_CATEGORIES = 5
"""Categories that a p value of a rank correlation takes: below, no order of them has p under .05 on both sides."""
EXACT = 8
"""Up to so many categories every order of them is tried; above, `ORDERS` random ones."""
ORDERS = 10_000


def transfer(base: Rows, trained: Rows, own: Collection[str]) -> dict[str, Any]:
    """The paired change of every category, with the example's own marked.

    {"own": name, "categories": {name: {base, trained, estimate, ci_low, ci_high, n, badge, ..., own}}, "rungs": {...}}.
    `rungs` is the ladder of the built-in task, where its rows have it: paraphrase, same wording, new wording, own kind,
    other kinds. The badges are not adjusted for the number of categories. Errors as `gains.paired`.
    """
    rungs = gains.by_rung(dict.fromkeys(name for row in base for name in row.meta.get("rungs") or ()))
    return {
        "own": ", ".join(sorted(own)),
        "categories": {
            name: {**pair.as_dict(), "own": name in own} for name, pair in gains.by_category(base, trained).items()
        },
        "rungs": {name: pair.as_dict() for name, pair in gains.ladder(base, trained, rungs).items()},
    }


def foretold(recorded: Mapping[str, Any], categories: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """The transfer map beside what was observed; None where no category is in both.

    Args:
        recorded: `transfer_map.json`: the cosine of the example's policy gradient with that of each category's dev
            problems, at the base model.
        categories: of `transfer`.

    The rank correlation (Spearman's, ties sharing their ranks) is descriptive: the categories are few, chosen by
    nobody at random, and of one run.
    """
    cosines = recorded.get("categories")
    table = {}
    for name, told in (cosines if isinstance(cosines, Mapping) else {}).items():
        cosine, seen = told.get("cosine"), categories.get(name)
        if seen is not None and isinstance(cosine, (int, float)) and math.isfinite(cosine):
            observed = {key: seen[key] for key in ("estimate", "ci_low", "ci_high", "n", "own")}
            table[name] = {"cosine": float(cosine), "signal": told.get("signal"), **observed}
    if not table:
        return None
    rho, p_value, how = rank_correlation(
        [row["cosine"] for row in table.values()], [row["estimate"] for row in table.values()]
    )
    return {
        "samples": recorded.get("samples"),
        "categories": table,
        "rank_correlation": rho,
        "p_value": p_value,
        "descriptive": True,
        "why": how,
    }


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> tuple[float | None, float | None, str]:
    """(Spearman's rank correlation, two-sided permutation p, how it was found).

    None where either side has no two different values. p is the share of the orders of one side that correlate at
    least as much, in either direction: exact up to `EXACT` pairs, above from seeded random orders, (hits + 1)/(orders +
    1). Below `LEAST_CATEGORIES` pairs there is none.
    """
    assert len(x) == len(y), (len(x), len(y))
    if len(x) < 2 or len(set(x)) < 2 or len(set(y)) < 2:
        return None, None, "There are no two categories that differ, so there is no order to compare."
    first, second = _centred_ranks(x), _centred_ranks(y)
    scale = math.sqrt(float(first @ first) * float(second @ second))
    rho = float(first @ second) / scale
    if len(x) < LEAST_CATEGORIES:
        return rho, None, f"{len(x)} categories are too few for a p value; it takes {LEAST_CATEGORIES}."
    if len(x) <= EXACT:
        orders = np.array(list(permutations(range(len(x)))))
        how = f"every order of the {len(x)} categories"
    else:
        draw = np.random.default_rng(0)
        orders = np.stack([draw.permutation(len(x)) for _ in range(ORDERS)])
        how = f"{ORDERS:,} random orders of the {len(x)} categories"
    hits = int((np.abs(second[orders] @ first) >= abs(rho) * scale - 1e-9).sum())
    p_value = hits / len(orders) if len(x) <= EXACT else (hits + 1) / (ORDERS + 1)
    return rho, p_value, f"Spearman's rank correlation, p from {how}; descriptive."


def _centred_ranks(values: Sequence[float]) -> FloatArray:
    """Ranks from 1, ties sharing their mean rank, less the mean rank."""
    array = np.asarray(values, dtype=np.float64)
    below = (array[None, :] < array[:, None]).sum(axis=1)
    equal = (array[None, :] == array[:, None]).sum(axis=1)
    ranks: FloatArray = below + (equal + 1) / 2
    centred: FloatArray = ranks - ranks.mean()
    return centred
