"""Label robustness: what a run with wrong labels learned, by its labels and by the true answers. Loads no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from oneshot._store.values import section
from oneshot.measure.dynamics import WINDOW, series
from oneshot.measure.run_facts import RunFacts
from oneshot.measure.statistics import wilson

TRUE_ANSWER = "true_answer"
"""Key in a corrupted example's meta, as `data/corruption.py` writes it."""


def labels(facts: RunFacts, missing: list[str]) -> dict[str, Any] | None:
    """What was rewarded and what was right; None for a run whose rewards are those of its true answers.

    asked: share of the examples to be corrupted · examples, corrupted: counts · label, true, paid: curves
    [[step, value], ...] of training accuracy by the labels, by the true answers, and of the mean reward (a control arm
    pays something else) · on_corrupted: of the samples of corrupted examples in the last `WINDOW` steps, the share
    that answers the wrong label and the share that answers the truth, each with Wilson's interval.
    """
    true = _true_answers(facts)
    if not (facts.corrupt or true or facts.control):
        return None
    body: dict[str, Any] = {
        "asked": facts.corrupt,
        "examples": len(facts.examples),
        "corrupted": len(true),
        "control": facts.control,
        "label": _curve(facts, "train/accuracy"),
        "true": _curve(facts, "train/true_accuracy" if true else "train/accuracy"),
        "paid": _curve(facts, "reward"),
        "on_corrupted": _on_corrupted(facts, true) if true else None,
    }
    if facts.corrupt and not true:
        missing.append(f"data.corrupt is {facts.corrupt:g}, and no example is marked as corrupted.")
    if true and not body["true"]:
        missing.append("Training accuracy by the true answers was not recorded (train/true_accuracy).")
    return body


def _true_answers(facts: RunFacts) -> dict[str, str]:
    """Corrupted example -> its true answer."""
    metas = {str(row.get("id")): section(row, "meta") for row in facts.examples}
    return {key: str(meta[TRUE_ANSWER]) for key, meta in metas.items() if TRUE_ANSWER in meta}


def _curve(facts: RunFacts, key: str) -> list[list[float]]:
    return [list(point) for point in zip(*series(facts.metrics, key), strict=True)]


def _on_corrupted(facts: RunFacts, true: Mapping[str, str]) -> dict[str, Any] | None:
    """From the answers in the history, read as mathematics; a user's function has none. None without a sample."""
    from oneshot.rewards.answers.compare import same

    last = max((int(row["step"]) for row in facts.visits), default=0)
    samples, label, truth = 0, 0, 0
    answers: Counter[tuple[str, str]] = Counter()
    for row in facts.visits:
        if row["problem_id"] in true and int(row["step"]) > last - WINDOW:
            samples += int(row["samples"])
            label += int(row["successes"])
            for text, count in row["answers"].items():
                answers[row["problem_id"], text] += int(count)
    for (problem, text), count in answers.items():
        truth += count * bool(same(text, true[problem]).equal)
    if not samples:
        return None
    return {"label": wilson(label, samples).as_dict(), "true": wilson(min(truth, samples), samples).as_dict()}
