"""What should be known of the chosen rows before training on them. Loads no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from oneshot.config.schema import RewardConfig
from oneshot.stages import graders
from oneshot.stages.selecting.candidates import Choice, named

_SLACK = 1e-8  # the bounds are rounded


def of_picks(picks: Sequence[Choice], unusable: Sequence[int | str], grader: str, *, top: int) -> list[str]:
    """Sentences; `top` is 0 where the whole pool is ranked and nothing was chosen."""
    told = []
    last = picks[-1]
    if top and last.tie_last > last.rank:
        told.append(
            f"rank {last.rank} is inside a tie (ranks {last.tie_first} to {last.tie_last}): "
            "which of them are chosen is the stable order alone."
        )
    if unusable:
        told.append(
            f"chosen, but no response can match the reference (empty, or not read by {grader!r}): {named(unusable)}; "
            "train leaves such rows out, and refuses one alone."
        )
    if top and (never := [c.candidate.index for c in picks if c.visits and c.mean == 0]):
        told.append(f"chosen, but never solved: {named(never)}; train asks for --allow-unsolved there.")
    if top and (always := [c.candidate.index for c in picks if c.visits and c.mean == 1]):
        told.append(f"chosen, but always solved: {named(always)}; such groups teach nothing.")
    if unrated := sum(choice.fresh == 0 and bool(choice.visits) for choice in picks):
        told.append(
            f"{unrated:,} rows have no fresh samples and so no score; their mean (~) is the rate that they were ranked "
            "by, which flatters the best of them."
        )
    if outside := sum(not choice.low - _SLACK <= choice.score <= choice.high + _SLACK for choice in rated(picks)):
        told.append(
            f"{outside} of {len(picks):,} scores lie outside their intervals: such a history moves more, or less, from "
            "visit to visit than a smoothed chance and sampling make likely."
        )
    return told


def rated(picks: Sequence[Choice]) -> list[Choice]:
    """Those with an interval."""
    return [choice for choice in picks if not math.isnan(choice.low)]


def unusable(picks: Sequence[Choice], reward: RewardConfig) -> list[int | str]:
    """Indices of chosen rows whose reference is empty, or which a grader of ours does not accept against itself.

    A function of the user's is not called: what it wants to read is not known.

    Raises:
        UsageError: E102 there is no grader of that name.
    """
    problems = [choice.candidate.problem for choice in picks]
    if ".py" in reward.name:
        return [choice.candidate.index for choice in picks if not choice.candidate.problem.answer.strip()]
    found = graders.unmatchable(graders.build(reward.name, timeout=reward.timeout, flag="--reward"), problems)
    never = {*found.refused, *found.empty}
    return [choice.candidate.index for choice in picks if choice.candidate.problem.id in never]
