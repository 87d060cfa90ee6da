from __future__ import annotations

import gzip
import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from oneshot.measure.run_facts import read, rows_of
from oneshot.measure.training_text import read_training
from oneshot.record import RunFolder
from oneshot.report import marks, page
from oneshot.report.reading import Reading
from tests.unit.report.runs import eval_row


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "x", {"rollout": {"groups": 1, "group_size": 8}}, [])


def rollout_file(run: RunFolder, lines: list[bytes]) -> None:
    (run.path / "rollouts").mkdir(exist_ok=True)
    (run.path / "rollouts" / "step_000000.jsonl.gz").write_bytes(gzip.compress(b"".join(lines), 1))


def test_damaged_lines_are_counted_and_a_torn_last_one_is_not(run: RunFolder) -> None:
    (run.path / "events.jsonl").write_bytes(b'{"kind": "a"}\nnot json\n[1]\n\xff\n{"kind": "b"}\n{"kind": "torn')
    reading = Reading(run)
    assert [row["kind"] for row in reading.rows("events.jsonl")] == ["a", "b"]
    assert reading.notes == ["events.jsonl: 3 lines cannot be read."]
    assert reading.rows("absent.jsonl") == [] and len(reading.notes) == 1


def test_metrics_of_an_older_schema_have_no_attempt(run: RunFolder) -> None:
    rows = [{"step": 1, "x": 1}, {"x": 2}, {"step": "three"}, {"step": 0, "x": 4}, {"step": 1, "x": 5, "attempt": 2}]
    (run.path / "metrics.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    assert [(row["step"], row["x"]) for row in Reading(run).metrics()] == [(0, 4), (1, 5)]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_object_is_empty_and_noted(run: RunFolder, content: bytes) -> None:
    (run.path / "summary.json").write_bytes(content)
    reading = Reading(run)
    assert reading.json("summary.json") == {}
    assert len(reading.notes) == 1 and reading.notes[0].startswith("summary.json ")


def test_rows_of_an_evaluation_with_missing_keys(run: RunFolder) -> None:
    run.write_eval("t", "base", {}, [eval_row("a", True, "c")])
    path = run.eval_dir("t", "base") / "samples.jsonl.gz"
    rows = [{"id": "a", "correct": 1}, {"id": "b"}, {"id": 3, "correct": False, "response": "x" * 13_000, "meta": None}]
    path.write_bytes(gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in rows)))
    reading = Reading(run)
    first, second = reading.graded("t", "base", texts=True)
    assert (first.id, first.correct, first.category, first.tokens, first.extracted) == ("a", True, "", 0, None)
    assert (second.id, len(second.response), second.meta) == ("3", 12_000, {"characters": 13_000})
    assert reading.notes == ["evaluation t of base: 1 rows have no id or no grade."]
    assert [row.response for row in reading.graded("t", "base", texts=False)] == ["", ""]


def test_of_many_samples_the_text_of_the_first_alone_is_kept(run: RunFolder) -> None:
    rows = [replace(eval_row("a", True, "c"), sample=s, response=f"of {s}") for s in (2, 0, 1)]
    run.write_eval("t", "base", {}, [*rows, eval_row("b", True, "c")])
    found = Reading(run).graded("t", "base", texts=True)
    assert [(row.sample, row.response) for row in found] == [(2, "of 2"), (0, "of 0"), (1, ""), (0, "r")]


def test_comparing_holds_no_responses(run: RunFolder) -> None:
    row = {**eval_row("a", True, "c").__dict__, "prompt": "why? " * 100, "response": "word " * 1000}
    rows = [json.dumps({**row, "sample": i, "meta": {"forced_text": "x" * 500}}).encode() + b"\n" for i in range(5_000)]
    run.write_eval("t", "base", {}, [eval_row("a", True, "c")])
    (run.eval_dir("t", "base") / "samples.jsonl.gz").write_bytes(gzip.compress(b"".join(rows), 1))
    missing: list[str] = []
    tracemalloc.start()
    try:
        found = rows_of(run, "t", "base", missing)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (len(found), found[7].response, found[7].sample, found[7].meta) == (5_000, "", 7, {}) and missing == []
    assert peak < 16 << 20  # the file has 30 MB
    assert len(rows_of(run, "t", "base", [], texts=True)[0].response) == 5_000


def test_the_visits_of_one_example(run: RunFolder) -> None:
    visit = {"step": 4, "problem_id": "a", "samples": 8, "successes": 2, "answers": {}}
    rows = [visit, {**visit, "problem_id": "ab", "step": 5}, {**visit, "step": 1, "successes": 8},
            {**visit, "step": 6, "samples": 0}, {**visit, "step": None}]  # fmt: skip
    text = "\n".join(json.dumps(row) for row in rows)
    (run.path / "history.jsonl").write_text(text + '\n{"problem_id": "a", "st', "utf-8")
    assert Reading(run).visits("a") == [(1, 8, 8), (4, 2, 8)]
    assert Reading(run).visits("c") == []


def test_names_of_an_evaluation_come_from_its_folder_where_they_are_not_told(run: RunFolder) -> None:
    run.write_eval("t", "checkpoint-10", {}, [eval_row("a", True, "c")])
    run.write_eval("t", "base", {}, [eval_row("a", True, "c")])
    for path in run.path.glob("evals/*/*/results.json"):
        path.write_text("{}", encoding="utf-8")
    assert list(Reading(run).evals()) == [("t", "base"), ("t", "checkpoint-10")]


def test_rollouts_are_spread_over_the_step(run: RunFolder) -> None:
    rollout_file(run, [json.dumps({"sample": i}).encode() + b"\n" for i in range(32)])
    rows, total = Reading(run).rollouts(0, 6)
    assert ([row["sample"] for row in rows], total) == ([0, 5, 10, 16, 21, 26], 32)
    assert len(Reading(run).rollouts(0, 40)[0]) == 32


def test_a_hundred_thousand_rollouts_are_not_held_in_memory(run: RunFolder) -> None:
    line = (
        json.dumps({"text": "word " * 100, "reward": 1.0, "tokens": list(range(40)), "correct": True}).encode() + b"\n"
    )
    rollout_file(run, [line] * 100_000)
    tracemalloc.start()
    try:
        rows, total = Reading(run).rollouts(0, 6)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (len(rows), total) == (6, 100_000)
    assert peak < 8 << 20  # the file has 70 MB


def test_instruments_hold_one_response_at_a_time(run: RunFolder) -> None:
    line = json.dumps({"text": "recheck " * 90, "tokens": list(range(40)), "logprobs": [-0.5] * 40}).encode() + b"\n"
    rollout_file(run, [line] * 20_000)
    tracemalloc.start()
    try:
        (step,), missing = read_training(read(run), ("recheck",))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (step.responses, step.with_words, step.counts, step.tokens) == (20_000, 20_000, (1_800_000,), 800_000)
    assert peak < 4 << 20 and missing == []  # the file has 20 MB


def test_of_a_very_large_step_every_so_many_responses_are_read(run: RunFolder) -> None:
    run.write_json("config.json", {"rollout": {"groups": 5000, "group_size": 8}})
    rollout_file(run, [json.dumps({"text": "recheck", "tokens": [1]}).encode() + b"\n"] * 40_000)
    (step,), missing = read_training(read(run), ("recheck",))
    assert (step.responses, step.holding) == (10_000, (10_000,))
    assert missing == ["Of the training responses those of 1 of 1 steps were read, evenly spread, and of each one "
                       "response in 4."]  # fmt: skip


def test_the_page_of_a_hundred_thousand_rollouts_is_small(run: RunFolder) -> None:
    line = json.dumps({"text": "word " * 20, "reward": 1.0, "tokens": [1, 2], "correct": True}).encode() + b"\n"
    rollout_file(run, [line] * 100_000)
    html = page.build(run)
    assert "6 of 100000 samples" in html
    assert len(html.encode()) < 200_000


@pytest.mark.parametrize(
    ("text", "answer", "marked"),
    [
        ("12 and 312 and 12.5, so 12.", "12", ' so <mark class="differs">12</mark>.'),
        ("x = 1/2", "1/2", '<mark class="differs">1/2</mark>'),
        ("312", "12", "312"),
        ("so <b>", "<b>", '<mark class="differs">&lt;b&gt;</mark>'),
        ("we rechecked it: 7", "7", 'we <mark class="reflect">rechecked</mark> it: <mark class="differs">7</mark>'),
        ("recheck", "recheck", '<mark class="differs">recheck</mark>'),
        ("nothing", "", "nothing"),
    ],
)
def test_marks_by_hand(text: str, answer: str, marked: str) -> None:
    html = str(marks.marked(text, 100, reflection=("recheck",), answer=answer))
    assert marked in html
    assert html.count("<mark") == marked.count("<mark")


def test_what_is_left_out_counts_the_whole_text() -> None:
    assert "90 more characters not shown" in marks.marked("abcdefghij" * 2, 10, total=100)
    assert "10 more characters not shown" in marks.marked("abcdefghij" * 2, 10)
