"""The paper's phenomena as numbers of one run folder. `docs/instruments.md` says what each can and cannot show.

No torch. Whatever a folder lacks is a sentence in `missing`: a run that died at step 0, one without evaluations or of
an earlier version, files that are damaged. Nothing here speaks of other training seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oneshot.measure.checkpoints import Checkpoints, after_saturation, checkpoints, saturated
from oneshot.measure.dynamics import SOLVED, WINDOW, curves
from oneshot.measure.flips import flips
from oneshot.measure.form_gains import form
from oneshot.measure.labels import labels
from oneshot.measure.reflection import DEFINITION, REFLECTION, cleaned
from oneshot.measure.run_facts import RunFacts, attempt, read
from oneshot.measure.statistics import wilson
from oneshot.measure.training_text import StepText, read_training, words_of
from oneshot.measure.transfer import foretold, transfer
from oneshot.record import RunFolder

__all__ = ["REFLECTION", "instruments"]


def instruments(
    run: RunFolder, *, task: str = "", words: Sequence[str] = REFLECTION, control: RunFolder | None = None
) -> dict[str, Any]:
    """Every instrument, JSON-able.

    Args:
        run: what is measured.
        task: the evaluation on which base and trained model are compared; empty: see `run_facts.read`. Curves over
            checkpoints, and what rests on them, are of the task with most evaluations.
        words: of self-reflection.
        control: a control arm; one called `format` is a baseline of the format gains.
    """
    facts = read(run, task)
    return measured(facts, read(control, facts.task) if control is not None else None, words)


def measured(facts: RunFacts, arm: RunFacts | None, words: Sequence[str] = REFLECTION) -> dict[str, Any]:
    """The same of a run, and a control arm, that were read: the control arm on the run's task."""
    listed, missing = cleaned(words), [*facts.missing]
    training, more = read_training(facts, listed)
    held = checkpoints(facts, listed or REFLECTION, missing)
    missing += more
    return {
        "schema": "oneshot.instruments/1",
        "task": facts.task,
        "checkpoint": facts.checkpoint,
        "label": facts.label,
        "saturation": _saturation(facts, missing),
        "post_saturation": _after(facts, held, missing),
        "reflection": _reflection(training, held, listed),
        "dynamics": _dynamics(facts, training, missing),
        "held_out": {"task": held.task, **held.curves},
        **_compared(facts, arm, missing),
        "drift": _drift(facts.run, missing),
        "labels": attempt("Label robustness", lambda: labels(facts, missing), None, missing),
        "missing": missing,
    }


def _saturation(facts: RunFacts, missing: list[str]) -> dict[str, Any]:
    step, why = saturated(facts)
    counts = [each for each in facts.counts() if step is not None and step <= each.step < step + WINDOW]
    rate = wilson(sum(each.successes for each in counts), sum(each.samples for each in counts))
    if why:
        missing.append(f"Saturation: {why}")
    bounds = rate.as_dict() if counts else None
    return {"step": step, "window": WINDOW, "threshold": SOLVED, "rate": bounds, "why": why}


def _after(facts: RunFacts, held: Checkpoints, missing: list[str]) -> dict[str, Any]:
    found = after_saturation(facts, held)
    if found.estimate is None and found.saturated is not None:
        missing.append(f"Post-saturation gain: {found.why}")
    return {"task": held.task, **found.as_dict()}


def _reflection(training: Sequence[StepText], held: Checkpoints, words: Sequence[str]) -> dict[str, Any]:
    steps = [each.reflection() for each in training]
    keys = ("share", "ci_low", "ci_high", "per_1000_tokens", "responses", "with_words")
    return {
        "words": list(words),
        "definition": DEFINITION,
        "task": held.task,
        "checkpoints": list(held.reflection) if words else [],
        "training": {
            **{key: [[row["step"], row[key]] for row in steps] for key in keys},
            "by_word": words_of(training, words),
        },
    }


def _dynamics(facts: RunFacts, training: Sequence[StepText], missing: list[str]) -> dict[str, Any]:
    """Curves of the metrics, and those of the training responses that were read."""
    found = attempt("metrics.jsonl", lambda: curves(facts.metrics), dict[str, Any](), missing)
    found["repeated"] = [[each.step, each.repeated / each.responses] for each in training]
    found["boxed"] = [[each.step, each.boxed / each.responses] for each in training]
    if not facts.metrics:
        missing.append("No training step was recorded.")
    elif absent := [name for name, points in found.items() if not points and name not in ("repeated", "boxed")]:
        why = " (there is no KL term in the loss)" if "kl" in absent else ""
        missing.append(f"Not recorded in training: {', '.join(absent)}{why}.")
    return found


def _compared(facts: RunFacts, arm: RunFacts | None, missing: list[str]) -> dict[str, Any]:
    """What compares the last checkpoint with the base."""
    pair = f"The comparison of {facts.checkpoint} with base on {facts.task}"
    empty: dict[str, Any] = {"transfer": {}, "format": {}, "flips": {}, "transfer_map": None}
    if not facts.trained:
        return empty
    moved = attempt(pair, lambda: transfer(facts.base, facts.trained, facts.own), dict[str, Any](), missing)
    if not moved:
        return empty
    if not facts.own:
        missing.append("The example has no category, so none is marked as its own.")
    return {
        "transfer": moved,
        "format": attempt("Format against the rest", lambda: form(facts, arm, missing), dict[str, Any](), missing),
        "flips": attempt("Flips", lambda: flips(facts.base, facts.trained), dict[str, Any](), missing),
        "transfer_map": _map(facts, moved["categories"], missing),
    }


def _map(facts: RunFacts, categories: Mapping[str, Any], missing: list[str]) -> dict[str, Any] | None:
    recorded = attempt("transfer_map.json", facts.run.transfer_map, dict[str, Any](), missing)
    if not recorded:
        missing.append("There is no transfer map (it takes evals.transfer_map, from before step 0).")
        return None
    found = attempt("transfer_map.json", lambda: foretold(recorded, categories), None, missing)
    if found is None:
        missing.append(f"The transfer map has no category in common with {facts.task}.")
    return found


def _drift(run: RunFolder, missing: list[str]) -> list[dict[str, Any]]:
    rows = attempt("drift.jsonl", run.drift, list[dict[str, Any]](), missing)
    if not rows:
        missing.append("Drift from the base was not measured (it takes a dev set, evals.source, and evals.drift).")
    return rows
