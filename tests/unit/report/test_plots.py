from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.report.bars import Change, dumbbells
from oneshot.report.charts import Frame, Marker, Series, line_chart
from oneshot.report.plots import Dot, bins, histogram, scatter
from tests.unit.report.test_charts import elements

FRAME = Frame(key="k", title="T", text="D", width=560, height=300)


def test_markers_stand_at_their_step() -> None:
    frame = Frame(key="k", title="T", text="D", width=260, height=150, y_range=(0.0, 1.0), x_range=(0.0, 20.0))
    series = [Series(label="a", points=[(0, 0.0), (10, 1.0)])]
    found = [Marker(x=5, words="saturated"), Marker(x=20, words="saved", tick=True), Marker(x=21, words="outside")]
    svg = str(line_chart(frame, series, found))
    (line,) = elements(svg, "line", "marker")
    assert (line.get("x1"), line.get("x2"), line.get("y2")) == ("96", "96", "124")  # 46 + 5/20 of 200
    assert [e.text for e in elements(svg, "text", "marked")] == ["saturated"]
    (tick,) = elements(svg, "polygon", "saved")
    assert str(tick.get("points")).startswith("246.0,125.0")
    assert [e.get("points") for e in elements(svg, "polyline")] == [
        "46.0,124.0 146.0,34.0"
    ]  # 22 px lower for the words
    plain = str(line_chart(frame, series, [Marker(x=5, words="saturated", plain=True)]))
    assert elements(plain, "text", "marked") == [] and len(elements(plain, "line", "marker")) == 1


def test_scatter_puts_dots_and_whiskers_where_the_numbers_are() -> None:
    dots = [
        Dot(label="own", x=0.0, y=0.0, low=-0.5, high=0.5, own=True),
        Dot(label="b", x=1.0, y=1.0, low=1.0, high=1.0),
    ]
    svg = str(scatter(FRAME, dots, "gain"))
    first, second = elements(svg, "circle", "mark")
    # x runs over -.08 .. 1.08 from 54 to 546, y over -.62 .. 1.12 from 256 up to 32.
    assert float(first.get("cx") or 0) == pytest.approx(54 + 0.08 / 1.16 * 492, abs=0.01)
    assert float(second.get("cy") or 0) == pytest.approx(256 - 1.62 / 1.74 * 224, abs=0.01)
    assert {e.text for e in elements(svg, "text", "label")} == {"own", "b"}
    assert len(elements(svg, "g", "own")) == 1
    assert scatter(FRAME, [], "gain") == ""


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=12))
def test_labels_of_a_scatter_cover_no_other_label(points: list[tuple[float, float]]) -> None:
    dots = [Dot(label=f"category {i}", x=x, y=y, low=y - 0.1, high=y + 0.1) for i, (x, y) in enumerate(points)]
    boxes = []
    for text in elements(str(scatter(FRAME, dots, "gain")), "text", "label"):
        wide, x, y = len(text.text or "") * 8.0, float(text.get("x") or 0), float(text.get("y") or 0)
        left = x - {"start": 0.0, "end": wide, "middle": wide / 2}[str(text.get("text-anchor"))]
        boxes.append((left, y - 13, left + wide, y + 3))
    for i, one in enumerate(boxes):
        for two in boxes[i + 1 :]:
            assert one[0] >= two[2] or two[0] >= one[2] or one[1] >= two[3] or two[1] >= one[3]


def test_bins_by_hand() -> None:
    assert bins([0, 1, 2, 3, 4], 4) == ([1, 1, 1, 2], 0, 4)
    assert bins([5.0, 5.0], 2) == ([0, 2], 4.5, 5.5)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=50), st.integers(1, 30))
def test_every_value_is_in_a_bin(values: list[float], count: int) -> None:
    assert sum(bins(values, count)[0]) == len(values)


def test_histogram_marks_the_chosen_one() -> None:
    svg = str(histogram(FRAME, [0.0, 0.5, 1.0, 1.0], [(0.5, 0.25, 0.75, "chosen")], 2))
    assert len(elements(svg, "rect", "bin")) == 2
    (mark,) = elements(svg, "circle", "mark")
    assert mark.get("cx") == "296"  # the middle of 46 .. 546
    (whisker,) = elements(svg, "line", "whisker")
    assert (whisker.get("x1"), whisker.get("x2")) == ("171", "421")
    assert histogram(FRAME, []) == ""


def test_the_control_arm_is_a_mark_of_its_own() -> None:
    known = {"label": "own", "base": 0.25, "trained": 0.5, "estimate": 0.25, "low": 0.1, "high": 0.4, "n": 9}
    rows = [Change(**known, control=0.5), Change(**known)]  # type: ignore[arg-type]
    svg = str(dumbbells(Frame(key="k", title="T", text="D", width=716), rows))
    (diamond,) = elements(svg, "polygon", "control")
    assert str(diamond.get("points")).startswith("450.0,")
    assert ET.fromstring(svg).get("role") == "img"
