"""`oneshot select` on small pools and records, through the command line; no model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneshot.cli.main import main
from oneshot.record import RunFolder
from oneshot.stages.candidates import fingerprint
from oneshot.types import Problem

POOL = [
    {"index": 10, "problem": "One?", "answer": "1"},
    {"index": 11, "problem": "Two?", "answer": "2"},
    {"index": 12, "problem": "Three?", "answer": "3"},
    {"index": 13, "problem": "Two?", "answer": "2"},
    {"index": 14, "problem": "Five?", "answer": ""},
]
RECORD = {
    "12": [0, 0, 0, 0],
    "10": [0, 0.5, 0.5, 1],
    "11": [1, 1, 1, 0.875],
    "14": [0, 0, 0, 0],
    "13": [0.5, 0.625, 0.5, 0.5],
}
Told = tuple[int, str, str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write("pool.jsonl", POOL)
    Path("record.json").write_text(json.dumps(RECORD), "utf-8")
    return tmp_path


@pytest.fixture
def select(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    def run(*words: str) -> Told:
        code = main(["select", "pool.jsonl", *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def write(name: str, rows: list[dict[str, Any]]) -> None:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def picks(name: str = "picks.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(name).read_text("utf-8").splitlines()]


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
    assert rows[1]["id"] == rows[2]["id"] == fingerprint("Two?"), "equal questions have equal hashes"
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
        "file": "", "form": "published", "visited": 5, "fewest_visits": 4, "most_visits": 4, "samples_a_visit": [8]
    }  # fmt: skip
    assert told["ties"] == [[2, 3], [4, 5]]
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


def run_of(rows: list[dict[str, Any]], problems: list[Problem]) -> RunFolder:
    run = RunFolder.create(Path("runs"), "x", {}, ())
    run.write_example(problems)
    run.history_path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return run


def visit(step: int, key: str, successes: int, samples: int = 4, **answers: int) -> dict[str, Any]:
    return {"step": step, "problem_id": key, "samples": samples, "successes": successes, "answers": answers}


VISITS = [visit(0, "10", 0, x=4), visit(0, "11", 2, a=1, b=1), visit(1, "10", 4, y=4), visit(2, "10", 1, 8, z=8)]


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
