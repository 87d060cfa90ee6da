"""Two evaluations of the same problems to summary.json: headline, ladder, damage, and where the gain is from."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from oneshot.measure import gains
from oneshot.types import EvalRow

RUNGS = ("paraphrase", "same_wording", "new_wording", "own_kind", "other_kinds")


def summarise(base: Sequence[EvalRow], trained: Sequence[EvalRow], *, own: str = "") -> dict[str, Any]:
    """Everything a comparison shows. With `own` (the example's kind) the headline is the own-kind rung.

    Without rungs (problems from a file) the headline is all problems, and `ladder` is empty.
    """
    rungs = gains.by_rung(RUNGS) if own else {}
    ladder = gains.ladder(base, trained, rungs)
    headline = ladder.get("own_kind") or gains.paired(base, trained)
    at_limit = "own_kind" if "own_kind" in ladder else ""
    own_base, own_trained = (_on(rows, at_limit) for rows in (base, trained))
    summary: dict[str, Any] = {
        "paired": headline.as_dict(),
        "overall": gains.overall(base, trained).as_dict(),
        "ladder": {name: rung.as_dict() for name, rung in ladder.items()},
        "categories": {name: kind.as_dict() for name, kind in gains.by_category(base, trained).items()},
        "training_limit": gains.paired(own_base, own_trained, right=gains.at_training_limit).as_dict(),
        "boxed": _two(base, trained, gains.strict_box),
        "found": _two(base, trained, lambda row: row.extracted is not None),
        "cut": _two(base, trained, lambda row: row.cut),
        "states": {"base": gains.outcome_states(own_base), "trained": gains.outcome_states(own_trained)},
        "transitions": gains.transitions(own_base, own_trained),
        "decomposition": gains.decomposition(own_base, own_trained).as_dict(),
    }
    if own:
        summary["operations"] = gains.operation_table(base, trained, own)
        summary["operation_decomposition"] = gains.operation_decomposition(own_base, own_trained).as_dict()
    return summary


def _on(rows: Sequence[EvalRow], rung: str) -> list[EvalRow]:
    return [r for r in rows if not rung or rung in r.meta.get("rungs", ())]


def _two(base: Sequence[EvalRow], trained: Sequence[EvalRow], has: Any) -> dict[str, float]:
    return {"base": gains.share(base, has).estimate, "trained": gains.share(trained, has).estimate}


def points(value: float) -> str:
    """`+12.5` percentage points."""
    return f"{100 * value:+.1f}"


def headline(summary: Mapping[str, Any], kind: str) -> str:
    """One sentence; gains and losses in the same words, and never more than "learned this kind of problem"."""
    own, overall = summary["paired"], summary["overall"]
    verb = {
        "supported": f"learned this kind of problem ({kind})",
        "harmed": f"got worse at this kind of problem ({kind})",
    }.get(own["badge"], f"shows no reliable change on this kind of problem ({kind})")
    words = {"supported": "better", "harmed": "worse"}.get(overall["badge"], "not reliably changed")
    return (
        f"In this run the model {verb}: {own['base']:.1%} to {own['trained']:.1%} on {own['n']} held-out problems, "
        f"paired difference {points(own['estimate'])} points, 95 % interval {points(own['ci_low'])} to "
        f"{points(own['ci_high'])}. Over all kinds with equal weight it is {words}: "
        f"{points(overall['estimate'])} points "
        f"({points(overall['ci_low'])} to {points(overall['ci_high'])})."
    )


def limits(summary: Mapping[str, Any], *, last_step: int) -> list[str]:
    """What this result does not show, in sentences."""
    own = summary["paired"]
    return [
        "One run: the intervals cover the choice of problems, not another training seed.",
        f"One problem of the {own['n']} is {100 / own['n']:.1f} points; no claim about reasoning is made.",
        f"The model measured is the last one (step {last_step}); the test problems were read once, after training.",
        "Base and trained were read greedily with the same prompt, limit, grader and number format (dtype).",
    ]


def peak_memory_gib() -> float:
    """Most memory this process held, in GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (2**30 if sys.platform == "darwin" else 2**20)
