"""`--corrupt` through the command line: which answers are wrong, what is measured against which, and resuming."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import OneShot, write_pool
from tests.e2e.stopping import SAME, recorded, resume, weights

BEGIN = ("train", "--reward", "number", "--model.threads", "1", "--rollout.max-new-tokens", "8", *SAME)
GROUPS = ("--rollout.groups", "10", "--rollout.group-size", "2")
Graded = Callable[[Callable[[str, str], bool]], None]


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """Ten examples; the answers are hundreds, which a number within 10 never makes of another."""
    return write_pool(tmp_path / "pool.jsonl", [{"prompt": f"{i} x 100?", "answer": f"{i}00"} for i in range(1, 11)])


def test_a_share_of_the_answers_is_wrong_and_both_accuracies_are_recorded(
    oneshot: OneShot, tiny: Path, pool: Path, graded: Graded
) -> None:
    graded(lambda response, reference: not reference.endswith("00"))  # whatever is said matches a wrong label
    words = (*BEGIN, "--model", tiny, "--data", pool, "--corrupt", "0.3", *GROUPS)
    told = oneshot(*words, "--steps", "2")
    assert told.code == 0, told.err
    assert told.err.startswith("answers of 30 % of the examples corrupted\n")
    assert "answers of 3 of 10 examples corrupted (data.corrupt = 0.3)\n" in told.err
    run = told.run
    wrong = [row for row in run.example() if "true_answer" in row["meta"]]
    assert len(wrong) == 3
    assert all(row["meta"]["true_answer"] == f"{row['prompt'].split()[0]}00" != row["answer"] for row in wrong)
    assert run.summary()["headline"].startswith("answers of 30 % of the examples corrupted. Training accuracy")
    for row in run.metrics():
        assert row["train/accuracy"] == row["reward"] == pytest.approx(0.3)
        assert row["train/true_accuracy"] == 0.0
    half = oneshot(*words, "--steps", "1").run
    told = resume(oneshot, half, "--steps", "2")
    assert told.code == 0, told.err
    assert half.example() == run.example()
    assert recorded(half) == recorded(run)
    assert weights(half, 2) == weights(run, 2)


def test_of_one_example_half_or_more_corrupts_it_and_less_says_that_none_is(oneshot: OneShot, tiny: Path) -> None:
    one = (*BEGIN, "--model", tiny, "--example", "What is 2 + 3?", "--answer", "5", "--steps", "1")
    run = oneshot(*one, "--corrupt", "0.5").run
    (row,) = run.example()
    assert row["answer"] != row["meta"]["true_answer"] == "5"
    assert "train/true_accuracy" in run.metrics()[0]
    told = oneshot(*one, "--corrupt", "0.4")
    assert "answers of 0 of 1 examples corrupted (data.corrupt = 0.4): so few that none is" in told.err
    assert told.run.example()[0]["answer"] == "5"
    assert "train/true_accuracy" not in told.run.metrics()[0]


def test_shuffled_rewards_of_corrupted_labels_carry_both_marks(oneshot: OneShot, tiny: Path, pool: Path) -> None:
    words = (*BEGIN, "--model", tiny, "--data", pool, "--corrupt", "1", "--control", "shuffled", "--steps", "1")
    told = oneshot(*words, *GROUPS)
    marks = "control arm: shuffled rewards; answers of 100 % of the examples corrupted. "
    assert told.run.summary()["headline"].startswith(marks)
