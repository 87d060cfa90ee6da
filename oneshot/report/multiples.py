"""The small charts over training steps, all with one x axis: what each shows, and where its numbers are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from oneshot._store.values import is_number
from oneshot.report.charts import Frame, Point, Series, line_chart
from oneshot.report.figures import (
    MOST_POINTS,
    MOST_TABLE_ROWS,
    Figure,
    markers,
    steps_shown,
    thinned,
    values,
    whole_percent,
)
from oneshot.report.gather import Facts, part
from oneshot.report.text import number, percent


@dataclass(frozen=True, kw_only=True)
class Small:
    """One of the small charts: where its numbers are, and how they are named and written."""

    key: str
    title: str
    unit: str
    shown: Callable[[float], str] = number
    points: Callable[[Facts], Sequence[Point]] | None = None
    """Where they are not simply a metric."""
    n: str = ""
    """What one point rests on, where it is not one step's responses."""


def _signal(facts: Facts) -> list[Point]:
    return values(facts.metrics, "signal") or [(x, 1 - y) for x, y in values(facts.metrics, "frac_reward_zero_std")]


def _dynamic(key: str, metric: str) -> Callable[[Facts], Sequence[Point]]:
    """A series of the instruments; of a folder they could not read, the metric itself."""

    def points(facts: Facts) -> Sequence[Point]:
        return pairs(part(facts.measured, "dynamics").get(key)) or values(facts.metrics, metric)

    return points


def pairs(found: object) -> list[Point]:
    """`[[step, value], ...]` without what is no number."""
    rows = found if isinstance(found, list | tuple) else ()
    return [(float(p[0]), float(p[1])) for p in rows
            if isinstance(p, list | tuple) and len(p) == 2 and is_number(p[0]) and is_number(p[1])]  # fmt: skip


def _drift(key: str) -> Callable[[Facts], Sequence[Point]]:
    def points(facts: Facts) -> Sequence[Point]:
        rows = facts.measured.get("drift")
        found = [r for r in rows if isinstance(r, Mapping)] if isinstance(rows, list | tuple) else []
        return sorted(
            (float(r["step"]), float(r[key])) for r in found if is_number(r.get("step")) and is_number(r.get(key))
        )

    return points


def _paid(facts: Facts) -> Sequence[Point]:
    """Only where what is paid is not what is right: elsewhere it is the training accuracy again."""
    return values(facts.metrics, "reward") if facts.arm.label else []


def _reflection(facts: Facts) -> Sequence[Point]:
    return pairs(part(part(facts.measured, "reflection"), "training").get("share"))


SMALL: tuple[Small, ...] = (
    Small(key="reward", title="Reward paid", unit="mean of what was paid, true or not", points=_paid),
    Small(key="entropy", title="Entropy", unit="nats a token, at the sampling temperature"),
    Small(key="completions/mean_length", title="Response length", unit="tokens, mean"),
    Small(key="completions/clipped_ratio", title="Cut at the limit", unit="share of responses", shown=whole_percent),
    Small(
        key="signal", title="Signal", unit="share of responses with an advantage other than zero", shown=whole_percent,
        points=_signal,
    ),
    Small(key="kl", title="KL to the base", unit="nats a token, on the step’s own responses"),
    Small(key="grad_norm", title="Gradient norm", unit="before clipping"),
    Small(
        key="boxed", title="Answer in a box", unit="share of responses", shown=whole_percent,
        points=_dynamic("boxed", "format/boxed"),
    ),
    Small(key="found", title="Answer found", unit="share of responses", shown=whole_percent),
    Small(
        key="repeated", title="Repetition", unit="share of responses that end in a loop", shown=whole_percent,
        points=_dynamic("repeated", "repeated"),
    ),
    Small(
        key="reflection", title="Self-reflection", unit="share of responses with a reflection word", shown=percent,
        points=_reflection,
    ),
    Small(key="mismatch/logprob", title="Sampler gap", unit="mean distance from the learner’s log p, nats"),
    Small(
        key="drift", title="Drift from the base", unit="KL(base ‖ model), nats a token", points=_drift("kl"),
        n="the base’s greedy answers to the dev prompts",
    ),
    Small(
        key="distance", title="Weight change", unit="L2 norm", points=_drift("weight_distance"),
        n="all weights",
    ),
)  # fmt: skip
"""The small charts, in order."""


def small_multiples(facts: Facts) -> list[Figure]:
    """One small chart for each series that was recorded; all have the same x axis."""
    return [_small(facts, small, points) for small in SMALL if (points := _points(facts, small))]


def _points(facts: Facts, small: Small) -> Sequence[Point]:
    return small.points(facts) if small.points else values(facts.metrics, small.key)


def not_recorded(facts: Facts) -> list[str]:
    """Titles of the small charts that there is nothing for."""
    return [small.title for small in SMALL if small.key != "reward" and not _points(facts, small)]


def _small(facts: Facts, small: Small, points: Sequence[Point]) -> Figure:
    size = small.n or (f"{facts.responses_a_step} responses a step" if facts.responses_a_step else "not recorded")
    share = small.unit.startswith("share") and small.shown is whole_percent
    first, last = small.shown(points[0][1]), small.shown(points[-1][1])
    frame = Frame(
        key=f"small-{small.key.replace('/', '-').replace('_', '-')}",
        title=f"{small.title} by training step",
        text=f"{small.title}, {small.unit}: {first} at step {points[0][0]:g}, {last} at step {points[-1][0]:g}.",
        y_range=(0.0, 1.0) if share else None,
        x_range=steps_shown(facts),
        y_format=small.shown,
    )
    series = Series(label=small.title, points=thinned(points, MOST_POINTS), style="metric")
    return Figure(
        key=frame.key,
        title=small.title,
        caption=f"{small.unit}; n {size}",
        wide=line_chart(frame, [series], markers(facts, plain=True)),
        head=["step", small.title.lower()],
        rows=[[f"{x:g}", small.shown(y)] for x, y in thinned(points, MOST_TABLE_ROWS)],
        latest=f"{first} → {last}" if len(points) > 1 else first,
    )
