"""Static SVG figures: numbers in, markup out. No script and no colour here: `static/page.css` styles the classes.

Every figure carries a title and a description for those who do not see it; the page puts the table beside it. Sizes are
CSS pixels at the figure's natural width, so a figure meant for a telephone is drawn at that width, not shrunk.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from oneshot.report.text import number, visible

Point = tuple[float, float]
ABOVE = 22.0
"""Pixels above the plot for the words of a marker."""


def tag(name: str, *children: str, **attributes: str | float) -> Markup:
    """One SVG element, everything escaped; `_` in a name stands for `-`, a trailing one is dropped.

    Numbers are written with at most two decimals. `tag("text", "a<b", x=1.5)` is `<text x="1.5">a&lt;b</text>`.
    """
    out = Markup("<") + name
    for key, value in attributes.items():
        shown = visible(value) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
        out += Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), shown)
    body = Markup().join(c if isinstance(c, Markup) else escape(visible(c)) for c in children)
    return out + Markup("/>") if not children else out + Markup(">") + body + Markup("</") + name + Markup(">")


@dataclass(frozen=True)
class Scale:
    """Maps [low, high] in data units to [start, end] in pixels, linearly; `end < start` turns it upside down."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value; values outside [low, high] land outside [start, end]."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round positions (1, 2, 2.5 or 5 times a power of ten apart) inside [low, high], about `count` of them."""
    assert high > low, "an axis needs a positive length"
    raw = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(f * unit for f in (1, 2, 2.5, 5, 10) if f * unit >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def value_range(values: Sequence[float]) -> Point:
    """An axis range that holds all values and zero, ending on a round number; (0, 1) where all are zero or none is."""
    low, high = min([0.0, *values]), max([0.0, *values])
    if high == low:
        return 0.0, 1.0
    marks = ticks(low, high)
    step = marks[1] - marks[0] if len(marks) > 1 else high - low
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


@dataclass(frozen=True, kw_only=True)
class Series:
    """One curve. `points` are (x, y) with x ascending; `bounds` the interval (low, high) of each, or empty.

    `style` is the CSS class: `train` is drawn as a line with a band, `held own` and `held other` as marks with
    whiskers, moved by `shift` pixels so that two of them at one step do not hide each other.
    """

    label: str
    points: Sequence[Point]
    bounds: Sequence[Point] = ()
    style: str = "train"
    shift: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Size and wording of a figure. `y_range` None takes the data's own, with zero. `key` makes the ids unique."""

    key: str
    title: str
    text: str
    width: float = 260
    height: float = 150
    x_label: str = ""
    y_range: Point | None = None
    x_range: Point | None = None
    y_format: Callable[[float], str] = number
    x_ticks: Sequence[tuple[float, str]] = ()
    """Where the x axis has ticks, and their words; by itself it has whole numbers."""
    what: str = "step"
    """What x counts, in the tooltips."""


@dataclass(frozen=True, kw_only=True)
class Marker:
    """A place on the x axis: a dashed line with its words above it, or (`tick`) a small triangle under the axis."""

    x: float
    words: str
    tick: bool = False
    plain: bool = False
    """Leave the words to the tooltip."""


MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 46.0, 14.0, 12.0, 26.0


def svg(frame: Frame, height: float, *children: Markup, css: str = "") -> Markup:
    """The outer element with its title and description."""
    title, text = f"{frame.key}-title", f"{frame.key}-text"
    return tag(
        "svg",
        tag("title", frame.title, id=title),
        tag("desc", frame.text, id=text),
        *children,
        viewBox=f"0 0 {frame.width:g} {height:g}",
        role="img",
        aria_labelledby=f"{title} {text}",
        class_=f"chart {css}".strip(),
    )


def line_chart(frame: Frame, series: Sequence[Series], markers: Sequence[Marker] = ()) -> Markup:
    """Curves with axes, ticks, labels and markers; empty markup if there is no point at all."""
    xs = [x for s in series for x, _ in s.points]
    if not xs:
        return Markup("")
    ys = [y for s in series for _, y in s.points] + [y for s in series for bound in s.bounds for y in bound]
    y_low, y_high = frame.y_range or value_range(ys)
    x_low, x_high = frame.x_range or (min(xs), max(xs))
    if x_high <= x_low:
        x_low, x_high = x_low - 0.5, x_low + 0.5
    above = ABOVE if any(not (m.tick or m.plain) for m in markers) else 0.0
    bottom = frame.height - MARGIN_BOTTOM - (16 if frame.x_label else 0)
    x = Scale(x_low, x_high, MARGIN_LEFT, frame.width - MARGIN_RIGHT)
    y = Scale(y_low, y_high, bottom, MARGIN_TOP + above)
    parts = [_axes(frame, x, y)]
    parts += [_marker(marker, x, y) for marker in markers if x_low <= marker.x <= x_high]
    parts += [_curve(s, x, y, frame) for s in series]
    return svg(frame, frame.height, *parts)


def _marker(marker: Marker, x: Scale, y: Scale) -> Markup:
    at, tip = x(marker.x), tag("title", marker.words)
    if marker.tick:
        corners = f"{at:.1f},{y.start + 1:.1f} {at - 4:.1f},{y.start + 8:.1f} {at + 4:.1f},{y.start + 8:.1f}"
        return tag("polygon", tip, points=corners, class_="saved")
    line = tag("line", tip, x1=at, x2=at, y1=y.end - (6 if not marker.plain else 0), y2=y.start, class_="marker")
    if marker.plain:
        return line
    left = at > (x.start + x.end) / 2
    words = tag("text", marker.words, x=at + (4 if left else -4), y=y.end - 11, class_="marked",
                text_anchor="end" if left else "start")  # fmt: skip
    return line + words


def _axes(frame: Frame, x: Scale, y: Scale) -> Markup:
    """Grid lines with their numbers, the x axis with whole steps, and its label."""
    out = Markup()
    for value in ticks(y.low, y.high, 2 if frame.height < 200 and (y.low, y.high) == (0, 1) else 4):
        at = y(value)
        out += tag("line", x1=x.start, x2=x.end, y1=at, y2=at, class_="zero" if value == 0 else "grid")
        out += tag("text", frame.y_format(value), x=x.start - 8, y=at + 4, text_anchor="end")
    whole = [(v, f"{v:.0f}") for v in ticks(x.low, x.high, 6 if frame.width > 500 else 4) if v == int(v)]
    for value, words in frame.x_ticks or whole:
        at = x(value)
        out += tag("line", x1=at, x2=at, y1=y.start, y2=y.start + 4, class_="tick")
        out += tag("text", words, x=at, y=y.start + 19, text_anchor="middle")
    out += tag("line", x1=x.start, x2=x.end, y1=y.start, y2=y.start, class_="tick")
    if frame.x_label:
        out += tag("text", frame.x_label, x=(x.start + x.end) / 2, y=frame.height - 5, text_anchor="middle")
    return out


def path(points: Sequence[Point], x: Scale, y: Scale) -> str:
    """`points` in data units as the `points` attribute of a polyline, in pixels."""
    return " ".join(f"{x(px):.1f},{y(py):.1f}" for px, py in points)


def _curve(series: Series, x: Scale, y: Scale, frame: Frame) -> Markup:
    """Band or whiskers, then the line, then the marks with a tooltip each."""
    held = series.style.startswith("held")
    x = Scale(x.low, x.high, x.start + series.shift, x.end + series.shift)
    bounded = [(px, *bound) for (px, _), bound in zip(series.points, series.bounds, strict=False)]
    out = Markup()
    if held or len(bounded) == 1:
        for px, low, high in bounded:
            out += tag("line", x1=x(px), x2=x(px), y1=y(low), y2=y(high), class_="whisker")
    elif bounded:
        edge = [(px, low) for px, low, _ in bounded] + [(px, high) for px, _, high in reversed(bounded)]
        out += tag("polygon", points=path(edge, x, y), class_="band")
    if len(series.points) > 1:
        out += tag("polyline", points=path(series.points, x, y), class_="line")
    if held or len(series.points) <= 60:
        for px, py in series.points:
            tip = tag("title", f"{series.label}, {frame.what} {px:g}: {frame.y_format(py)}")
            out += tag(
                "circle", tip, cx=x(px), cy=y(py), r=4.5 if held or len(series.points) == 1 else 2.2, class_="mark"
            )
    return tag("g", out, class_=f"series {series.style}")
