"""Post-saturation gain: did held-out accuracy still rise after the training samples were solved? Loads no torch.

With s the saturation step (`dynamics.saturation`), take the evaluations of checkpoints after more than s steps, at
least `LEAST` of them. Of each problem: the mean score in the last third of them less the mean score in the first third,
a third being a whole number, rounded down. The mean over problems with its paired interval is the gain.

The slope over checkpoints is for the eye only. Checkpoints of one run are a random walk: each begins where the one
before ended, so a line fitted to them by least squares rejects a true null far more often than it says. The thirds are
no cure for that either: a shift which all problems share is part of the run, and problems cannot tell it from a gain.
So one run says "in this run", and a claim about training again takes the gains of several seeds (`over_runs`).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oneshot.measure.differences import (
    INCONCLUSIVE,
    LEAST_SEEDS,
    NOT_TESTED,
    badge,
    claimed,
    over_seeds,
)
from oneshot.measure.repeated import paired_scores

LEAST = 6
"""Evaluations after saturation that a test needs."""

Scores = Mapping[str, float]
"""Problem -> the share of its responses that are right, in one evaluation."""


@dataclass(frozen=True, kw_only=True)
class PostSaturation:
    """The gain after saturation, of one run or over several."""

    saturated: int | None = None
    """The saturation step of one run."""
    estimate: float | None = None
    """None where it was not tested."""
    ci_low: float | None = None
    ci_high: float | None = None
    n: int = 0
    """Problems."""
    evaluations: int = 0
    """Evaluations after saturation; the fewest of a run where there are several."""
    first: tuple[int, ...] = ()
    """Steps of the evaluations in the first third."""
    last: tuple[int, ...] = ()
    p_value: float | None = None
    detectable: float | None = None
    """The smallest true |gain| that a test like this one finds with 80 % power."""
    badge: str = NOT_TESTED
    scope: str = "in this run"
    why: str = ""
    """How it was tested, or why not."""
    changes: Mapping[str, float] = field(default_factory=dict)
    """Problem -> its change from the first third to the last."""
    clusters: Mapping[str, Hashable] = field(default_factory=dict)
    """Problem -> what it shares with its copies; empty where none is a copy."""
    effects: tuple[float, ...] = ()
    """The gain of each run, where there are several."""

    def as_dict(self) -> dict[str, Any]:
        """JSON form: every field but `changes` and `clusters`, which are one entry a problem."""
        own = {name: value for name, value in self.__dict__.items() if name not in ("changes", "clusters")}
        return own | {"first": list(self.first), "last": list(self.last), "effects": list(self.effects)}


def changes(evaluations: Sequence[Scores]) -> dict[str, float]:
    """Problem -> mean score of the last third of the evaluations less that of the first; all hold the same problems."""
    third = len(evaluations) // 3
    assert third > 0, len(evaluations)

    def mean(part: Sequence[Scores], problem: str) -> float:
        return math.fsum(scores[problem] for scores in part) / third

    return {
        problem: mean(evaluations[-third:], problem) - mean(evaluations[:third], problem) for problem in evaluations[0]
    }


def post_saturation(
    evaluations: Mapping[int, Scores],
    saturated: int | None,
    *,
    samples: int = 1,
    clusters: Mapping[str, Hashable] | None = None,
    why_unsaturated: str = "",
) -> PostSaturation:
    """The gain of one run.

    Args:
        evaluations: step -> scores of that checkpoint. Those of at most `saturated` steps play no part.
        saturated: the saturation step.
        samples: responses a problem in one evaluation, the smallest number. Greedy checkpoints may all repeat one
            another, so several evaluations make an interval no narrower than one evaluation's limits allow.
        clusters: what each problem shares with its copies; None: there are none.
        why_unsaturated: the reason where `saturated` is None.
    """
    if saturated is None:
        return PostSaturation(why=why_unsaturated or "The run did not saturate.")
    later = {step: evaluations[step] for step in sorted(evaluations) if step > saturated}
    count, steps = len(later), list(later)
    if count < LEAST:
        held = f"{count} evaluation{'' if count == 1 else 's'} after saturation at step {saturated}"
        return PostSaturation(
            saturated=saturated, evaluations=count, why=f"There are {held}, and the test needs {LEAST} or more."
        )
    if any(scores.keys() != later[steps[0]].keys() for scores in later.values()) or not later[steps[0]]:
        why = "The evaluations after saturation hold different problems, or none."
        return PostSaturation(saturated=saturated, evaluations=count, why=why)
    moved = changes(list(later.values()))
    groups = {problem: clusters[problem] for problem in moved} if clusters else {}
    copied = groups if len(set(groups.values())) < len(groups) else {}
    found = paired_scores(list(moved.values()), samples, clusters=list(copied.values()) or None)
    word = claimed(badge(found.low, found.high), found.p_value)
    third = count // 3
    return PostSaturation(
        saturated=saturated,
        estimate=found.estimate,
        ci_low=found.low,
        ci_high=found.high,
        n=len(moved),
        evaluations=count,
        first=tuple(steps[:third]),
        last=tuple(steps[-third:]),
        p_value=found.p_value,
        detectable=found.detectable,
        badge=word,
        why=f"The mean of the last {third} of {count} evaluations less that of the first {third}, problem by problem, "
        f"in one run.{_null(word, found.high, found.detectable)}",
        changes=moved,
        clusters=copied,
    )


def over_runs(runs: Sequence[PostSaturation]) -> PostSaturation:
    """The gain that training with new seeds would make, from runs that differ in their seed alone.

    The mean of the runs' gains with Student's t, S - 1 degrees of freedom, never narrower than the interval of these
    runs by problem (`differences.over_seeds`), in which copies of a problem are one, as in each run's own; a badge
    takes `LEAST_SEEDS` runs. Runs without a tested gain are left out and said: what is found then speaks of runs that
    saturate.
    """
    tested = [run for run in runs if run.estimate is not None]
    left = len(runs) - len(tested)
    short = f" {left} of {len(runs)} runs are left out: {_reasons(runs)}" if left else ""
    if len(tested) < 2:
        return PostSaturation(scope=f"over {len(tested)} seeds", why=f"New seeds take two tested runs or more.{short}")
    if any(run.changes.keys() != tested[0].changes.keys() for run in tested):
        return PostSaturation(
            scope=f"over {len(tested)} seeds", why=f"The runs were read on different problems.{short}"
        )
    effects = [run.estimate for run in tested if run.estimate is not None]
    by_problem = [math.fsum(run.changes[key] for run in tested) / len(tested) for key in tested[0].changes]
    copied = tested[0].clusters
    here = paired_scores(by_problem, 1, clusters=[copied[key] for key in tested[0].changes] if copied else None)
    new = over_seeds(effects, low=here.low, high=here.high, p_value=here.p_value)
    word = claimed(new.badge, new.p_value)
    few = "" if len(tested) >= LEAST_SEEDS else f" A badge takes {LEAST_SEEDS} runs."
    return PostSaturation(
        estimate=new.estimate,
        ci_low=new.ci_low,
        ci_high=new.ci_high,
        n=len(by_problem),
        evaluations=min(run.evaluations for run in tested),
        p_value=new.p_value,
        detectable=new.detectable,
        badge=word,
        scope=f"over {len(tested)} seeds",
        why=f"The mean of the gains of {len(tested)} runs, t with {len(tested) - 1} degrees of freedom, never narrower "
        f"than these runs by problem.{_null(word, new.ci_high, new.detectable)}{few}{short}",
        effects=new.effects,
    )


def _null(word: str, high: float, detectable: float) -> str:
    """What an inconclusive result excludes, and what it could have seen."""
    if word != INCONCLUSIVE:
        return ""
    return (
        f" Gains above {100 * max(0.0, high):.1f} points are excluded; a true gain below {100 * detectable:.1f} points "
        "would mostly go unseen (80 % power)."
    )


def _reasons(runs: Sequence[PostSaturation]) -> str:
    return " ".join(dict.fromkeys(run.why for run in runs if run.estimate is None))
