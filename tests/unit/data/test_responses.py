"""Rows of responses: which columns, what is refused with which line, and that they come one at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from oneshot.data.responses import Row, read_responses
from oneshot.errors import DataError


def rows(*lines: str | bytes) -> list[Row]:
    return list(read_responses([line.encode() if isinstance(line, str) else line for line in lines], "f.jsonl"))


def line(**values: object) -> str:
    return json.dumps(values) + "\n"


@pytest.mark.parametrize("reference", ["gold", "answer", "reference", "ground_truth"])
@pytest.mark.parametrize("response", ["response", "completion"])
def test_every_pair_of_columns(reference: str, response: str) -> None:
    assert rows(line(**{reference: "5", response: "so 5", "other": [1]})) == [
        Row(line=1, reference="5", response="so 5")
    ]


def test_the_first_filled_column_is_used_row_by_row() -> None:
    found = rows(line(gold="1", answer="2", response="a"), line(gold=None, answer="2", completion="b"))
    assert [(row.reference, row.response) for row in found] == [("1", "a"), ("2", "b")]


def test_id_and_expected_come_along() -> None:
    found = rows(line(gold="1", response="a", id="x", expected=True), line(gold="1", response="a", id=7, expected=None))
    assert [(row.line, row.id, row.expected) for row in found] == [(1, "x", True), (2, 7, None)]


@pytest.mark.parametrize("number", ["42", "-0.50", "1e400", "1" * 5000, "0.1000000000000000000001"])
def test_a_reference_that_is_a_number_keeps_every_digit(number: str) -> None:
    assert rows(f'{{"gold": {number}, "response": "a"}}')[0].reference == number


def test_empty_texts_are_rows() -> None:
    assert rows(line(gold="", response="")) == [Row(line=1, reference="", response="")]


def test_half_a_surrogate_pair_is_read() -> None:
    assert rows('{"gold": "1", "response": "\\ud800"}')[0].response == "\ud800"


def test_a_bom_crlf_and_blank_lines_at_the_end_are_fine() -> None:
    assert [row.line for row in rows(b"\xef\xbb\xbf" + line(gold="1", response="a").encode(), "\r\n", "\n", "")] == [1]


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("\n", "the line is empty"),
        ("not json\n", "the line is not JSON"),
        (b'{"gold": "\xff", "response": "a"}\n', "the line is not JSON"),
        ("[" * 100_000 + "\n", "the line is not JSON"),
        ('["1", "a"]\n', "the line is a JSON list, not an object"),
        ("3\n", "the line is a JSON number, not an object"),
        (line(response="a"), "no reference. It is read from one of: gold, answer, reference, ground_truth."),
        (line(gold=None, response="a"), "no reference"),
        (line(gold="1"), "no response. It is read from one of: response, completion."),
        (line(gold=["1"], response="a"), "the reference (gold) is a list. It must be text or a finite number."),
        (line(answer=True, response="a"), "the reference (answer) is true or false"),
        ('{"gold": NaN, "response": "a"}\n', "the reference (gold) is a number. It must be text or a finite number."),
        (line(gold="1", response=5), "the response (response) is a number. It must be text."),
        (line(gold="1", completion=[{"role": "assistant"}]), "the response (completion) is a list"),
        (line(gold="1", response="a", expected=1), "expected is a number. It must be true or false."),
    ],
)
def test_a_bad_row_names_its_line(bad: str | bytes, told: str) -> None:
    good = line(gold="1", response="a")
    with pytest.raises(DataError) as caught:
        rows(good, bad, good)
    assert (caught.value.code, caught.value.exit_code) == ("E301", 4)
    assert caught.value.message.startswith("f.jsonl, line 2: ")
    assert told in caught.value.message
    (example,) = caught.value.tries
    assert rows(example)[0].reference == "12.8"  # the line to paste is a row


@pytest.mark.parametrize("lines", [[], ["\n", "\n"]])
def test_no_rows_at_all(lines: list[str]) -> None:
    with pytest.raises(DataError, match="holds no rows"):
        rows(*lines)


def test_one_row_at_a_time() -> None:
    """A million rows need no more memory than one: nothing is read ahead."""
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield line(gold=str(taken), response="a").encode()

    reader = read_responses(endless(), "f.jsonl")
    assert [next(reader).reference for _ in range(3)] == ["1", "2", "3"]
    assert taken == 3
