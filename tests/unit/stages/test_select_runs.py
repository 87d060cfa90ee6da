"""`oneshot select` by the histories of runs, and what it says of them and of its picks; no model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from oneshot.data.readers import hash_id
from oneshot.types import Problem
from tests.unit.stages.selecting import POOL, RECORD, VISITS, Told, picks, run_of, visit, write


def test_a_run_is_ranked_by_the_visits_it_made(select: Callable[..., Told]) -> None:
    """Unequal lengths are normal; rows merged in training share a history; the rest rank last, without a score."""
    run_of(VISITS, [Problem(id="10", prompt="One?", answer="1")])
    code, out, err = select("--run", "latest", "--out", "picks.jsonl")
    assert code == 0, err
    rows = picks()
    assert [(row["index"], row["visits"]) for row in rows] == [(10, 3), (11, 1), (13, 1), (12, 0), (14, 0)]
    assert [row["score"] for row in rows[1:]] == [0, 0, None, None]
    assert [(row["tie_first"], row["tie_last"]) for row in rows[3:]] == [(4, 5), (4, 5)]
    assert "1 to 3 visits of 3 examples, 4 to 8 samples each" in out
    assert "2 of 5 examples were never visited: ranked last, without a score." in out
    assert select("--history", "runs", "--out", "x.jsonl")[0] == 2


@pytest.mark.parametrize(("score", "first"), [("answer-entropy", 11), ("distinct-answers", 11), ("lim", 11)])
def test_other_scores_of_a_run(select: Callable[..., Told], score: str, first: int) -> None:
    run_of(VISITS, [])
    code, out, err = select("--run", "latest", "--score", score, "--out", "picks.jsonl")
    assert code == 0, err
    assert picks()[0]["index"] == first
    assert ("lim compares the first 1 visits" in out) == (score == "lim")


def test_a_run_on_other_questions_is_refused(select: Callable[..., Told]) -> None:
    run_of(VISITS, [Problem(id="10", prompt="Something else?", answer="1")])
    code, _, err = select("--run", "latest")
    assert code == 2
    assert "E105" in err and "1 ids of both name different texts (id '10' first)" in err


def test_a_history_inside_a_run_folder_is_read_as_a_file_too(select: Callable[..., Told]) -> None:
    run = run_of(VISITS, [])
    assert select("--history", str(run.history_path))[0] == 0
    code, _, err = select("--history", str(run.path))
    assert code == 2
    assert f"--run {run.path}" in err
    run.history_path.unlink()
    assert "has no history yet" in select("--run", "latest")[2]


def test_samples_told_from_the_accuracies_are_the_least(select: Callable[..., Told]) -> None:
    assert (
        "at least 8 samples each (told from the accuracies; --samples N says how many)."
        in select("--history", "record.json")[1]
    )
    assert "4 visits of 5 examples, 16 samples each." in select("--history", "record.json", "--samples", "16")[1]


def test_a_run_on_earlier_picks_is_known_in_the_whole_pool(select: Callable[..., Told]) -> None:
    """The pool names its rows by `index`, the picks by a hash of the question; equal questions share the hash."""
    write("pool.jsonl", [*POOL, {"index": 15, "problem": "Two?", "answer": "zwei"}])
    Path("record.json").write_text(json.dumps(RECORD | {"15": [0, 0.125, 0.5, 1]}), "utf-8")
    select("--history", "record.json", "--top", "4", "--out", "picks.jsonl")
    two, one, merged, _ = rows = picks()
    assert [row["index"] for row in rows] == [15, 10, 11, 13]
    ids = {15: hash_id("Two?"), 10: hash_id("One?"), 11: hash_id("Two?") + "-2"}
    visits = [visit(0, ids[15], 1), visit(1, ids[15], 3), visit(0, ids[10], 2)]
    visits += [visit(0, ids[11], 4), visit(1, ids[11], 4)]
    rows_of = [(15, two), (10, one), (11, merged)]
    run_of(visits, [Problem(id=ids[i], prompt=row["problem"], answer=row["answer"]) for i, row in rows_of])
    code, _, err = select("--run", "latest", "--out", "again.jsonl")
    assert code == 0, err
    found = {row["index"]: (row["visits"], row["mean_accuracy"]) for row in picks("again.jsonl")}
    assert found == {15: (2, 0.5), 10: (1, 0.5), 11: (2, 1.0), 13: (2, 1.0), 12: (0, None), 14: (0, None)}


def test_a_history_without_its_run_is_known_by_the_hashes(select: Callable[..., Told]) -> None:
    """`One?` is row 10 of the pool; the file names it as the picks do."""
    Path("alone.jsonl").write_text(json.dumps(visit(0, hash_id("One?"), 2)) + "\n", "utf-8")
    assert select("--history", "alone.jsonl", "--score", "mean-accuracy", "--out", "picks.jsonl")[0] == 0
    assert [(row["index"], row["visits"]) for row in picks()][:2] == [(10, 1), (11, 0)]


def test_other_questions_are_noticed_in_a_history_file_of_a_run_too(select: Callable[..., Told]) -> None:
    run = run_of(VISITS, [Problem(id="10", prompt="Something else?", answer="1")])
    code, _, err = select("--history", str(run.history_path))
    assert code == 2
    assert "E105" in err and "(id '10' first)" in err


def test_a_ragged_run_is_told_and_ranked(select: Callable[..., Told]) -> None:
    run_of(VISITS, [])
    _, out, _ = select("--run", "latest")
    assert "warning: the histories are ragged: 1 to 3 visits, 2 examples with less than half of the most" in out
    assert "2 examples were visited once: their standard deviation is 0 whatever they are." in out
    assert "ragged" not in select("--run", "latest", "--allow-ragged")[1]


def test_visited_once_has_no_corrected_variance_and_ranks_with_the_unvisited(select: Callable[..., Told]) -> None:
    run_of([visit(0, "10", 2), visit(1, "10", 2), visit(0, "12", 2)], [])
    code, out, err = select("--run", "latest", "--score", "corrected-variance", "--out", "picks.jsonl")
    assert code == 0, err
    rows = picks()
    assert (rows[0]["index"], rows[0]["score"] < 0) == (10, True)
    assert {(row["score"], row["tie_first"], row["tie_last"]) for row in rows[1:]} == {(None, 2, 5)}
    assert "1 examples were visited once: no score." in out


def test_noise_counts_only_what_has_a_variance(select: Callable[..., Told]) -> None:
    run_of([visit(0, "10", 2), visit(1, "10", 4), visit(0, "12", 2), visit(0, "14", 2), visit(3, "14", 2)], [])
    assert "of the variances corrected for it 1 of 2 are 0 or less, 1 of them below." in select("--run", "latest")[1]


def test_picks_that_teach_nothing_are_told(select: Callable[..., Told]) -> None:
    record = {"10": [1, 1], "11": [0, 1], "12": [0, 0.5], "13": [0.5, 0.5], "14": [0.5, 0]}
    Path("record.json").write_text(json.dumps(record), "utf-8")
    _, out, _ = select("--history", "record.json", "--top", "5", "--out", "picks.jsonl")
    assert "chosen, but always solved: index 10; such groups teach nothing." in out
    assert "no response can match the reference (empty, or not read by 'math'): index 14; train leaves such rows" in out
    assert "Train on them" in out
    write("pool.jsonl", [POOL[4]])
    Path("record.json").write_text('{"14": [0, 1]}', "utf-8")
    _, out, _ = select("--history", "record.json", "--top", "1", "--out", "one.jsonl")
    assert "wrote one.jsonl: 1 of 1 rows.\n" in out
    assert "Train on them" not in out
