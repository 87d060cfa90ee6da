"""A study's arms after their examples were solved: the post-saturation gain of each, over its seeds. Loads no torch.

A family of its own, with Holm's adjustment over the arms; what was announced are the claims at equal steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oneshot.measure.checkpoints import after_saturation_of
from oneshot.measure.differences import LEAST_SEEDS, NOT_TESTED, claimed
from oneshot.measure.multiplicity import holm
from oneshot.measure.post_saturation import PostSaturation, over_runs
from oneshot.record import RunFolder
from oneshot.stages.studies.dose import NOT_OVER_SEEDS, interim


@dataclass(frozen=True, kw_only=True)
class After:
    """One arm."""

    saturated: Mapping[int, int | None]
    """Seed -> the step from which its samples are solved; None where they never were."""
    gain: PostSaturation
    """Over the seeds; of one run where there is one."""
    holm: float | None = None
    says: str = NOT_TESTED

    def as_dict(self) -> dict[str, object]:
        """JSON form."""
        return {**self.gain.as_dict(), "saturated": dict(self.saturated), "p_holm": self.holm, "claim": self.says}


def after_of(done: Mapping[str, Mapping[int, RunFolder]], announced: int) -> dict[str, After]:
    """Every arm of which a run saturated; empty where none did. `announced`: seeds of the study."""
    found: dict[str, After] = {}
    for arm, runs in done.items():
        each = {seed: after_saturation_of(run) for seed, run in runs.items()}
        gain = over_runs(list(each.values())) if len(each) > 1 else next(iter(each.values()))
        found[arm] = After(saturated={seed: one.saturated for seed, one in each.items()}, gain=gain)
    found = {arm: one for arm, one in found.items() if any(step is not None for step in one.saturated.values())}
    tested = {arm: one.gain.p_value for arm, one in found.items() if one.gain.p_value is not None}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    return {arm: _judged(one, adjusted.get(arm), announced) for arm, one in found.items()}


def _judged(found: After, p_holm: float | None, announced: int) -> After:
    """Of announced seeds that are done some may not have saturated: what is said then speaks of those that did."""
    if p_holm is None:
        return found
    says = interim(len(found.saturated), announced) or claimed(found.gain.badge, p_holm)
    says = says if len(found.gain.effects) >= LEAST_SEEDS else NOT_OVER_SEEDS
    return After(saturated=found.saturated, gain=found.gain, holm=p_holm, says=says)
