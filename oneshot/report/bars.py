"""Static SVG of before and after: dumbbells with the paired interval, and stacked outcome bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from oneshot.report.charts import Frame, Scale, svg, tag, ticks
from oneshot.report.text import percent, points

OUTCOMES = ("right", "wrong", "none", "cut")
ROW, TWO_LINE_ROW, GAP, BAR = 32.0, 52.0, 16.0, 26.0


@dataclass(frozen=True, kw_only=True)
class Change:
    """Accuracy of the untrained and the trained model on the same `n` problems, shares in [0, 1].

    `low` and `high` bound the paired difference `estimate` at 95 %.
    """

    label: str
    base: float
    trained: float
    estimate: float
    low: float
    high: float
    n: int
    headline: bool = False
    """The example's own kind, written in bold."""
    harmed: bool = False
    """The whole interval lies below zero."""
    first: bool = False
    """Begins a group of rows: some room above it."""
    control: float | None = None
    """Accuracy of the trained control arm on the same problems, where one is compared."""


def dumbbells(frame: Frame, rows: Sequence[Change]) -> Markup:
    """One row each: hollow mark base, full mark trained, and the interval of the difference laid from the base.

    Below 500 px the label stands above its row, so that the axis keeps the width. Empty markup without rows.
    """
    if not rows:
        return Markup("")
    narrow = frame.width < 500
    step = TWO_LINE_ROW if narrow else ROW
    left, right = (8.0, frame.width - 56.0) if narrow else (250.0, frame.width - 66.0)
    x = Scale(0.0, 1.0, left, right)
    bottom = 10 + step * len(rows)
    gaps = [GAP * sum(row.first for row in rows[1 : i + 1]) for i in range(len(rows))]
    bottom += gaps[-1]
    out = Markup()
    for value in ticks(0, 1, 4):
        out += tag("line", x1=x(value), x2=x(value), y1=6, y2=bottom, class_="zero" if value == 0 else "grid")
        out += tag("text", percent(value, 0), x=x(value), y=bottom + 18, text_anchor="middle" if value else "start")
    for i, row in enumerate(rows):
        middle = 10 + gaps[i] + step * i + (step - 16 if narrow else step / 2)
        out += _dumbbell(row, x, middle, narrow)
    return svg(frame, bottom + 26, out, css="dumbbells")


def _dumbbell(row: Change, x: Scale, y: float, narrow: bool) -> Markup:
    label = f"{row.label}, n {row.n}"
    out = tag("text", label, x=x.start + 6 if narrow else x.start - 14, y=y - 16 if narrow else y + 4.5, class_="label",
              text_anchor="start" if narrow else "end")  # fmt: skip
    low, high = (min(max(row.base + d, 0.0), 1.0) for d in (row.low, row.high))
    out += tag("rect", x=x(low), y=y - 6, width=max(x(high) - x(low), 1.0), height=12, rx=3, class_="interval")
    out += tag("line", x1=x(row.base), x2=x(row.trained), y1=y, y2=y, class_="move")
    if row.control is not None:
        out += _diamond(x(row.control), y, f"{label}: trained control arm {percent(row.control)}")
    out += tag("circle", tag("title", f"{label}: base {percent(row.base)}"), cx=x(row.base), cy=y, r=5, class_="base")
    tip = tag("title", f"{label}: trained {percent(row.trained)}")
    out += tag("circle", tip, cx=x(row.trained), cy=y, r=6, class_="trained")
    out += tag("text", points(row.estimate), x=x.end + 12, y=y + 4.5, class_="value")
    return tag("g", out, class_="row" + " headline" * row.headline + " lost" * row.harmed)


def _diamond(x: float, y: float, words: str) -> Markup:
    corners = f"{x:.1f},{y - 7:.1f} {x + 5:.1f},{y:.1f} {x:.1f},{y + 7:.1f} {x - 5:.1f},{y:.1f}"
    return tag("polygon", tag("title", words), points=corners, class_="control")


def stacked(frame: Frame, bars: Sequence[tuple[str, Mapping[str, int]]]) -> Markup:
    """One bar of full width per (label, counts of `OUTCOMES`), with the share written where there is room for it."""
    bars = [(label, counts) for label, counts in bars if sum(counts.get(k, 0) for k in OUTCOMES)]
    if not bars:
        return Markup("")
    narrow = frame.width < 500
    left = 0.0 if narrow else 250.0
    step = BAR + (26 if narrow else 10)
    out = Markup()
    for i, (label, counts) in enumerate(bars):
        total = sum(counts.get(k, 0) for k in OUTCOMES)
        top = step * i + (22 if narrow else 4)
        name = f"{label}, n {total:g}"
        out += tag("text", name, x=left if narrow else left - 14, y=top - 7 if narrow else top + 18, class_="label",
                   text_anchor="start" if narrow else "end")  # fmt: skip
        out += _segments(name, counts, Scale(0, total, left, frame.width), top)
    return svg(frame, step * len(bars) + 8, out, css="stacked")


def _segments(name: str, counts: Mapping[str, int], x: Scale, top: float) -> Markup:
    out, before = Markup(), 0
    for kind in OUTCOMES:
        count = counts.get(kind, 0)
        if not count:
            continue
        start, end = x(before), x(before + count)
        before += count
        share = percent(count / x.high, 0)
        tip = tag("title", f"{name}: {kind} {count:g} ({share})")
        out += tag("rect", tip, x=start, y=top, width=end - start, height=BAR, class_=f"outcome {kind}")
        if end - start >= 40:
            out += tag("text", share, x=(start + end) / 2, y=top + 17.5, text_anchor="middle", class_=f"on-{kind}")
    return out
