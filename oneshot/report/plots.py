"""Static SVG of other forms than curves over steps: a scatter of named points, a histogram with one value marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from oneshot.report.charts import MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, Frame, Point, Scale, svg, tag, ticks
from oneshot.report.text import number

CHARACTER, LINE = 8.0, 16.0
"""Pixels that a letter and a line of a label take, roughly: what is used to keep labels apart."""
Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A named point of a scatter with the interval of its y."""

    label: str
    x: float
    y: float
    low: float
    high: float
    own: bool = False
    """The example's own category."""


def padded(values: Sequence[float]) -> Point:
    """A range that holds all values and zero with some room on both sides."""
    low, high = min([0.0, *values]), max([0.0, *values])
    room = 0.08 * (high - low) or 1.0
    return low - room, high + room


def scatter(frame: Frame, dots: Sequence[Dot], y_label: str, x_format: Callable[[float], str] = number) -> Markup:
    """Each dot with a whisker and its name where there is room for it; empty markup without dots."""
    if not dots:
        return Markup("")
    x = Scale(*padded([d.x for d in dots]), MARGIN_LEFT + 8, frame.width - MARGIN_RIGHT)
    y = Scale(*padded([v for d in dots for v in (d.low, d.high)]), frame.height - 44, MARGIN_TOP + 20)
    out = tag("text", y_label, x=0, y=11, text_anchor="start")
    for value in ticks(y.low, y.high, 5):
        out += tag("line", x1=x.start, x2=x.end, y1=y(value), y2=y(value), class_="zero" if value == 0 else "grid")
        out += tag("text", frame.y_format(value), x=x.start - 8, y=y(value) + 4, text_anchor="end")
    for value in ticks(x.low, x.high, 6 if frame.width > 500 else 4):
        out += tag("line", x1=x(value), x2=x(value), y1=y.end, y2=y.start, class_="zero" if value == 0 else "grid")
        out += tag("text", x_format(value), x=x(value), y=y.start + 18, text_anchor="middle")
    out += tag("text", frame.x_label, x=(x.start + x.end) / 2, y=frame.height - 5, text_anchor="middle")
    marks: list[Box] = [(x(d.x) - 7, y(d.y) - 7, x(d.x) + 7, y(d.y) + 7) for d in dots]
    whiskers: list[Box] = [(x(d.x) - 2, y(d.high), x(d.x) + 2, y(d.low)) for d in dots]
    for dot in dots:
        out += _dot(dot, x, y, frame, x_format)
    for dot in sorted(dots, key=lambda d: not d.own):
        room = (x.start, y.end, x.end, y.start)
        out += _name(dot, x(dot.x), y(dot.y), room, marks, whiskers)
    return svg(frame, frame.height, out, css="scatter")


def _dot(dot: Dot, x: Scale, y: Scale, frame: Frame, x_format: Callable[[float], str]) -> Markup:
    tip = tag("title", f"{dot.label}: {x_format(dot.x)}, {frame.y_format(dot.y)}")
    whisker = tag("line", x1=x(dot.x), x2=x(dot.x), y1=y(dot.low), y2=y(dot.high), class_="whisker")
    mark = tag("circle", tip, cx=x(dot.x), cy=y(dot.y), r=5.5 if dot.own else 4.5, class_="mark")
    return tag("g", whisker, mark, class_="dot own" if dot.own else "dot")


def _name(dot: Dot, at: float, height: float, room: Box, marks: list[Box], whiskers: Sequence[Box]) -> Markup:
    """The label at the first of four sides where it covers no mark, and no whisker if possible; else none."""
    wide = len(dot.label) * CHARACTER
    for avoided in ([*marks, *whiskers], marks):
        for dx, dy, anchor in ((9, 4, "start"), (-9, 4, "end"), (0, -11, "middle"), (0, 21, "middle")):
            left = at + dx - {"start": 0.0, "end": wide, "middle": wide / 2}[anchor]
            box = (left, height + dy - LINE + 3, left + wide, height + dy + 3)
            inside = room[0] <= box[0] and box[2] <= room[2] and room[1] <= box[1] and box[3] <= room[3]
            if inside and not any(_overlap(box, other) for other in avoided):
                marks.append(box)
                return tag("text", dot.label, x=at + dx, y=height + dy, text_anchor=anchor,
                           class_="label own" if dot.own else "label")  # fmt: skip
    return Markup("")


def _overlap(one: Box, two: Box) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]


def bins(values: Sequence[float], count: int = 24) -> tuple[list[int], float, float]:
    """(how many values each of `count` equal bins holds, lowest, highest); the highest value is in the last bin."""
    low, high = min(values), max(values)
    if high <= low:
        low, high = low - 0.5, low + 0.5
    counts = [0] * count
    for value in values:
        counts[min(int((value - low) / (high - low) * count), count - 1)] += 1
    return counts, low, high


def histogram(
    frame: Frame, values: Sequence[float], chosen: Sequence[tuple[float, float, float, str]] = (), count: int = 24
) -> Markup:
    """How often each value occurs; `chosen` values are marked with their interval: (value, low, high, words)."""
    if not values:
        return Markup("")
    counts, low, high = bins(values, count)
    bounds = [v for value, left, right, _ in chosen for v in (value, left, right)]
    low, high = min([low, *bounds]), max([high, *bounds])
    _, first, last = bins(values, count)
    x = Scale(low, high, MARGIN_LEFT, frame.width - MARGIN_RIGHT)
    y = Scale(0, max(counts), frame.height - 44, MARGIN_TOP + 30)
    out = Markup()
    for value in (v for v in ticks(0, max(counts), 3) if v == int(v)):
        out += tag("line", x1=x.start, x2=x.end, y1=y(value), y2=y(value), class_="zero" if value == 0 else "grid")
        out += tag("text", f"{value:.0f}", x=x.start - 8, y=y(value) + 4, text_anchor="end")
    width = (last - first) / count
    for i, n in enumerate(counts):
        if n:
            start, end = x(first + i * width), x(first + (i + 1) * width)
            tip = tag("title", f"{frame.y_format(first + i * width)} to {frame.y_format(first + (i + 1) * width)}: {n}")
            out += tag(
                "rect", tip, x=start + 0.5, y=y(n), width=max(end - start - 1, 1), height=y.start - y(n), class_="bin"
            )
    for value in ticks(low, high, 6 if frame.width > 500 else 4):
        out += tag("text", frame.y_format(value), x=x(value), y=y.start + 18, text_anchor="middle")
    out += tag("text", frame.x_label, x=(x.start + x.end) / 2, y=frame.height - 5, text_anchor="middle")
    for value, left, right, words in chosen:
        out += _chosen(x, y, value, (left, right), words)
    return svg(frame, frame.height, out, css="histogram")


def _chosen(x: Scale, y: Scale, value: float, bounds: Point, words: str) -> Markup:
    at, top = x(value), y.end - 12
    left = at > (x.start + x.end) / 2
    return (
        tag("line", x1=x(bounds[0]), x2=x(bounds[1]), y1=top, y2=top, class_="whisker")
        + tag("line", x1=at, x2=at, y1=top, y2=y.start, class_="marker")
        + tag("circle", cx=at, cy=top, r=5, class_="mark")
        + tag(
            "text",
            words,
            x=at + (-9 if left else 9),
            y=top - 8,
            class_="marked",
            text_anchor="end" if left else "start",
        )
    )
