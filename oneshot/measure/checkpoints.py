"""Every recorded evaluation of one task, read once: scores of each problem, lengths, repetitions, reflection words."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oneshot.measure.dynamics import saturation, why_unsaturated
from oneshot.measure.pairing import by_problem, clusters_of
from oneshot.measure.post_saturation import PostSaturation, Scores, post_saturation
from oneshot.measure.reflection import of_rows
from oneshot.measure.run_facts import IMITATES, NOT_ITS_OWN, Rows, RunFacts, read, rows_of
from oneshot.measure.tails import repeated_tail
from oneshot.record import RunFolder
from oneshot.rewards.extract import boxed_answer

HELD_OUT = ("accuracy", "length", "cut", "repeated", "boxed")
"""Curves over the checkpoints. `boxed`: a complete box that holds something, right or wrong."""


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """The evaluations of one task, by step; 0 is the base model."""

    task: str = ""
    scores: Mapping[int, Scores] = field(default_factory=dict)
    samples: int = 1
    """Responses a problem, the smallest number."""
    clusters: Mapping[str, Hashable] = field(default_factory=dict)
    """Problem -> what it shares with its copies."""
    curves: Mapping[str, list[list[float]]] = field(default_factory=dict)
    """Each of `HELD_OUT` as [[step, value], ...]."""
    reflection: Sequence[Mapping[str, Any]] = ()
    """`reflection.of_rows` of each, with `step` and `checkpoint`."""


def checkpoints(facts: RunFacts, words: Sequence[str], missing: list[str]) -> Checkpoints:
    """Read them one at a time. Without words the texts are not looked at, which is fast."""
    task = facts.curve_task
    scores, clusters = dict[int, Scores](), dict[str, Hashable]()
    curves: dict[str, list[list[float]]] = {name: [] for name in HELD_OUT}
    reflected, fewest = list[Mapping[str, Any]](), list[int]()
    for step, name in facts.readings.get(task, {}).items():
        rows = rows_of(facts.run, task, name, missing, texts=bool(words))
        if not rows:
            continue
        problems = by_problem(rows)
        scores[step] = {key: sum(row.correct for row in found) / len(found) for key, found in problems.items()}
        clusters |= dict(zip(problems, clusters_of(problems.values()), strict=True))
        fewest.append(min(map(len, problems.values())))
        if words:
            reflected.append({"step": step, "checkpoint": name, **of_rows(rows, words)})
            for key, value in _numbers(rows, scores[step]).items():
                curves[key].append([step, value])
    return Checkpoints(
        task=task,
        scores=scores,
        samples=min(fewest, default=1),
        clusters=clusters,
        curves=curves,
        reflection=reflected,
    )


def _numbers(rows: Rows, scores: Scores) -> dict[str, float]:
    repeated = [bool(row.meta["repeated"] if "repeated" in row.meta else repeated_tail(row.response)) for row in rows]
    return {
        "accuracy": math.fsum(scores.values()) / len(scores),
        "length": math.fsum(row.tokens for row in rows) / len(rows),
        "cut": sum(row.cut for row in rows) / len(rows),
        "repeated": sum(repeated) / len(rows),
        "boxed": sum(bool((boxed_answer(row.response) or "").strip()) for row in rows) / len(rows),
    }


def saturated(facts: RunFacts) -> tuple[int | None, str]:
    """(the saturation step, why there is none)."""
    counts = facts.counts()
    if not counts:
        return None, NOT_ITS_OWN if facts.control == IMITATES else "No training samples were recorded."
    successes, samples = [each.successes for each in counts], [each.samples for each in counts]
    place = saturation(successes, samples)
    return (None, why_unsaturated(successes, samples)) if place is None else (counts[place].step, "")


def after_saturation(facts: RunFacts, found: Checkpoints) -> PostSaturation:
    """The post-saturation gain of a run on the task with most evaluations."""
    step, why = saturated(facts)
    return post_saturation(found.scores, step, samples=found.samples, clusters=found.clusters, why_unsaturated=why)


def after_saturation_of(run: RunFolder) -> PostSaturation:
    """The same from a run folder, no text looked at: for seeds (`post_saturation.over_runs`) and for health rules."""
    facts = read(run)
    return after_saturation(facts, checkpoints(facts, (), []))
