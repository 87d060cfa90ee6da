"""Files that grow, are torn, and are cut back while somebody reads them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot._store.streams import streamed
from oneshot.errors import UsageError
from oneshot.stages.watching.files import Tail
from tests.unit.stages.watching import running


def line(number: int) -> bytes:
    return json.dumps({"step": number}).encode() + b"\n"


def steps(tail: Tail) -> list[int]:
    return [row["step"] for row in tail.rows()]


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    tail = Tail(path)
    assert steps(tail) == []
    path.write_bytes(line(0) + line(1)[:5])
    assert steps(tail) == [0]
    path.write_bytes(line(0) + line(1) + line(2))
    assert steps(tail) == [0, 1, 2]
    assert tail.strange == 0


def test_a_resumed_run_is_cut_back(tmp_path: Path) -> None:
    run = running(tmp_path, steps=4)
    tail = Tail(run.path / "metrics.jsonl")
    assert steps(tail) == [0, 1, 2, 3]
    run.start_attempt()
    run.cut_back(2)
    assert steps(tail) == [0, 1]
    run.step(2, {"new": 1.0}, [])
    assert [row.get("new") for row in tail.rows()] == [None, None, 1.0]


def test_a_file_that_was_cut_and_grew_longer_than_before_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(line(0) + line(1))
    tail = Tail(path)
    assert steps(tail) == [0, 1]
    with open(path, "r+b") as file:  # the same file, so its number tells nothing
        file.truncate(0)
        file.write(json.dumps({"step": 7, "more": "x" * 90}).encode() + b"\n")
    assert steps(tail) == [7]


def test_a_file_that_was_rewritten_in_place_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(line(0) + line(1))
    tail = Tail(path)
    assert steps(tail) == [0, 1]
    path.write_bytes(line(7) + line(8) + line(9))  # lines end where they did
    assert steps(tail) == [7, 8, 9]
    path.unlink()
    path.mkdir()
    assert steps(tail) == []


def test_strange_lines_are_counted_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(line(0) + b"nonsense\n[1]\n\xff\xfe\n" + b"[" * 100_000 + b"\n" + line(1))
    tail = Tail(path)
    assert steps(tail) == [0, 1]
    assert tail.strange == 4
    path.unlink()
    assert (steps(tail), tail.strange) == ([], 0)


@given(st.lists(st.integers(min_value=1, max_value=40), max_size=12))
def test_however_it_grows_the_rows_are_the_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    path = tmp_path_factory.mktemp("grows") / "m.jsonl"
    whole = b"".join(line(number) for number in range(20))
    tail, written = Tail(path), 0
    for cut in cuts:
        with open(path, "ab") as file:
            file.write(whole[written : written + cut])
        written = min(written + cut, len(whole))
        assert steps(tail) == list(range(whole[:written].count(b"\n")))


def test_rows_of_a_packed_file_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl.gz"
    path.write_bytes(gzip.compress(line(0) + line(1)))
    assert [row["step"] for row in streamed(path)] == [0, 1]


def test_log_probs_are_left_out_and_no_text_is(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl.gz"
    text = 'he said "logprobs": [1, 2] and \\"logprobs": [3]'
    row = {"prompt": text, "logprobs": [-0.5, None], "tokens": [1, 2], "text": text}
    path.write_bytes(gzip.compress(json.dumps(row).encode() + b"\n"))
    assert list(streamed(path)) == [{**row, "logprobs": []}]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "there is no"),
        (b"not packed", "is damaged"),
        (gzip.compress(line(0) * 999)[:-9], "is damaged"),
        (gzip.compress(line(0) + b"{\n"), "line 2 is not JSON"),
        (gzip.compress(line(0) + b"[]\n"), "line 2 is not a JSON object"),
    ],
)
def test_a_packed_file_that_cannot_be_read(tmp_path: Path, data: bytes | None, said: str) -> None:
    path = tmp_path / "r.jsonl.gz"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match=said) as caught:
        list(streamed(path))
    assert caught.value.code == "E106"
