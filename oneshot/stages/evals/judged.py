"""What several paired differences of one table may claim: interval, room, and p by Holm over all of them. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oneshot.measure.differences import INCONCLUSIVE, claimed
from oneshot.measure.multiplicity import holm

THIS_RUN = "this run"
"""The scope of an interval over problems: other training seeds are not in it."""


def judge(found: Sequence[tuple[dict[str, Any], bool]]) -> None:
    """Put the claim into every difference of a table, in place of `badge`, with what it rests on.

    `badge` is what one interval alone says, without the other claims of the table and without a look at chance.

    Args:
        found: `gains.Paired.as_dict()` of each difference, and whether there is room to measure it.
    """
    adjusted = holm([pair["p_value"] for pair, _ in found])
    for (pair, room), p_holm in zip(found, adjusted, strict=True):
        word = claimed(pair.pop("badge"), p_holm, room=room)
        pair |= {
            "p_holm": p_holm,
            "claims": len(found),
            "claim": word,
            "gains_excluded_above": max(0.0, pair["ci_high"]) if word == INCONCLUSIVE else None,
            "scope": THIS_RUN,
            "room": room,
        }
