"""The figures over training steps: which numbers go into which chart, with the table and the n that belong to each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from oneshot._store.values import is_number
from oneshot.measure.statistics import wilson
from oneshot.report.charts import Frame, Marker, Point, Series, line_chart
from oneshot.report.gather import Facts, Read, part
from oneshot.report.text import percent

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


def whole_percent(value: float) -> str:
    """`58 %`, for axes."""
    return percent(value, 0)


def thinned(rows: Sequence[Any], most: int) -> list[Any]:
    """Every k-th row and the last, so that at most about `most` remain; k is the smallest that does it."""
    every = -(-len(rows) // most) if rows else 1
    return [row for i, row in enumerate(rows) if i % every == 0 or i == len(rows) - 1]


def values(metrics: Sequence[Mapping[str, Any]], key: str) -> list[Point]:
    """(step, value) where the metric is a finite number."""
    return [(float(row["step"]), float(row[key])) for row in metrics if is_number(row.get(key))]


def markers(facts: Facts, *, plain: bool = False) -> list[Marker]:
    """The saturation line, and a tick for every checkpoint that was written (not in small charts)."""
    found = []
    if facts.saturation is not None:
        words = f"saturated at step {facts.saturation}"
        found.append(Marker(x=facts.saturation, words=words, plain=plain))
    if not plain:
        found += [Marker(x=step, words=f"checkpoint-{step} written", tick=True) for step in facts.saved]
    return found


def steps_shown(facts: Facts) -> Point:
    """The x axis of every chart over steps: from the untrained model to the last step or reading."""
    read = [r.step for readings in facts.held.curves.values() for r in readings]
    return 0.0, float(max([1, *read, *facts.saved, *(int(row["step"]) for row in facts.metrics)]))


def training(facts: Facts) -> Figure | None:
    """Training accuracy of each step with its band, and held-out accuracy at each reading, on one axis."""
    train = _train_series(facts)
    series = [s for s in (train, *_held_series(facts)) if s.points]
    if not series:
        return None
    sizes = [f"{facts.responses_a_step} training responses a step"] if train.points and facts.responses_a_step else []
    sizes += [f"{label}: n {readings[0].accuracy.n}" for label, readings in facts.held.curves.items()]
    source = f" Held-out readings are from {facts.held.curve_task}." if facts.held.curve_task else ""
    found = markers(facts)
    ticks = " Triangles under the axis: checkpoints." if facts.saved else ""
    frames = [
        Frame(
            key=f"training-{name}",
            title="Training and held-out accuracy by training step",
            text=_in_words(series) + "".join(f" {m.words}." for m in found if not m.tick),
            width=width,
            height=height,
            x_label="training step (0: the untrained model)",
            y_range=(0.0, 1.0),
            x_range=steps_shown(facts),
            y_format=whole_percent,
        )
        for name, width, height in (("wide", WIDE, 380.0), ("narrow", NARROW, 300.0))
    ]
    head, rows = _merged(series)
    return Figure(
        key="training",
        title="Accuracy by training step",
        caption=f"{'; '.join(sizes)}. Bands and whiskers: 95 % Wilson intervals.{source}{ticks}{_saturation(facts)}",
        wide=line_chart(frames[0], series, found),
        narrow=line_chart(frames[1], series, found),
        legend=[(s.style, s.label) for s in series],
        head=head,
        rows=rows,
    )


def _saturation(facts: Facts) -> str:
    if facts.saturation is not None:
        return " Saturated: the first step whose next 10 steps have a 95 % lower bound of at least 95 %."
    why = str(part(facts.measured, "saturation").get("why") or "The training samples were not saturated in this run.")
    return f" {why}" if facts.metrics else ""


def _held_series(facts: Facts) -> Iterator[Series]:
    """The held-out curves, and without their intervals those of the control arm on the same task."""
    for label, readings in facts.held.curves.items():
        other = "other" in label
        shift = 3.0 if other else -3.0 if len(facts.held.curves) > 1 else 0.0
        yield _held(label, readings, "held other" if other else "held own", shift)
    control = facts.control
    if control is not None and control.arm.name and control.held.curve_task == facts.held.curve_task:
        for label, readings in control.held.curves.items():
            if "other" not in label:
                yield _held(f"control arm, {label}", readings, "control", 0.0)


def _held(label: str, readings: Sequence[Read], style: str, shift: float) -> Series:
    return Series(
        label=label,
        points=[(r.step, r.accuracy.estimate) for r in readings],
        bounds=[(r.accuracy.low, r.accuracy.high) for r in readings] if style != "control" else (),
        style=style,
        shift=shift,
    )


def _train_series(facts: Facts) -> Series:
    rows = [row for row in facts.metrics if is_number(row.get("train/accuracy"))]
    points, sizes = values(rows, "train/accuracy"), [facts.responses(row) for row in rows]
    bounds: list[Point] = []
    if all(sizes):
        found = [wilson(min(n, max(0, round(y * n))), n) for (_, y), n in zip(points, sizes, strict=True)]
        bounds = [(interval.low, interval.high) for interval in found]
    label = "training samples" if facts.examples != 1 else "training samples of the example"
    return Series(label=label, points=thinned(points, MOST_POINTS), bounds=thinned(bounds, MOST_POINTS))


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
