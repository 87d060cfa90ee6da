"""`oneshot select` on small pools and records, through the command line; no model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from oneshot.cli.main import main
from oneshot.data.readers import hash_id
from tests.unit.stages.selecting import RECORD, Told, picks, write


def test_rows_ranks_and_ties(select: Callable[..., Told]) -> None:
    code, out, err = select("--history", "record.json", "--out", "picks.jsonl")
    assert (code, err) == (0, "")
    rows = picks()
    assert [row["index"] for row in rows] == [10, 11, 13, 12, 14], "ties keep the order of the record"
    assert [(row["rank"], row["tie_first"], row["tie_last"]) for row in rows] == [
        (1, 1, 1), (2, 2, 3), (3, 2, 3), (4, 4, 5), (5, 4, 5)
    ]  # fmt: skip
    assert rows[0]["score"] == pytest.approx((1 / 8) ** 0.5)
    assert rows[0]["ci_low"] <= rows[0]["ci_high"]
    assert (rows[0]["mean_accuracy"], rows[0]["visits"], rows[0]["answer"]) == (0.5, 4, "1")
    assert rows[1]["id"] == rows[2]["id"] == hash_id("Two?"), "equal questions have equal hashes"
    assert "5 rows, 4 different questions; the same as another row: indices 11, 13. All are kept." in out
    assert "1 row has an empty reference, which nothing can match: index 14." in out
    assert "one run's noise only: another full run would differ more" in out
    assert "wrote picks.jsonl: 5 of 5 rows. Train on them: oneshot train --data picks.jsonl" in out


def test_the_table_marks_ties_and_draws_histories(select: Callable[..., Told]) -> None:
    _, out, _ = select("--history", "record.json", "--top", "2")
    head, first, second, *rest = out.splitlines()
    assert head.split()[:3] == ["rank", "index", "score"]
    assert first.split()[0] == "1" and "▁▅▅█" in first
    assert second.split()[0] == "2="
    assert any(line.startswith("rank 2 is inside a tie (ranks 2 to 3)") for line in rest)


def test_a_score_outside_its_interval_is_told(select: Callable[..., Told]) -> None:
    """A history that alternates is no smooth chance: its redraws vary less."""
    Path("record.json").write_text(json.dumps(RECORD | {"10": [0, 1] * 4}), "utf-8")
    assert "1 of 5 scores lie outside their intervals" in select("--history", "record.json")[1]


def test_json_is_one_object(select: Callable[..., Told]) -> None:
    code, out, err = select("--history", "record.json", "--top", "3", "--json", "--redraws", "20")
    told = json.loads(out)
    assert (code, err, told["schema"], len(told["rows"])) == (0, "", "oneshot.selection/1", 3)
    assert told["history"] | {"file": ""} == {
        "file": "", "form": "published", "visited": 5, "fewest_visits": 4, "most_visits": 4, "samples_a_visit": [8],
        "samples_from": "accuracies",
    }  # fmt: skip
    assert told["ties"] == [[2, 3], [4, 5]]
    assert (told["noise"]["examples"], told["rows"][0]["fresh_samples"]) == (5, None)
    assert (told["same_problem"], told["empty_references"], told["redraws"]) == ([["11", "13"]], [14], 20)
    assert told["rows"][1]["same_problem_as"] == [13]
    assert told["rows"][0]["rank_low"] == 1
    assert told["rows"][2]["corrected_variance"] < 0


def test_without_redraws_there_are_no_intervals(select: Callable[..., Told]) -> None:
    select("--history", "record.json", "--redraws", "0", "--out", "picks.jsonl")
    assert {(row["ci_low"], row["ci_high"]) for row in picks()} == {(None, None)}


def test_chance_needs_no_history_and_follows_the_seed(select: Callable[..., Told]) -> None:
    orders = set()
    for number, seed in enumerate("0012"):
        assert select("--score", "random", "--seed", seed, "--out", f"{number}.jsonl")[0] == 0
        orders.add(tuple(row["index"] for row in picks(f"{number}.jsonl")))
    assert picks("0.jsonl") == picks("1.jsonl")
    assert len(orders) == 3
    assert {row["visits"] for row in picks("0.jsonl")} == {0}
    select("--score", "random", "--history", "record.json", "--out", "4.jsonl")
    assert [row["index"] for row in picks("4.jsonl")] == [row["index"] for row in picks("0.jsonl")]


def test_the_picks_are_a_pool_again(select: Callable[..., Told], capsys: pytest.CaptureFixture[str]) -> None:
    select("--history", "record.json", "--top", "4", "--out", "picks.jsonl")
    assert main(["select", "picks.jsonl", "--score", "random", "--out", "again.jsonl"]) == 0
    kept = {(row["index"], row["problem"], row["answer"]) for row in picks()}
    assert {(row["index"], row["problem"], row["answer"]) for row in picks("again.jsonl")} == kept


def test_rows_without_an_index_have_their_number(select: Callable[..., Told]) -> None:
    write("pool.jsonl", [{"id": "a", "prompt": "A?", "answer": 1}, {"id": "b", "prompt": "B?", "answer": 2}])
    Path("record.json").write_text('{"1": [0, 1], "0": [0.5, 0.5]}', "utf-8")
    assert select("--history", "record.json", "--out", "picks.jsonl")[0] == 0
    assert [(row["index"], row["id"]) for row in picks()] == [(1, "b"), (0, "a")]
