"""Several claims in one table: p values adjusted so that the chance of any false claim keeps to its level."""

from __future__ import annotations

import math
from collections.abc import Sequence

from oneshot.errors import UsageError


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values (Scand. J. Stat. 1979), in the order given. Example: `holm([.01, .04])` is [.02, .04].

    The i-th smallest of m is multiplied by m - i + 1, no adjusted value is smaller than that of a smaller p, none is
    above 1. Rejecting what is at most .05 keeps the chance of any false rejection at or below .05, whatever the
    dependence between the tests. Never larger than Bonferroni's m p.

    Raises:
        UsageError: E103 a value that is no probability.
    """
    if not all(math.isfinite(p) and 0 <= p <= 1 for p in p_values):
        raise UsageError("a p value lies outside [0, 1].", code="E103")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
