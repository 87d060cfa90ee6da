from __future__ import annotations

import re
import unicodedata
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.report.text import duration, has_formula, model_text, number, percent, points, typeset, visible

ANY = st.text(st.characters(), max_size=80)  # lone surrogates included
NASTY = st.lists(
    st.sampled_from(
        ["<script>alert(1)</script>", "</pre>", "<img src=x onerror=a()>", "&lt;", "&#x3c;b&#x3e;", "\"'", "\x1b[2J",
         "\u202e", "\u2066", "\ud800", "\x00", "\r\n", "$", "\\(", "\\)", "\\[", "\\]", "\\text{", "}", "\\frac{1}{2}",
         "\\href{javascript:a()}{x}", "x^2", "{", "\\style{color:red}{y}", "<svg/onload=a()>", "\\begin{matrix}", "&"]
    ),
    max_size=12,
).map("".join)  # fmt: skip


class Tags(HTMLParser):
    """Collects elements, attributes and text of a fragment."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(str(html))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def invisible(text: str) -> list[str]:
    """Characters that act on the reader's screen or cannot be encoded."""
    allowed = "\n\t\u200c\u200d"
    return [c for c in text if c not in allowed and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain, 5 × 3 = 15\n\tnext", "plain, 5 × 3 = 15\n\tnext"),
        ("\x1b[31mred", "⟨ESC⟩[31mred"),
        ("a\u202eb\u2066c", "a⟨U+202E⟩b⟨U+2066⟩c"),
        ("\ud800\r\x7f\x9b\u200b", "⟨U+D800⟩⟨CR⟩⟨DEL⟩⟨U+009B⟩⟨U+200B⟩"),
        ("\u0646\u06cc\u0645\u200c\u0641", "\u0646\u06cc\u0645\u200c\u0641"),
    ],
)
def test_visible_by_hand(raw: str, shown: str) -> None:
    assert visible(raw) == shown


@given(ANY | NASTY)
def test_nothing_invisible_is_left_and_a_second_pass_changes_nothing(text: str) -> None:
    once = visible(text)
    assert invisible(once) == []
    assert visible(once) == once
    once.encode("utf-8")


@given(ANY | NASTY)
def test_model_text_holds_the_text_and_no_markup_of_its_own(text: str) -> None:
    parsed = Tags(model_text(text, 10_000))
    assert parsed.tags <= {"span"}
    assert parsed.attributes <= {"class"}
    assert parsed.text == visible(text)


def test_what_is_left_out_is_counted() -> None:
    html = model_text("<" * 12, limit=3)
    assert html.startswith("&lt;&lt;&lt;<span")
    assert "9 more characters not shown" in html
    assert "more" not in model_text("abc", limit=3)


@given(NASTY)
def test_typeset_lets_only_mathml_through(text: str) -> None:
    html = str(typeset(text))
    parsed = Tags(html)
    assert all(re.fullmatch("m[a-z]+", tag) for tag in parsed.tags), parsed.tags
    assert parsed.attributes <= {"display", "notation", "mathvariant", "stretchy", "fence", "width"}
    assert "javascript" not in "".join(re.findall("<[^>]*>", html))
    assert invisible(parsed.text) == []


@given(ANY)
def test_text_without_formulas_is_only_escaped(text: str) -> None:
    text = re.sub(r"[$\\]", "", text)
    assert unescape(str(typeset(text))) == unescape(unescape(str(typeset(text)))) or "&" in text
    assert Tags(typeset(text)).text == visible(text)


def test_formulas_become_mathml_and_money_stays_money() -> None:
    assert "<mfrac><mrow><mn>1</mn></mrow><mrow><mn>2</mn></mrow></mfrac>" in typeset(r"so $\frac{1}{2}$ is")
    assert 'display="block"' in typeset(r"\[x^2\]")
    assert "<msup>" in typeset(r"$$x^2$$")
    assert typeset("costs $5 and $7") == "costs $5 and $7"
    assert typeset("$5-$7 a piece") == "$5-$7 a piece"
    assert not has_formula("costs $5 and $7")
    assert has_formula("the side $x$")


def test_a_broken_or_huge_formula_stays_as_written() -> None:
    assert typeset(r"a $$\frac$$ b") == r"a $$\frac$$ b"
    assert typeset("$" + "{" * 300 + "$") == "$" + "{" * 300 + "$"
    assert "<math" not in typeset("$" + "x^2+" * 1000 + "1$")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.58333, "58.3\u202f%"),
        (0, "0.0\u202f%"),
        (1, "100.0\u202f%"),
        (None, "not measured"),
        (float("nan"), "not measured"),
    ],
)
def test_percent(value: float | None, shown: str) -> None:
    assert percent(value) == shown


def test_points_have_a_sign_except_zero() -> None:
    assert [points(v) for v in (0.3667, -0.105, 0.0, -0.0001)] == ["+36.7", "−10.5", "0.0", "0.0"]


def test_number_and_duration() -> None:
    assert [number(v) for v in (12, 1234567, 0.5, 0.123456, 2.13e-6, -3.2, float("inf"), True)] == [
        "12", "1,234,567", "0.5", "0.123", "2.13e−6", "−3.2", "not measured", "not measured",
    ]  # fmt: skip
    assert [duration(s) for s in (0.24, 41, 59.7, 365, 7620)] == [
        "0.2 s",
        "41 s",
        "1 min 00 s",
        "6 min 05 s",
        "2 h 07 min",
    ]
