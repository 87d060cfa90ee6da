from __future__ import annotations

import json
from pathlib import Path

import pytest

from oneshot.errors import UsageError
from oneshot.history import History
from oneshot.types import Completion, Group, Problem, Verdict


def group(problem_id: str, answers: list[str | None], right: str = "7", reward: float | None = None) -> Group:
    """One completion per answer; `reward` overrides what the verdict would pay."""
    completions = []
    for answer in answers:
        verdict = Verdict(correct=answer == right, extracted=answer, method="number")
        paid = float(verdict.correct) if reward is None else reward
        completions.append(
            Completion(tokens=(1,), logprobs=(-0.5,), text=str(answer), finished=True, reward=paid, verdict=verdict)
        )
    problem = Problem(id=problem_id, prompt="2 + 5?", answer=right)
    return Group(id=0, problem=problem, prompt_tokens=(1, 2), completions=tuple(completions), policy_version=0)


def test_groups_of_one_problem_are_one_visit() -> None:
    history = History()
    history.observe(3, [group("a", ["7", "8"]), group("b", ["9"]), group("a", ["8", None])])
    assert history.rows() == [
        {"step": 3, "problem_id": "a", "samples": 4, "successes": 1, "answers": {"8": 2, "7": 1}},
        {"step": 3, "problem_id": "b", "samples": 1, "successes": 0, "answers": {"9": 1}},
    ]


def test_accuracy_is_not_floored_and_follows_the_steps() -> None:
    history = History()
    history.observe(5, [group("a", ["7", "7", "8", "7"])])
    history.observe(1, [group("a", [None] * 8)])
    assert history.accuracy("a") == [0.0, 0.75]
    assert history.counts("a").tolist() == [[1, 0, 8], [5, 3, 4]]
    assert history.accuracy("never seen") == []


def test_a_success_is_a_correct_answer_whatever_was_paid() -> None:
    history = History()
    history.observe(0, [group("a", ["8", "8"], reward=1.0)])
    assert history.accuracy("a") == [0.0]


def test_without_a_verdict_the_reward_decides() -> None:
    completions = tuple(Completion(tokens=(1,), logprobs=(0.0,), text="", finished=True, reward=r) for r in (0.0, 1.0))
    problem = Problem(id="a", prompt="?", answer="1")
    history = History()
    history.observe(0, [Group(id=0, problem=problem, prompt_tokens=(), completions=completions, policy_version=0)])
    assert history.accuracy("a") == [0.5]


def test_observing_a_step_again_replaces_it() -> None:
    history = History()
    history.observe(0, [group("a", ["7"]), group("b", ["7"])])
    history.observe(0, [group("a", ["8"])])
    assert [(row["problem_id"], row["successes"]) for row in history.rows()] == [("a", 0)]


def test_an_empty_group_is_no_visit() -> None:
    history = History()
    history.observe(0, [group("a", [])])
    assert history.rows() == []


def test_file_and_state_dict_give_everything_back(tmp_path: Path) -> None:
    history = History()
    for step in range(3):
        history.observe(step, [group("a", ["7", "\ud800\u2028\n"]), group("b", ["8"] * (step + 1))])
    history.save(tmp_path / "history.jsonl")
    assert History.load(tmp_path / "history.jsonl").rows() == history.rows()
    other = History()
    other.observe(9, [group("z", ["7"])])
    other.load_state_dict(json.loads(json.dumps(history.state_dict())))
    assert other.rows() == history.rows()


def test_a_resumed_run_forgets_what_it_will_do_again(tmp_path: Path) -> None:
    whole, resumed = History(), History()
    steps = [[group("a", ["7"] * (step + 1))] for step in range(6)]
    for step, groups in enumerate(steps):
        whole.observe(step, groups)
    whole.save(tmp_path / "history.jsonl")
    resumed = History.load(tmp_path / "history.jsonl", before=4)
    assert [row["step"] for row in resumed.rows()] == [0, 1, 2, 3]
    for step in (4, 5):
        resumed.observe(step, steps[step])
    assert resumed.rows() == whole.rows()


def test_rows_are_copies() -> None:
    history = History()
    history.observe(0, [group("a", ["7"])])
    history.rows()[0]["answers"]["7"] = 99
    assert history.rows()[0]["answers"] == {"7": 1}


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "no history file"), ('{"step": 0}\n', "line 1 has no answers"), ("{}\nnot json\n", "line 2 is not JSON")],
)
def test_unusable_files(tmp_path: Path, text: str | None, says: str) -> None:
    path = tmp_path / "history.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=says) as caught:
        History.load(path)
    assert caught.value.code == "E106"
