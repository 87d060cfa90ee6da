"""Two evaluations of the same problems to summary.json: headline, ladder, damage, and where the gain is from."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from oneshot.data.tasks.task import LOGLIKELIHOOD
from oneshot.measure import gains
from oneshot.measure.differences import claimed
from oneshot.measure.multiplicity import holm
from oneshot.measure.scores import answered
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
        "found": _two(base, trained, answered),
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


def headline(summary: Mapping[str, Any], kind: str = "") -> str:
    """Two sentences; gains and losses in the same words, and never more than "learned this kind of problem".

    Each says something only where its interval and p, adjusted by Holm for the two of them, agree.

    Without `kind` (problems of a file) it speaks of the held-out problems, and of an overall mean if there are kinds.
    """
    own, overall = summary["paired"], summary["overall"]
    if not kind:
        return _held_out(own, overall if len(summary["categories"]) > 1 else None)
    adjusted = holm([own["p_value"], overall["p_value"]])  # the sentence makes two claims
    on_own, on_all = (claimed(each["badge"], p) for each, p in zip((own, overall), adjusted, strict=True))
    verb = {
        "supported": f"learned this kind of problem ({kind})",
        "harmed": f"got worse at this kind of problem ({kind})",
    }.get(on_own, f"shows no reliable change on this kind of problem ({kind})")
    words = {"supported": "better", "harmed": "worse"}.get(on_all, "not reliably changed")
    return (
        f"In this run the model {verb}: {own['base']:.1%} to {own['trained']:.1%} on {own['n']} held-out problems, "
        f"paired difference {points(own['estimate'])} points, 95 % interval {points(own['ci_low'])} to "
        f"{points(own['ci_high'])}. Over all kinds with equal weight it is {words}: "
        f"{points(overall['estimate'])} points "
        f"({points(overall['ci_low'])} to {points(overall['ci_high'])})."
    )


def _held_out(own: Mapping[str, Any], overall: Mapping[str, Any] | None) -> str:
    """The headline of a run whose held-out problems have no relation to the example that we know of."""
    verb = {"supported": "got better at", "harmed": "got worse at"}.get(own["badge"], "shows no reliable change on")
    text = (
        f"In this run the model {verb} the {own['n']} held-out problems: {own['base']:.1%} to {own['trained']:.1%}, "
        f"paired difference {points(own['estimate'])} points, 95 % interval {points(own['ci_low'])} to "
        f"{points(own['ci_high'])}."
    )
    if overall is None:
        return text
    mean = f"{points(overall['estimate'])} points ({points(overall['ci_low'])} to {points(overall['ci_high'])})"
    return f"{text} Every category weighing the same, the difference is {mean}."


def limits(
    summary: Mapping[str, Any], *, last_step: int, read_during: bool = False, tasks: Mapping[str, Any] | None = None
) -> list[str]:
    """What this result does not show, in sentences.

    Args:
        summary: of `summarise`.
        last_step: of the model that was measured.
        read_during: whether the problems were also read during training.
        tasks: the test tasks, as `training_tasks.summary` has them, each with its `protocol`.
    """
    own = summary["paired"]
    measured = f"The model measured is the last one (step {last_step})"
    if read_during:
        measured += "; its problems were read during training too, so they are no test of a choice made by them."
    else:
        measured += "; base and trained model read these problems once each, and nothing was chosen by them."
    return [
        "One run: the intervals cover the choice of problems, not another training seed.",
        f"One problem of the {own['n']} is {100 / own['n']:.1f} points; no claim about reasoning is made.",
        measured,
        "Base and trained read these problems greedily, once each, with the same prompt, limit, grader and number "
        "format (dtype).",
        *([f"The test tasks were read in this way: {_protocols(tasks)}."] if tasks else []),
    ]


def _protocols(tasks: Mapping[str, Any]) -> str:
    """`math500 greedily; aime24 with 8 responses each at temperature 0.6`."""
    return "; ".join(f"{name} {_protocol(task['protocol'])}" for name, task in tasks.items())


def _protocol(how: Mapping[str, Any]) -> str:
    if how["kind"] == LOGLIKELIHOOD:
        return "by likelihoods"
    if not how["temperature"]:
        return "greedily"
    each = "1 response" if how["samples"] == 1 else f"{how['samples']} responses"
    return f"with {each} each at temperature {how['temperature']:g}"


def peak_memory_gib() -> float:
    """Most memory this process held, in GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (2**30 if sys.platform == "darwin" else 2**20)
