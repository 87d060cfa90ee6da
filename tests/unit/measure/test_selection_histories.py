from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oneshot.errors import OneshotError
from oneshot.measure.histories import Recorded, Track, aligned, read, samples_of


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(content: Any) -> Path:
        path = tmp_path / "record"
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, "utf-8")
        return path

    return write


def row(step: int, key: str, successes: int, samples: int = 8, **answers: int) -> dict[str, Any]:
    return {"step": step, "problem_id": key, "samples": samples, "successes": successes, "answers": answers}


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in rows)


def test_the_published_form_keeps_the_order_of_its_keys(file: Any) -> None:
    found = read(file({"7": [0, 0.125], "3": [1, 0.5, 0.25]}))
    assert found.published
    assert list(found.tracks) == ["7", "3"]
    assert found.tracks["3"] == Track(accuracies=(1.0, 0.5, 0.25), samples=(8, 8, 8))


@pytest.mark.parametrize(
    ("accuracies", "samples"),
    [
        ({0.0, 0.125}, 8),
        ({0.0, 1.0}, 1),
        ({0.5, 1 / 3}, 6),
        ({0.2, 0.35}, 20),
        ({0.1234567}, 0),
        ({0.01}, 0),
        ({1 / 64}, 64),
    ],
)
def test_samples_are_told_from_the_accuracies(accuracies: set[float], samples: int) -> None:
    assert samples_of(accuracies) == samples


def test_the_samples_can_be_given_and_must_fit(file: Any) -> None:
    path = file({"0": [0.5, 0.25], "1": [1, 0]})
    told, found = read(path), read(path, samples=16)
    assert (told.samples, told.samples_from) == (4, "accuracies")
    assert (found.samples, found.samples_from) == (16, "flag")
    assert found.tracks["0"].samples == (16, 16)
    with pytest.raises(
        OneshotError, match=r"--samples 6 does not fit .*: index '0', visit 2 has the accuracy 0.25"
    ) as caught:
        read(path, samples=6)
    assert caught.value.code == "E105"
    with pytest.raises(OneshotError, match="records how many samples") as caught:
        read(file(lines(row(0, "a", 1))), samples=8)
    assert caught.value.code == "E105"


def test_without_a_fitting_number_the_samples_stay_unknown(file: Any) -> None:
    found = read(file({"0": [0.1234567, 0.5]}))
    assert (found.samples, found.tracks["0"].samples) == (0, ())


def test_a_run_is_read_by_step_and_a_step_observed_again_counts_once(file: Any) -> None:
    path = file(lines(row(4, "b", 2, 4, x=3), row(0, "a", 8), row(2, "b", 1, 8), row(4, "b", 3, 4, y=1)))
    found = read(path)
    assert not found.published
    assert found.tracks["a"] == Track(accuracies=(1.0,), samples=(8,), answers=({},))
    assert found.tracks["b"] == Track(accuracies=(0.125, 0.75), samples=(8, 4), answers=({}, {"y": 1}))


def test_a_run_of_one_row_is_no_published_record(file: Any) -> None:
    assert list(read(file(lines(row(0, "a", 1)))).tracks) == ["a"]


BAD: list[tuple[Any, str, str]] = [
    ({}, "E301", "holds no example"),
    ({"0": []}, "E301", "index '0': the history is empty"),
    ({"0": [0.5], "1": 0.5}, "E301", "index '1': a history is a list"),
    ({"0": [0.5, 1.125]}, "E301", "index '0', visit 2: 1.125 is no accuracy between 0 and 1"),
    ({"0": [-0.125]}, "E301", "visit 1: -0.125 is no accuracy"),
    ('{"0": [NaN]}', "E301", "nan is no accuracy"),
    ({"0": [True]}, "E301", "bool is no accuracy"),
    ({"0": ["0.5"]}, "E301", "str is no accuracy"),
    ('{"0": [0.5], "0": [1]}', "E301", "the index '0' occurs twice"),
    ({"0": [0.5] * 5, "1": [0.5] * 2}, "E301", "2 visits to '1', 5 to '0'"),
    ([[0.5]], "E106", "neither a JSON object"),
    ("not json", "E106", "neither a JSON object of lists nor"),
    ('{"0": [0.5, 0.2', "E106", "is no history"),
    ("not json\n{}\n", "E106", "line 1 is not JSON"),
    ("", "E301", "holds no visit"),
    (lines(row(0, "a", 9)), "E301", "line 1: 9 of 8 samples at step 0"),
    (lines(row(0, "a", 1), row(1, "a", -1)), "E301", "line 2: -1 of 8"),
    (lines(row(0, "a", 0, 0)), "E301", "0 of 0 samples"),
    (lines(row(0, "a", 1) | {"successes": 0.5}), "E301", "0.5 of 8"),
    (lines(row(0, "a", 1) | {"problem_id": 3}), "E301", "id is no text"),
    (lines(row(0, "a", 1) | {"answers": [1]}), "E301", "answers must map"),
    (lines(row(0, "a", 1, 4, x=3, y=2)), "E301", "line 1: 5 answers of 4 samples"),
    (lines({"step": 1, "problem_id": "a"}), "E106", "has no samples, successes, answers"),
]


@pytest.mark.parametrize(("content", "code", "said"), BAD, ids=[case[2] for case in BAD])
def test_what_is_no_history_is_refused_with_its_place(file: Any, content: Any, code: str, said: str) -> None:
    with pytest.raises(OneshotError) as caught:
        read(file(content))
    assert caught.value.code == code
    assert said in caught.value.message


def test_files_that_are_none(tmp_path: Path) -> None:
    for path, said in ((tmp_path, "is a folder"), (tmp_path / "none", "does not exist")):
        with pytest.raises(OneshotError, match=said):
            read(path)


def test_ragged_is_below_half_of_the_longest_and_may_be_allowed(file: Any) -> None:
    assert read(file({"0": [0.5] * 4, "1": [0.5] * 2})).published
    assert len(read(file({"0": [0.5] * 5, "1": [0.5] * 2}), allow_ragged=True).tracks) == 2


def recorded(*keys: str, published: bool) -> Recorded:
    tracks = {key: Track(accuracies=(0.5,), samples=(8,)) for key in keys}
    return Recorded(source="record.json", published=published, tracks=tracks)


def test_ties_of_a_record_keep_its_order_and_ties_of_a_run_the_pools() -> None:
    assert aligned(recorded("2", "0", "1", published=True), ["0", "1", "2"], "pool")[1] == [1, 2, 0]
    assert aligned(recorded("2", "0", "1", published=False), ["0", "1", "2"], "pool")[1] == [0, 1, 2]


def test_a_run_need_not_have_visited_everything() -> None:
    tracks, _ = aligned(recorded("b", published=False), ["a", "b"], "pool")
    assert tracks == [Track(), Track(accuracies=(0.5,), samples=(8,))]


@pytest.mark.parametrize(
    ("published", "there", "keys", "said"),
    [
        (True, ["0", "1"], ["0"], "1 indices of the history are not in the pool (1)"),
        (True, ["0"], ["0", "1", "2"], "2 indices of the pool have no history (1, 2)"),
        (True, ["0"], ["0", "0"], "1 indices occur twice in the pool (0)"),
        (False, ["a", "b", "c", "d", "e"], ["a"], "4 ids of the history are not in the pool (b, c, d, ...)"),
    ],
)
def test_a_history_of_another_pool(published: bool, there: list[str], keys: list[str], said: str) -> None:
    with pytest.raises(OneshotError) as caught:
        aligned(recorded(*there, published=published), keys, "pool.jsonl")
    assert caught.value.code == "E105"
    assert f"record.json is not the history of pool.jsonl: {said}" in caught.value.message
