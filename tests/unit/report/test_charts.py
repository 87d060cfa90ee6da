from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.report.bars import Change, dumbbells, stacked
from oneshot.report.charts import Frame, Scale, Series, line_chart, path, tag, ticks, value_range

FRAME = Frame(key="k", title="T", text="D", width=260, height=150, y_range=(0.0, 1.0))


def elements(svg: str, name: str, css: str = "") -> list[ET.Element]:
    found = ET.fromstring(svg).iter(name)
    return [e for e in found if not css or css in (e.get("class") or "").split()]


def test_scale_by_hand() -> None:
    y = Scale(0.0, 1.0, 124.0, 12.0)  # upside down, as on a screen
    assert [y(0.0), y(0.25), y(0.5), y(1.0)] == [124.0, 96.0, 68.0, 12.0]
    assert path([(0, 0), (10, 1)], Scale(0, 10, 46, 246), y) == "46.0,124.0 246.0,12.0"


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0, 1, 4, [0, 0.25, 0.5, 0.75, 1]),
        (0, 12, 6, [0, 2, 4, 6, 8, 10, 12]),
        (0, 0.62, 4, [0, 0.2, 0.4, 0.6]),
        (-0.3, 0.3, 3, [-0.2, 0, 0.2]),
        (0, 2e-6, 4, [0, 5e-7, 1e-6, 1.5e-6, 2e-6]),
    ],
)
def test_ticks_by_hand(low: float, high: float, count: int, expected: list[float]) -> None:
    assert ticks(low, high, count) == pytest.approx(expected)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_lie_inside_evenly_and_are_few(low: float, length: float, count: int) -> None:
    high = low + length
    found = ticks(low, high, count)
    slack = 1e-6 * length
    assert all(low - slack <= t <= high + slack for t in found)
    assert len(found) <= count + 1
    steps = [b - a for a, b in pairwise(found)]
    assert all(s == pytest.approx(steps[0], rel=1e-3) for s in steps)


@given(st.lists(st.floats(-1e4, 1e4), max_size=20))
def test_value_range_holds_every_value_and_zero(values: list[float]) -> None:
    low, high = value_range(values)
    assert low < high
    assert low <= min([0.0, *values]) + 1e-6 and high >= max([0.0, *values]) - 1e-6


def test_line_chart_maps_numbers_to_pixels() -> None:
    series = Series(label="acc", points=[(0, 0.0), (5, 0.5), (10, 1.0)], bounds=[(0, 0.5), (0.25, 0.75), (0.5, 1)])
    svg = str(line_chart(FRAME, [series]))
    # Plot area: x 46..246, y 124 (bottom) .. 12 (top).
    assert [e.get("points") for e in elements(svg, "polyline")] == ["46.0,124.0 146.0,68.0 246.0,12.0"]
    band = "46.0,124.0 146.0,96.0 246.0,68.0 246.0,12.0 146.0,40.0 46.0,68.0"
    assert [e.get("points") for e in elements(svg, "polygon")] == [band]
    assert [(e.get("cx"), e.get("cy")) for e in elements(svg, "circle")] == [
        ("46", "124"),
        ("146", "68"),
        ("246", "12"),
    ]
    assert [e.text for e in elements(svg, "text") if e.get("text-anchor") == "middle"] == ["0", "5", "10"]
    assert (elements(svg, "title")[0].text, elements(svg, "desc")[0].text) == ("T", "D")


def test_held_out_marks_have_whiskers_and_are_shifted() -> None:
    series = Series(label="held", points=[(0, 0.5), (10, 1)], bounds=[(0, 1), (0.5, 1)], style="held own", shift=3)
    svg = str(line_chart(FRAME, [series]))
    whiskers = [tuple(e.get(k) for k in ("x1", "x2", "y1", "y2")) for e in elements(svg, "line", "whisker")]
    assert whiskers == [("49", "49", "124", "12"), ("249", "249", "68", "12")]
    assert elements(svg, "polygon") == []


def test_one_point_and_no_point() -> None:
    svg = str(line_chart(FRAME, [Series(label="a", points=[(7, 0.5)])]))
    assert [(e.get("cx"), e.get("cy")) for e in elements(svg, "circle")] == [("146", "68")]
    assert elements(svg, "polyline") == []
    assert line_chart(FRAME, [Series(label="a", points=[])]) == ""


def change(**values: object) -> Change:
    known: dict[str, object] = {
        "label": "own",
        "base": 0.25,
        "trained": 0.5,
        "estimate": 0.25,
        "low": 0.125,
        "high": 0.375,
    }
    return Change(**{**known, "n": 120, **values})  # type: ignore[arg-type]


def test_dumbbell_by_hand() -> None:
    # At 716 px the axis runs from 250 to 650: one per cent is four pixels.
    svg = str(dumbbells(Frame(key="k", title="T", text="D", width=716), [change()]))
    assert [e.get("cx") for e in elements(svg, "circle")] == ["350", "450"]
    (interval,) = elements(svg, "rect", "interval")
    assert (interval.get("x"), interval.get("width")) == ("400", "100")  # .25 + .125 to .25 + .375
    assert [e.text for e in elements(svg, "text", "label")] == ["own, n 120"]
    assert [e.text for e in elements(svg, "text", "value")] == ["+25.0"]


def test_dumbbell_interval_is_cut_at_the_axis_and_a_loss_is_marked() -> None:
    row = change(base=0.25, trained=0.0, estimate=-0.25, low=-0.5, high=-0.05, harmed=True)
    svg = str(dumbbells(Frame(key="k", title="T", text="D", width=716), [row]))
    (interval,) = elements(svg, "rect", "interval")
    assert (interval.get("x"), interval.get("width")) == ("250", "80")  # 0 to .20
    assert len(elements(svg, "g", "lost")) == 1


@pytest.mark.parametrize("width", [340, 860])
def test_dumbbell_rows_do_not_overlap_and_stay_inside(width: float) -> None:
    rows = [change(label=str(i), first=i % 3 == 0) for i in range(9)]
    svg = str(dumbbells(Frame(key="k", title="T", text="D", width=width), rows))
    tops = [float(e.get("y") or 0) for e in elements(svg, "rect", "interval")]
    assert all(b - a >= 30 for a, b in pairwise(tops))
    height = float(str(ET.fromstring(svg).get("viewBox")).split()[3])
    assert max(tops) + 12 < height


def test_stacked_shares_by_hand() -> None:
    # 850 px wide, bars from 250: 600 px for 12 responses.
    frame = Frame(key="k", title="T", text="D", width=850)
    svg = str(stacked(frame, [("base", {"cut": 3, "none": 0, "wrong": 6, "right": 3}), ("empty", {})]))
    rects = [(e.get("class"), e.get("x"), e.get("width")) for e in elements(svg, "rect")]
    assert rects == [
        ("outcome right", "250", "150"),
        ("outcome wrong", "400", "300"),
        ("outcome cut", "700", "150"),
    ]
    assert [e.text for e in elements(svg, "text", "label")] == ["base, n 12"]
    assert stacked(frame, [("empty", {})]) == ""


@given(st.dictionaries(st.sampled_from(["cut", "none", "wrong", "right"]), st.integers(0, 500)))
def test_stacked_bars_fill_the_width(counts: dict[str, int]) -> None:
    svg = str(stacked(Frame(key="k", title="T", text="D", width=340), [("b", counts)]))
    if sum(counts.values()):
        widths = [float(e.get("width") or 0) for e in elements(svg, "rect")]
        assert sum(widths) == pytest.approx(340, abs=0.05)
        assert len(widths) == sum(1 for c in counts.values() if c)
    else:
        assert svg == ""


@given(st.text(st.characters(), max_size=40))
def test_labels_are_escaped_everywhere(label: str) -> None:
    hostile = f"{label}<script>\"'&"
    frame = Frame(key="k", title=hostile, text=hostile, width=400, x_label=hostile)
    for svg in (
        line_chart(frame, [Series(label=hostile, points=[(0, 1), (1, 2)])]),
        dumbbells(frame, [change(label=hostile)]),
        stacked(frame, [(hostile, {"right": 1})]),
    ):
        root = ET.fromstring(str(svg))  # well-formed, or this raises
        assert "script" not in {e.tag for e in root.iter()}


def test_tag_by_hand() -> None:
    assert tag("text", "a<b", x=1.5, text_anchor="end", class_='"') == (
        '<text x="1.5" text-anchor="end" class="&#34;">a&lt;b</text>'
    )
    assert tag("line", x1=2.0, x2=1 / 3) == '<line x1="2" x2="0.33"/>'
