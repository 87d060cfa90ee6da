"""Which problems flipped: solved after training and not before, and the reverse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oneshot.measure import gains
from oneshot.measure.pairing import matched_problems
from oneshot.types import EvalRow


def flips(base: Sequence[EvalRow], trained: Sequence[EvalRow]) -> dict[str, Any]:
    """{"gained": [ids], "lost": [ids], "n", "p_value", "method"}, ids in the order of the evaluation.

    With one response a problem p is McNemar's, exact: under no change each flip is a fair coin. With several responses
    a problem is gained where its share of right ones rose, and p is the sign flip's (`gains.paired`). Errors as
    `matched_problems`.
    """
    found = gains.paired(base, trained)
    means = {before[0].id: (_mean(before), _mean(after)) for before, after in matched_problems(base, trained)}
    return {
        "gained": [key for key, (before, after) in means.items() if after > before],
        "lost": [key for key, (before, after) in means.items() if after < before],
        "n": found.n,
        "p_value": found.p_value,
        "method": "exact McNemar" if found.method == "bonett-price" else "sign flip",
    }


def _mean(rows: Sequence[EvalRow]) -> float:
    return sum(row.correct for row in rows) / len(rows)
