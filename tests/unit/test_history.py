from __future__ import annotations

import json
from pathlib import Path

import pytest

from oneshot.errors import DataError, MachineError, UsageError
from oneshot.history import History, check_row
from oneshot.types import Completion, Group, Problem, Verdict
from tests.parts import files_of_at_most


def group(problem_id: str, answers: list[str | None], right: str = "7", reward: float | None = None) -> Group:
    """One completion per answer; `reward` overrides what the verdict would pay."""
    completions = list[Completion]()
    for answer in answers:
        verdict = Verdict(correct=answer == right, extracted=answer, method="number")
        paid = float(verdict.correct) if reward is None else reward
        told = Completion(tokens=(1,), logprobs=(-0.5,), text=str(answer), finished=True, reward=paid, verdict=verdict)
        completions.append(told)
    asked = Problem(id=problem_id, prompt="2 + 5?", answer=right)
    return Group(id=0, problem=asked, prompt_tokens=(1, 2), completions=tuple(completions), policy_version=0)


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
    [
        (None, "no history file"),
        ('{"step": 0}\n', "line 1 is no row of a history: it has no problem_id, samples, successes, answers"),
        ("{}\nnot json\n", "line 2 is not JSON"),
    ],
)
def test_unusable_files(tmp_path: Path, text: str | None, says: str) -> None:
    path = tmp_path / "history.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=says) as caught:
        History.load(path)
    assert caught.value.code == "E106"


ROW = {"step": 0, "problem_id": "a", "samples": 8, "successes": 3, "answers": {"7": 3}}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"problem_id": 3}, "line 2: the problem's id is no text"),
        ({"samples": 0, "successes": 0}, "line 2: 0 of 0 samples at step 0 is no accuracy between 0 and 1"),
        ({"successes": 9}, "line 2: 9 of 8 samples"),
        ({"successes": True}, "line 2: True of 8 samples"),
        ({"step": "0"}, "samples at step '0'"),
        ({"answers": ["7"]}, "line 2: answers must map each answer to its count"),
        ({"answers": {"7": -1}}, "line 2: answers must map"),
    ],
)
def test_rows_that_are_no_visit(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(f"{json.dumps(ROW)}\n{json.dumps(ROW | changes)}\n")
    with pytest.raises(DataError, match=says) as caught:
        History.load(path)
    assert caught.value.code == "E301"
    check_row(ROW, "a file, line 1")


def test_reading_replaces_what_was_there(tmp_path: Path) -> None:
    saved, history = History(), History()
    for step in range(4):
        saved.observe(step, [group("a", ["7"])])
        history.observe(step, [group("b", ["7"])])
    saved.save(tmp_path / "history.jsonl")
    history.read(tmp_path / "history.jsonl", before=3)
    assert history.rows() == saved.rows()[:3]
    assert history.accuracy("b") == []


def test_visits_of_some_steps_in_order() -> None:
    history = History()
    for step in (4, 0, 2):
        history.observe(step, [group("b", ["7"]), group("a", ["8", "7"])])
    assert [(v.step, v.problem_id, v.accuracy) for v in history.visits(0, 4)] == [
        (0, "b", 1.0), (0, "a", 0.5), (2, "b", 1.0), (2, "a", 0.5)
    ]  # fmt: skip
    assert list(history.visits(3, 4)) == []
    assert [v.row() for v in history.visits(0, 5)] == history.rows()


def test_a_replaced_step_is_replaced_everywhere(tmp_path: Path) -> None:
    history = History()
    for step in range(3):
        history.observe(step, [group("a", ["7"]), group("b", ["7"])])
    history.save(tmp_path / "history.jsonl")
    history.observe(1, [group("a", ["8"])])
    assert history.accuracy("a") == [1.0, 0.0, 1.0]
    assert history.accuracy("b") == [1.0, 1.0]
    history.save(tmp_path / "history.jsonl")
    assert History.load(tmp_path / "history.jsonl").rows() == history.rows()


def test_a_later_save_adds_to_the_file_and_gives_the_same_bytes(tmp_path: Path) -> None:
    often, once = History(), History()
    inodes: set[int] = set()
    for step in range(6):
        groups = [group("a", ["7", None]), group("b", [str(step), "7"])]
        often.observe(step, groups)
        once.observe(step, groups)
        if step % 2:
            often.save(tmp_path / "often.jsonl")
            inodes.add((tmp_path / "often.jsonl").stat().st_ino)
    often.save(tmp_path / "often.jsonl")  # nothing is new
    once.save(tmp_path / "once.jsonl")
    assert len(inodes) == 1  # a file that is written anew is another one
    assert (tmp_path / "often.jsonl").read_bytes() == (tmp_path / "once.jsonl").read_bytes()


@pytest.mark.parametrize("change", ["gone", "longer", "another"])
def test_a_file_that_somebody_changed_is_written_whole(tmp_path: Path, change: str) -> None:
    path = tmp_path / "history.jsonl"
    history = History()
    history.observe(0, [group("a", ["7"])])
    history.save(path)
    history.observe(1, [group("a", ["7"])])
    if change == "gone":
        path.unlink()
    elif change == "longer":
        path.write_text(path.read_text() + '{"half')
    else:
        path = tmp_path / "copy.jsonl"
    history.save(path)
    assert History.load(path).rows() == history.rows()


def test_a_kill_while_adding_leaves_whole_rows(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history = History()
    for step in range(3):
        history.observe(step, [group("a", ["7"])])
    history.save(path)
    data = path.read_bytes()
    for end in range(len(data) - 60, len(data)):
        path.write_bytes(data[:end])
        left = History.load(path)
        assert left.rows() == history.rows()[: len(left.rows())]
        assert 2 <= len(left.rows()) <= 3


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history = History()
    history.observe(0, [group("a", ["7"] * 3)])
    history.save(path)
    before = path.read_bytes()
    history.observe(1, [group("a", [f"answer {i}" for i in range(50)])])
    with files_of_at_most(len(before) + 100), pytest.raises(MachineError) as caught:
        history.save(path)
    assert caught.value.code == "E202"
    assert path.read_bytes() == before
    history.save(path)  # there is room again
    assert History.load(path).rows() == history.rows()


def test_reading_forgets_the_file(tmp_path: Path) -> None:
    """As a resumed run does: what was saved later than the state is not taken for saved."""
    path = tmp_path / "history.jsonl"
    history = History()
    for step in range(4):
        history.observe(step, [group("a", ["7"])])
    history.save(path)
    history.read(path, before=2)
    history.observe(2, [group("b", ["8"])])
    history.save(path)
    assert [(row["step"], row["problem_id"]) for row in History.load(path).rows()] == [(0, "a"), (1, "a"), (2, "b")]
