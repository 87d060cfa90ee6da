"""The figures of the page: which numbers go into which chart, with the table and the n that belong to each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from oneshot.measure import gains
from oneshot.measure.statistics import wilson
from oneshot.report.bars import Change, dumbbells, stacked
from oneshot.report.charts import Frame, Point, Series, line_chart
from oneshot.report.gather import Facts
from oneshot.report.text import is_number, number, percent

WIDE, NARROW = 860.0, 340.0
MOST_POINTS = 300
MOST_TABLE_ROWS = 60


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A chart at one or two natural widths, its caption, and the same numbers as a table."""

    key: str
    title: str
    caption: str
    wide: Markup
    narrow: Markup | None = None
    legend: Sequence[tuple[str, str]] = ()
    """(CSS class, words) of each mark."""
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    latest: str = ""


def thinned(rows: Sequence[Any], most: int) -> list[Any]:
    """Every k-th row and the last, so that at most about `most` remain; k is the smallest that does it."""
    every = -(-len(rows) // most) if rows else 1
    return [row for i, row in enumerate(rows) if i % every == 0 or i == len(rows) - 1]


def training(facts: Facts) -> Figure | None:
    """Training accuracy of each step with its band, and held-out accuracy at each reading, on one axis."""
    train = _train_series(facts)
    held = [
        Series(
            label=label,
            points=[(r.step, r.accuracy.estimate) for r in readings],
            bounds=[(r.accuracy.low, r.accuracy.high) for r in readings],
            style="held other" if "other" in label else "held own",
            shift=3.0 if "other" in label else -3.0 if len(facts.curves) > 1 else 0.0,
        )
        for label, readings in facts.curves.items()
    ]
    series = [s for s in (train, *held) if s.points]
    if not series:
        return None
    sizes = [f"{facts.responses_a_step} training responses a step"] if train.points and facts.responses_a_step else []
    sizes += [f"{label}: n {readings[0].accuracy.n}" for label, readings in facts.curves.items()]
    source = f" Held-out readings are from {facts.curve_task}." if facts.curve_task else ""
    caption = f"{'; '.join(sizes)}. Bands and whiskers: 95 % Wilson intervals.{source}"
    frames = [
        Frame(
            key=f"training-{name}",
            title="Training and held-out accuracy by training step",
            text=_in_words(series),
            width=width,
            height=height,
            x_label="training step (0: the untrained model)",
            y_range=(0.0, 1.0),
            y_format=lambda v: percent(v, 0),
        )
        for name, width, height in (("wide", WIDE, 360.0), ("narrow", NARROW, 280.0))
    ]
    head, rows = _merged(series)
    return Figure(
        key="training",
        title="Accuracy by training step",
        caption=caption,
        wide=line_chart(frames[0], series),
        narrow=line_chart(frames[1], series),
        legend=[(s.style, s.label) for s in series],
        head=head,
        rows=rows,
    )


def _train_series(facts: Facts) -> Series:
    points = values(facts.metrics, "train/accuracy")
    n = facts.responses_a_step
    bounds: list[Point] = []
    if n:
        intervals = [wilson(min(n, max(0, round(y * n))), n) for _, y in points]
        bounds = [(interval.low, interval.high) for interval in intervals]
    label = "training samples" if facts.examples != 1 else "training samples of the example"
    return Series(label=label, points=thinned(points, MOST_POINTS), bounds=thinned(bounds, MOST_POINTS))


def values(metrics: Sequence[Mapping[str, Any]], key: str) -> list[Point]:
    """(step, value) where the metric is a finite number."""
    return [(float(row["step"]), float(row[key])) for row in metrics if is_number(row.get(key))]


def _in_words(series: Sequence[Series]) -> str:
    """First and last value of each curve."""
    return " ".join(
        f"{s.label}: {percent(s.points[0][1])} at step {s.points[0][0]:g}, "
        f"{percent(s.points[-1][1])} at step {s.points[-1][0]:g}."
        for s in series
    )


def _merged(series: Sequence[Series]) -> tuple[list[str], list[list[str]]]:
    """One table row per step with a column for each curve, intervals in brackets."""
    steps = thinned(sorted({x for s in series for x, _ in s.points if s.style == "train"}), MOST_TABLE_ROWS)
    wanted = sorted({*steps, *(x for s in series for x, _ in s.points if s.style != "train")})
    cells: list[dict[float, str]] = []
    for s in series:
        shown = {x: percent(y) for x, y in s.points}
        for (x, y), (low, high) in zip(s.points, s.bounds, strict=False):
            shown[x] = f"{percent(y)} ({100 * low:.0f} to {100 * high:.0f})"
        cells.append(shown)
    return ["step", *(s.label for s in series)], [[f"{x:g}", *(c.get(x, "") for c in cells)] for x in wanted]


SMALL: tuple[tuple[str, str, str, Callable[[float], str]], ...] = (
    ("entropy", "Entropy", "nats a token, at the sampling temperature", number),
    ("completions/mean_length", "Response length", "tokens, mean", number),
    ("completions/clipped_ratio", "Cut at the limit", "share of responses", lambda v: percent(v, 0)),
    ("found", "Answer found", "share of responses", lambda v: percent(v, 0)),
    ("signal", "Signal", "share of responses with an advantage other than zero", lambda v: percent(v, 0)),
    ("kl", "KL to the initial model", "nats a token", number),
    ("grad_norm", "Gradient norm", "before clipping", number),
    ("mismatch/logprob", "Sampler gap", "mean distance from the learner’s log p, nats", number),
)
"""(metric, title, unit, number format) of each small chart."""


def small_multiples(facts: Facts) -> list[Figure]:
    """One small chart for each metric that was recorded."""
    size = f"{facts.responses_a_step} responses a step" if facts.responses_a_step else ""
    found = []
    for key, title, unit, shown in SMALL:
        points = values(facts.metrics, key) or (_signal(facts.metrics) if key == "signal" else [])
        if not points:
            continue
        drawn = thinned(points, MOST_POINTS)
        share = unit.startswith("share")
        first, last = shown(points[0][1]), shown(points[-1][1])
        frame = Frame(
            key=f"small-{key.replace('/', '-').replace('_', '-')}",
            title=f"{title} by training step",
            text=f"{title}, {unit}: {first} at step {points[0][0]:g}, {last} at step {points[-1][0]:g}.",
            y_range=(0.0, 1.0) if share else None,
            y_format=shown,
        )
        found.append(
            Figure(
                key=frame.key,
                title=title,
                caption=f"{unit}; n {size or 'not recorded'}",
                wide=line_chart(frame, [Series(label=title, points=drawn, style="metric")]),
                head=["step", title.lower()],
                rows=[[f"{x:g}", shown(y)] for x, y in thinned(points, MOST_TABLE_ROWS)],
                latest=f"{first} → {last}" if len(points) > 1 else first,
            )
        )
    return found


def _signal(metrics: Sequence[Mapping[str, Any]]) -> list[Point]:
    return [(x, 1 - y) for x, y in values(metrics, "frac_reward_zero_std")]


def changes(rows: Sequence[Change]) -> Figure | None:
    """Before and after as dumbbells."""
    if not rows:
        return None
    words = " ".join(f"{r.label}: {percent(r.base)} to {percent(r.trained)}, n {r.n}." for r in rows)
    frames = [
        Frame(key=f"changes-{name}", title="Accuracy before and after training", text=words, width=width)
        for name, width in (("wide", WIDE), ("narrow", NARROW))
    ]
    return Figure(
        key="changes",
        title="Accuracy before and after",
        caption="The band is the 95 % interval of the paired difference, laid from the base and cut at 0 and 100 %. "
        "At the right, the difference in points.",
        wide=dumbbells(frames[0], rows),
        narrow=dumbbells(frames[1], rows),
        legend=[("dot base", "base"), ("dot trained", "trained"), ("dot interval", "95 % interval of the change")],
    )


OUTCOME_WORDS = {"right": "right", "wrong": "wrong answer", "none": "no answer found", "cut": "cut at the limit"}


def outcomes(facts: Facts) -> Figure | None:
    """How responses ended, base and trained, for the own kind and for all problems."""
    bars: list[tuple[str, Mapping[str, int]]] = []
    both = (("base", facts.base), ("trained", facts.trained))
    if facts.base and facts.trained:
        bars += [(f"own kind, {name}", gains.outcome_states(facts.own(rows))) for name, rows in both]
        bars += [(f"all problems, {name}", gains.outcome_states(rows)) for name, rows in both]
        bars = [(name, counts) for name, counts in bars if sum(counts.values())]
    if not bars:
        return None
    words = " ".join(f"{name}: {', '.join(f'{counts[k]} {OUTCOME_WORDS[k]}' for k in OUTCOME_WORDS)}."
                     for name, counts in bars)  # fmt: skip
    frames = [
        Frame(key=f"outcomes-{name}", title="How responses ended", text=words, width=width)
        for name, width in (("wide", WIDE), ("narrow", NARROW))
    ]
    return Figure(
        key="outcomes",
        title="How responses ended",
        caption=f"Shares of the same problems of {facts.task}, counts in the table.",
        wide=stacked(frames[0], bars),
        narrow=stacked(frames[1], bars),
        legend=[(f"box {kind}", words) for kind, words in OUTCOME_WORDS.items()],
        head=["", *OUTCOME_WORDS.values(), "n"],
        rows=[[name, *(str(c[k]) for k in OUTCOME_WORDS), str(sum(c.values()))] for name, c in bars],
    )
