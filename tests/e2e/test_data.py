"""Where the example comes from, and what the model is asked, read back from the recorded rollouts."""

from __future__ import annotations

from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet
from transformers import AutoTokenizer

from tests.e2e.conftest import SMALL, OneShot, Told, write_pool

SUFFIX = "Put it in a box."


@pytest.fixture
def start(oneshot: OneShot, tiny: Path) -> OneShot:
    words = ("train", "--model", tiny, "--reward", "number", "--steps", "1", "--allow-unsolved")
    return lambda *more: oneshot(*words, *SMALL, "--rollout.groups", "2", "--rollout.group-size", "2", *more)


def asked(told: Told, tiny: Path) -> list[str]:
    """The prompts of the first step, one a group, as the model saw them."""
    assert told.code == 0, told.err
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    rows = [row for row in told.run.rollouts(0) if row["sample"] == 0]
    return [tokenizer.decode(row["prompt_tokens"]) for row in rows]


def user(text: str) -> str:
    return f"<|user|>{text}<|end|><|assistant|>"


def test_one_row_of_a_pool_by_its_index(start: OneShot, tiny: Path, tmp_path: Path) -> None:
    rows = [{"problem": f"How much is {i}?", "ground_truth": i, "note": "kept"} for i in range(5)]
    told = start("--data", write_pool(tmp_path / "pool.jsonl", rows), "--data.index", "3")
    assert asked(told, tiny) == [user("How much is 3?")] * 2
    assert "prompt <- problem, answer <- ground_truth" in told.err
    (example,) = told.run.example()
    assert (example["answer"], example["meta"]["line"], example["meta"]["note"]) == ("3", 4, "kept")


def test_equal_rows_are_merged_and_it_is_said(start: OneShot, tiny: Path, tmp_path: Path) -> None:
    same = {"prompt": "How much is 3?", "answer": "3"}
    told = start("--data", write_pool(tmp_path / "copies.jsonl", [same] * 5))
    assert "merged 4 rows whose prompt and answer equal another row's; 1 remain" in told.err
    (example,) = told.run.example()
    assert example["meta"]["copies"] == 5
    other = {"prompt": "How much is 4?", "answer": "4"}
    told = start("--data", write_pool(tmp_path / "two.jsonl", [same, other, same]))
    assert "merged 1 row whose" in told.err
    assert "training on 2 examples in turn (--data.index N picks one)" in told.err
    assert asked(told, tiny) == [user("How much is 3?"), user("How much is 4?")]


def test_rows_that_nothing_can_match_are_left_out_and_it_is_said(
    start: OneShot, oneshot: OneShot, tiny: Path, tmp_path: Path
) -> None:
    answers = ("3", "", "nan", "3", "4")
    rows = [{"prompt": f"How much is {i}?", "answer": answer} for i, answer in enumerate(answers)]
    pool = write_pool(tmp_path / "pool.jsonl", rows)
    told = start("--data", pool)
    assert "left out 1 of 5 rows: an empty reference (line 2)" in told.err
    says = "left out 1 of 4 examples whose reference the grader 'number' does not accept against itself (line 3)"
    assert says in told.err
    assert "training on 3 examples, 2 a step in shuffled epochs of 1.5 steps" in told.err
    assert [row["meta"]["line"] for row in told.run.example()] == [1, 4, 5]
    assert oneshot("train", "--resume", told.run.path, "--steps", "2").code == 0
    plan = oneshot("plan", "--no-step", "--model", tiny, "--reward", "number", "--data", pool)
    assert says in plan.out
    assert oneshot("plan", "--no-step", "--json", "--model", tiny, "--data", pool).json["example"]["count"] == 3


def test_an_evaluation_merges_nothing(oneshot: OneShot, tiny: Path, tmp_path: Path) -> None:
    pool = write_pool(tmp_path / "copies.jsonl", [{"prompt": "How much is 3?", "answer": "3"}] * 5)
    assert oneshot("eval", tiny, "--data", pool, "--evals.max-new-tokens", "4", "--json").json["n"] == 5


def test_a_parquet_file_as_verl_writes_it(start: OneShot, tiny: Path, tmp_path: Path) -> None:
    rows = [
        {
            "data_source": "x",
            "prompt": [{"role": "system", "content": "Ignored."}, {"role": "user", "content": f"How much is {i}?"}],
            "reward_model": {"style": "rule", "ground_truth": str(i)},
            "extra_info": {"index": i, "split": "train"},
        }
        for i in range(3)
    ]
    path = tmp_path / "pool.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    told = start("--data", path, "--data.index", "2")
    assert asked(told, tiny) == [user("How much is 2?")] * 2
    assert "prompt <- prompt, answer <- reward_model.ground_truth, id <- extra_info.index" in told.err
    assert told.run.example()[0]["answer"] == "2"


def test_the_suffix_is_added_once_and_the_evaluation_has_its_own(start: OneShot, tiny: Path, tmp_path: Path) -> None:
    rows = [{"prompt": "How much is 3?", "answer": "3"}, {"prompt": f"How much is 4? {SUFFIX}", "answer": "4"}]
    pool = write_pool(tmp_path / "pool.jsonl", rows)
    told = start("--data", pool, "--data.suffix", SUFFIX, "--evals.source", pool)
    assert asked(told, tiny) == [user(f"How much is 3? {SUFFIX}"), user(f"How much is 4? {SUFFIX}")]
    assert told.run.read_eval("pool", "base")[0]["protocol"]["suffix"] == ""
    told = start("--data", pool, "--evals.source", pool, "--evals.suffix", "A number.")
    assert asked(told, tiny)[0] == user("How much is 3?")
    assert told.run.read_eval("pool", "base")[0]["protocol"]["suffix"] == "A number."


def test_the_papers_example_in_our_words(start: OneShot, tiny: Path) -> None:
    told = start("--data", "pi1")
    (prompt,) = set(asked(told, tiny))
    assert "third power of the wind speed" in prompt
    assert told.run.example()[0]["answer"] == "12.8"
    assert "-pi1-" in told.run.path.name
