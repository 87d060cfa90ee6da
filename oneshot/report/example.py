"""The training example as the page shows it: how often it was solved, its place in a selection, its own history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oneshot._store.values import is_number
from oneshot.measure.solved import preflight_rate
from oneshot.measure.statistics import wilson
from oneshot.report.charts import Frame, Series, line_chart
from oneshot.report.figures import MOST_POINTS, MOST_TABLE_ROWS, Figure, steps_shown, thinned, whole_percent
from oneshot.report.gather import Facts, part
from oneshot.report.sections import named
from oneshot.report.text import number, percent

PICKED = ("rank", "tie_first", "tie_last", "visits")
"""What a row that `oneshot select` wrote has in whole numbers; training keeps it in the example's meta."""


def view(facts: Facts) -> dict[str, Any]:
    """Texts of the training example, how often the untrained model solved it, and its place in a selection."""
    found = facts.example
    return {
        "prompt": str(found.get("prompt") or ""),
        "answer": str(found.get("answer") or ""),
        "kind": named(facts.kind) if facts.kind else "",
        "rate": base_rate(facts),
        "suffix": str(part(facts.config, "data").get("suffix") or ""),
        "pool": len(facts.selection),
        "picked": picked(facts),
    }


def base_rate(facts: Facts) -> Mapping[str, Any] | None:
    """`value`, `ci_low`, `ci_high`, `n` of the base model: as recorded with the example, else by the last preflight.

    The preflight's is known from before step 0, long before there is a summary. Of several examples it is of all that
    were sampled together, and `of` says so.
    """
    found = facts.example.get("base_rate")
    drawn = facts.example.get("base_rate_samples")
    if is_number(found) and is_number(drawn) and drawn > 0:  # as example.jsonl has it
        interval = wilson(round(found * drawn), int(drawn))
        found = {"value": found, "ci_low": interval.low, "ci_high": interval.high, "n": int(drawn)}
    for told in (found, preflight_rate(facts.events)):
        if isinstance(told, Mapping) and is_number(told.get("value")):
            rates = told.get("rates")
            count = len(rates) if isinstance(rates, list | tuple) else 0
            return {**told, "of": f"{count} of {facts.examples:,} examples together" if count > 1 else ""}
    return None


def picked(facts: Facts) -> list[tuple[str, str]]:
    """(what, how much) of an example that `oneshot select` wrote: its rank, and the score that it has it by."""
    told = part(facts.example, "meta")
    if not all(is_number(told.get(key)) for key in PICKED):
        return []
    rank, first, last, visits = (int(told[key]) for key in PICKED)
    tie = f" (tied, ranks {first:,} to {last:,})" if last > first else ""
    rows = [("Rank in its selection", f"{rank:,}{tie}")]
    score, low, high = (told.get(key) for key in ("score", "ci_low", "ci_high"))
    if is_number(score):
        bounds = f" (95 %: {number(low)} to {number(high)})" if is_number(low) and is_number(high) else ""
        rows.append(("Score there", f"{number(score)}{bounds}"))
    if is_number(mean := told.get("mean_accuracy")):
        times = "in one visit" if visits == 1 else f"over {visits:,} visits"  # of a history or a probe: not recorded
        rows.append(("Solved in the selection", f"{percent(mean)} {times}"))
    return rows


def history(facts: Facts) -> Figure | None:
    """How often this example alone was solved at each visit; of a run's only example the first figure shows it."""
    if len(facts.visits) < 2:
        return None
    points = [(float(step), right / samples) for step, right, samples in facts.visits]
    bounds = [(found.low, found.high) for found in (wilson(right, n) for _, right, n in facts.visits)]
    sizes = sorted({samples for _, _, samples in facts.visits})
    each = f"{sizes[0]:,} to {sizes[-1]:,}" if len(sizes) > 1 else f"{sizes[0]:,}"
    first, last = percent(points[0][1]), percent(points[-1][1])
    frame = Frame(
        key="example-history",
        title="This example by training step",
        text=f"Share of this example’s samples that are right: {first} at step {points[0][0]:g}, {last} at step "
        f"{points[-1][0]:g}.",
        y_range=(0.0, 1.0),
        x_range=steps_shown(facts),
        y_format=whole_percent,
    )
    series = Series(
        label="samples of this example", points=thinned(points, MOST_POINTS), bounds=thinned(bounds, MOST_POINTS)
    )
    return Figure(
        key=frame.key,
        title="This example in training",
        caption=f"share of its samples that are right, with 95 % Wilson intervals; n {each} samples a visit, "
        f"{len(points):,} visits",
        wide=line_chart(frame, [series]),
        head=["step", "right", "samples"],
        rows=[[f"{s:g}", f"{right:,}", f"{n:,}"] for s, right, n in thinned(facts.visits, MOST_TABLE_ROWS)],
        latest=f"{first} → {last}",
    )
