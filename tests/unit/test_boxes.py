from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.boxes import boxes


@pytest.mark.parametrize(
    ("text", "contents"),
    [
        (r"so \boxed{12.8}.", ["12.8"]),
        (r"\boxed{\frac{1}{2}} then \boxed{\sqrt{3}}", [r"\frac{1}{2}", r"\sqrt{3}"]),
        (r"\boxed{\{1, 2\}}", [r"\{1, 2\}"]),
        (r"\boxed{a\}b}", [r"a\}b"]),
        (r"\boxed {5}", ["5"]),
        (r"\boxed{3} and then \boxed{4", ["3"]),
        (r"\boxed{open \boxed{5}", ["5"]),
        (r"\boxed{x = \boxed{5}}", [r"x = \boxed{5}", "5"]),
        (r"{ never closed \boxed{5}", ["5"]),
        (r"} \boxed{5}", ["5"]),
        (r"\begin{cases}1 \\{2}\end{cases} \\\boxed{5}", ["5"]),
        (r"\\boxed{5}", ["5"]),
        (r"\boxed 5", ["5"]),
        (r"\boxed5", ["5"]),
        (r"\boxed -12.5.", ["-12.5"]),
        (r"\boxed 1,234, so", ["1,234"]),
        (r"$\boxed x$", ["x"]),
        (r"\boxed xy", []),
        (r"\boxed\pi", []),
        (r"\boxed", []),
        (r"\fbox{5}", ["5"]),
        (r"\fbox 5", ["5"]),
        (r"\boxed{\fbox{5}}", [r"\fbox{5}", "5"]),
        (r"boxed{5}", []),
        (r"\boxed{}", [""]),
        ("", []),
    ],
)
def test_complete_boxes_in_order(text: str, contents: list[str]) -> None:
    found = boxes(text)
    assert [box.content for box in found] == contents
    for box in found:
        assert text[box.start : box.end].rstrip("}").endswith(box.content.rstrip("}"))
        assert text[box.start : box.end].startswith(("\\boxed", "\\fbox"))


@given(st.lists(st.sampled_from(["\\boxed{", "{", "}", "\\{", "\\}", "\\\\", "a", " "]), max_size=60).map("".join))
def test_a_box_holds_balanced_braces(text: str) -> None:
    for box in boxes(text):
        bare = box.content.replace("\\\\", "").replace("\\{", "").replace("\\}", "")
        depth = [bare[:i].count("{") - bare[:i].count("}") for i in range(len(bare) + 1)]
        assert depth[-1] == 0
        assert min(depth) == 0


@pytest.mark.parametrize(
    "piece", ["\\boxed{", "{", "}", "\\boxed   ", "\\\\", "\\boxed{1}", "\\boxed 1", "\\boxed 1,", "\\fbox"]
)
def test_time_is_linear(piece: str) -> None:
    start = time.perf_counter()
    boxes(piece * (400_000 // len(piece)))
    assert time.perf_counter() - start < 5.0
