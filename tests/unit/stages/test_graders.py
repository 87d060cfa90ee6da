"""Graders in the stages: names, references that nothing matches, doubtful verdicts, groups that would differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from oneshot.errors import DataError, UsageError
from oneshot.record import RunFolder
from oneshot.rollout.collect import graded
from oneshot.stages import graders
from oneshot.stages.regrade import Flips, differs
from oneshot.stages.training.endings import failing
from oneshot.stages.training.preflight import BaseRate, base_rate, check_base_rate
from oneshot.stages.training.step_metrics import grader_metrics, rollout_metrics
from oneshot.types import Completion, Group, Problem, Verdict
from tests.unit.stages.parts import ScriptedEngine, prober, problems


def group(*verdicts: Verdict, answer: str = "7") -> Group:
    completions = tuple(
        Completion(tokens=(1,), logprobs=(-1.0,), text="", finished=True).scored(verdict) for verdict in verdicts
    )
    problem = Problem(id="p", prompt="?", answer=answer)
    return Group(id=0, problem=problem, prompt_tokens=(1,), completions=completions, policy_version=0)


def verdict(status: str = "ok", extracted: str | None = "7", **other: object) -> Verdict:
    values = {"correct": status == "ok", "method": "text", "seconds": 0.25}
    return Verdict(extracted=extracted, status=status, **{**values, **other})  # type: ignore[arg-type]


class Users:
    """A user's function that accepts a response only in one form, and fails on one text."""

    name, fatal, convention = "mine.py:score", True, "verl"

    def __init__(self, form: str = "<answer>%s</answer>") -> None:
        self.form = form

    def __call__(self, response: str, reference: str) -> Verdict:
        if reference == "crash":
            return verdict("error", None, message="mine.py:score (verl convention) raised KeyError", score=0.0)
        right = response == self.form % reference
        return Verdict(correct=right, extracted=None, method="verl", score=float(right))


@pytest.mark.parametrize(("old", "new"), [("boxed", "math"), ("final-number", "number")])
def test_an_old_name_says_what_it_is_called_now(old: str, new: str) -> None:
    with pytest.raises(UsageError, match=f"'{old}' is called '{new}' now") as caught:
        graders.build(old, timeout=10.0, flag="--reward")
    assert (caught.value.code, caught.value.tries) == ("E102", (f"--reward {new}",))


def test_what_is_said_and_recorded_of_a_users_function() -> None:
    ours = graders.build("exact", timeout=10.0)
    assert graders.notes(ours, Users(), Users()) == ["reward mine.py:score: recognised as the verl convention"]
    assert graders.described(Users()) == {"grader": "mine.py:score", "convention": "verl"}
    assert graders.described(ours) == {"grader": "exact"}


def asked(*answers: str) -> list[Problem]:
    return [Problem(id=f"p{i}", prompt="?", answer=answer) for i, answer in enumerate(answers)]


def test_references_nothing_can_match_are_counted_and_empty_ones_apart() -> None:
    grader = graders.build("math", timeout=10.0)
    found = graders.unmatchable(grader, asked("7", "nan", "", "nan", " "))
    assert (found.refused, found.empty, found.total) == (("p1", "p3"), ("p2", "p4"), 5)
    assert found.as_dict() == {"refused": 2, "empty": 2, "ids": ["p1", "p3", "p2", "p4"]}
    first, second = found.sentences(grader)
    assert "'math' does not accept 2 of 5 reference answers" in first
    assert first.endswith(": p1, p3")
    assert second.startswith("warning: 2 reference answers are empty")
    assert graders.unmatchable(grader, asked("7")).sentences(grader) == []
    many = graders.unmatchable(grader, asked(*["nan"] * 30))
    assert len(many.as_dict()["ids"]) == 10
    assert many.sentences(grader)[0].endswith("p9, ...")


def test_not_one_reference_that_can_be_matched_is_an_error() -> None:
    grader = graders.build("math", timeout=10.0)
    with pytest.raises(DataError, match=r"accepts none of the 2 reference answers .*\(1 are empty\)") as caught:
        graders.check_references(grader, asked("nan", ""))
    assert (caught.value.code, caught.value.exit_code) == ("E302", 4)
    assert graders.check_references(grader, []) == []
    assert len(graders.check_references(grader, asked("nan", "7"))) == 1


def test_what_nothing_can_match_is_parted_from_the_rest() -> None:
    grader = graders.build("math", timeout=10.0)
    kept, refused = graders.usable(grader, asked("7", "nan", "1/2", "nan"))
    assert ([p.id for p in kept], [p.id for p in refused]) == (["p0", "p2"], ["p1", "p3"])
    assert graders.usable(grader, asked("7")) == (asked("7"), [])
    assert graders.usable(Users(), asked("crash", "7")) == (asked("crash", "7"), [])  # it is not asked
    for answers in (("nan",), ("nan", "nan")):
        with pytest.raises(DataError, match="does not accept") as caught:
            graders.usable(grader, asked(*answers))
        assert caught.value.code == "E302"


def test_a_users_function_may_want_the_answer_in_a_form_of_its_own() -> None:
    for form in graders.STATED:
        assert graders.check_answers(Users(form.replace("ANSWER", "%s")), asked("7")) == []
    (warning,) = graders.check_answers(Users("never %s"), asked("7"))
    assert "mine.py:score gave less than 1" in warning
    assert graders.unmatchable(Users("never %s"), asked("7", "")).refused == ("p0",)
    assert len(graders.check_references(Users("never %s"), asked("7", ""))) == 2  # told, but no error
    with pytest.raises(DataError, match=r"the check of the reference 'crash' .*raised KeyError") as caught:
        graders.check_answers(Users(), asked("crash"))
    assert caught.value.code == "E305"


def test_shares_of_every_status_and_the_seconds() -> None:
    seen = grader_metrics([verdict(), verdict("undecided"), verdict("timeout"), verdict("undecided")])
    assert seen["grader/undecided"] == 0.5
    assert seen["grader/timeout"] == 0.25
    assert seen["grader/memory"] == seen["grader/error"] == seen["grader/empty"] == seen["grader/no_answer"] == 0
    assert seen["grader/seconds"] == 1.0
    assert set(grader_metrics([])) == set(seen)


def test_a_score_is_the_reward_and_counts_as_an_answer_found() -> None:
    scores = [verdict(extracted=None, correct=score >= 1, score=score) for score in (0.25, 1.0)]
    seen = rollout_metrics([group(*scores)])
    assert (seen["reward"], seen["train/accuracy"], seen["found"], seen["signal"]) == (0.625, 0.5, 1.0, 1.0)


def test_each_doubtful_verdict_is_listed_once_a_step() -> None:
    two = verdict("undecided", "x"), verdict("undecided", "x"), verdict("timeout", "9^9", message="over 2 s")
    found = graders.doubts([group(*two, verdict()), group(verdict("undecided", "x"), answer="8")])
    assert found["responses"] == 4
    assert found["more"] == 0
    assert found["verdicts"] == [
        {"reference": "7", "extracted": "x", "status": "undecided", "count": 2},
        {"reference": "7", "extracted": "9^9", "status": "timeout", "count": 1, "message": "over 2 s"},
        {"reference": "8", "extracted": "x", "status": "undecided", "count": 1},
    ]
    assert graders.doubts([group(verdict(), verdict("no_answer", None), verdict("empty", ""))]) == {}


def test_the_list_of_a_step_is_capped() -> None:
    found = graders.doubts([group(*(verdict("memory", str(i)) for i in range(33)))])
    assert (len(found["verdicts"]), found["more"], found["responses"]) == (20, 13, 33)


def test_a_users_function_that_fails_names_step_and_sample() -> None:
    class Crash(Users):
        def __call__(self, response: str, reference: str) -> Verdict:
            return super().__call__(response, "crash")

    probe = prober(ScriptedEngine(lambda round, i: 0))
    with pytest.raises(DataError) as caught:
        base_rate(type(probe)(**{**vars(probe), "verify": Crash()}), problems(1))
    told = "the reward failed at the samples before training, group 0, sample 0 (status error): mine.py:score (verl"
    assert caught.value.message.startswith(told)
    assert caught.value.tries == ("oneshot check mine.py:score",)
    assert graded(graders.build("exact", timeout=10.0), "7", "7", "").seconds > 0


def test_a_run_ended_by_its_reward_says_what_it_keeps(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "x", {}, [])
    run.write_example(problems(1))
    with pytest.raises(DataError) as caught, failing(run):
        raise DataError("the reward failed", code="E305", tries=("oneshot check f",))
    assert caught.value.kept == "Nothing was trained."
    assert caught.value.tries[0] == "oneshot check f"
    assert caught.value.tries[1].startswith(f"oneshot train --resume {run.path}")
    assert run.status()["state"] == "failed"
    run.step(0, {"reward": 1.0}, [group(verdict())])
    with pytest.raises(DataError) as caught, failing(run):
        raise DataError("the reward failed", code="E305")
    assert caught.value.kept == f"1 recorded steps are whole in {run.path}."
    with pytest.raises(DataError) as caught, failing(run):
        raise DataError("something else", code="E303", kept="as it was")
    assert caught.value.kept == "as it was"


def test_scores_that_differ_are_a_signal_though_none_is_right() -> None:
    for successes in (0, 32):
        with pytest.raises(DataError):
            check_base_rate(BaseRate(successes=successes, samples=32), allow_unsolved=False, yes=False)
        rate = BaseRate(successes=successes, samples=32, varied=True)
        check_base_rate(rate, allow_unsolved=False, yes=False)
        assert "its scores differ" in rate.sentence(8)


def test_score_and_message_are_recorded_where_there_are_any(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "x", {}, [])
    said = [verdict(score=0.5, correct=False), verdict("timeout", None, message="over 2 s"), verdict()]
    run.step(0, {}, [group(*said)])
    rows = run.rollouts(0)
    assert [r.get("score") for r in rows] == [0.5, None, None]
    assert ["message" in r for r in rows] == [False, True, False]
    back = [c.verdict for c in run.read_groups(0)[0].completions]
    assert [(v.score, v.message) for v in back if v] == [(0.5, ""), (None, "over 2 s"), (None, "")]
    assert [c.reward for c in run.read_groups(0)[0].completions] == [0.5, 0.0, 1.0]


@pytest.mark.parametrize(
    ("old", "new", "differ"),
    [
        ((0, 1, 0, 1), (0, 1, 0, 1), False),
        ((0, 0, 0, 0), (1, 1, 1, 1), False),  # no advantage then, none now
        ((0, 0, 0, 0), (0, 0, 0, 1), True),
        ((1, 0), (0, 1), True),
        ((0, 1), (0.5, 1.5), False),  # only the mean moved
        ((0.1, 0.2), (0.1 + 1e-12, 0.2), False),
    ],
)
def test_when_a_group_would_have_had_other_advantages(old: Sequence[float], new: Sequence[float], differ: bool) -> None:
    assert differs(list(zip(old, new, strict=True))) is differ


def test_flips_each_way_with_the_first_few() -> None:
    flips = Flips()
    for i in range(9):
        flips.add(i % 3 == 0, verdict("ok" if i % 3 else "undecided"), sample=i)
    flips.add(True, verdict(), sample=9)
    told = flips.as_dict()
    assert (told["to_right"], told["to_wrong"]) == (6, 3)
    assert [e["sample"] for e in told["examples"]] == [1, 2, 4, 5, 7, 0, 3, 6]  # right first, five each way
