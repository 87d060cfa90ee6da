"""The protocol in force, the graders beside it, and a name that nothing stale can have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot.config.schema import Config, DataConfig, EvalsConfig
from oneshot.data.tasks.task import LOGLIKELIHOOD, Protocol, Task, TaskData
from oneshot.errors import UsageError
from oneshot.stages.evals.asked import Asked, ask, is_maths, with_limits
from tests.unit.stages.evaluating import asked_for, sums, task_of

OWN = Protocol(samples=8, temperature=0.6, max_new_tokens=3072, grader="math-lenient")


def found(task: Task, *, rows: int = 4, count: int = 4, digest: str = "d" * 64) -> TaskData:
    return TaskData(task=task, problems=sums(count), digest=digest, rows=rows, origin="here", notes=("known",))


def under(own: Protocol = OWN, **evals: Any) -> Asked:
    given = {f"evals.{name}" for name in evals}
    return ask(found(task_of(protocol=own)), Config(evals=EvalsConfig(**evals)), given=lambda key: key in given)


def test_the_tasks_own_protocol_has_the_tasks_own_name() -> None:
    asked = under()
    assert (asked.name, asked.protocol) == ("sums", OWN)
    assert asked.data == {"origin": "here", "rows": 4, "digest": "d" * 64, "limit": 0, "notes": ["known"]}
    assert (asked.under("base"), replace(asked, variant="icl").under("base")) == ("base", "base+icl")


@pytest.mark.parametrize(
    ("evals", "field", "value"),
    [
        ({"samples": 4}, "samples", 4),
        ({"temperature": 0.2}, "temperature", 0.2),
        ({"max_new_tokens": 64}, "max_new_tokens", 64),
        ({"suffix": "Think."}, "suffix", "Think."),
        ({"grader": "math"}, "grader", "math"),
    ],
)
def test_settings_change_the_protocol_and_the_name(evals: dict[str, Any], field: str, value: Any) -> None:
    asked = under(**evals)
    assert asked.protocol == replace(OWN, **{field: value})
    assert asked.name != "sums" and asked.name.startswith("sums-") and len(asked.name) == len("sums-") + 8
    assert asked.name == under(**evals).name


def test_inside_a_run_suffix_and_grader_are_the_dev_sets() -> None:
    data = DataConfig(system="Be brief.")
    evals = EvalsConfig(suffix="Think.", grader="math", samples=4, temperature=0.2, max_new_tokens=64)
    asked = ask(found(task_of(protocol=OWN)), Config(data=data, evals=evals))
    assert asked.protocol == replace(OWN, system="Be brief.", samples=4, temperature=0.2, max_new_tokens=64)


def test_only_what_was_given_changes_anything() -> None:
    """A suffix can be taken away by giving an empty one; what is only a default changes nothing."""
    own, config = replace(OWN, suffix="Think."), Config(evals=EvalsConfig(suffix="", samples=2))
    data = found(task_of(protocol=own))
    assert ask(data, config, given=lambda key: key == "evals.suffix").protocol == replace(own, suffix="")
    assert ask(data, config, given=lambda key: False).protocol == own
    assert ask(data, config).protocol == replace(own, samples=2)


def test_names_of_other_data_limits_and_values_differ() -> None:
    task = task_of(protocol=OWN)
    names = [
        ask(found(task), Config()).name,
        ask(found(task, rows=9), Config()).name,
        ask(found(task, rows=9, count=3), Config()).name,
        ask(found(task, digest="e" * 64), Config()).name,
        ask(found(replace(task, digest="")), Config()).name,
        ask(found(replace(task, digest=""), digest="f" * 64), Config()).name,
        under(samples=2).name,
        under(samples=3).name,
        under(temperature=0.5).name,
    ]
    assert len(set(names)) == len(names)
    assert ask(found(task, rows=9), Config()).data["limit"] == 4


def test_several_responses_to_a_greedy_task_are_sampled() -> None:
    greedy = replace(OWN, samples=1, temperature=0.0)
    asked = under(greedy, samples=8)
    assert (asked.protocol.samples, asked.protocol.temperature) == (8, 0.6)
    assert asked.data["notes"][-1] == (
        "sums is read greedily by its own protocol; 8 responses are drawn at temperature 0.6"
    )
    assert under(greedy).protocol.temperature == 0
    with pytest.raises(UsageError, match="8 times the same one") as caught:
        under(samples=8, temperature=0.0)
    assert caught.value.code == "E105"


def test_graders() -> None:
    asked = under()
    assert (asked.verify.name, asked.strict.name, asked.lenient.name) == ("math-lenient", "math", "math-lenient")
    assert asked.verify is asked.lenient and asked.maths
    letters = under(replace(OWN, grader="choice"))
    assert letters.strict is letters.lenient is letters.verify and not letters.maths
    names = (
        "math",
        "math-lenient",
        "number",
        "paper-eval",
        "choice",
        "exact",
        "f.py:g",
        "f.py",
        "gym:sums",
        "gym-lenient:x",
    )
    assert [name for name in names if is_maths(name)] == ["math", "math-lenient", "number", "paper-eval"]
    with pytest.raises(UsageError) as caught:
        under(grader="maths")
    assert caught.value.code == "E102"


@pytest.mark.parametrize("below", [-1.0, -0.5, -1e-9])
def test_a_temperature_below_zero_means_the_tasks_own(below: float) -> None:
    assert (under(temperature=below).name, under(temperature=below).protocol) == ("sums", OWN)
    assert ask(found(task_of(protocol=OWN)), Config(evals=EvalsConfig(temperature=below))).protocol == OWN


def test_graders_that_cannot_read_a_tasks_references_are_refused() -> None:
    letters, gym = replace(OWN, grader="choice"), replace(OWN, grader="gym:chain_sum:size=5")
    for own, grader, what in (
        (letters, "math", "the answers of sums are letters"),
        (letters, "exact", "cannot be graded by 'exact'"),
        (letters, "gym:chain_sum", "the answers of sums are letters"),
        (gym, "math", "sums brings its own scorer"),
        (gym, "f.py:g", "cannot be graded by 'f.py:g'"),
        (gym, "gym:chain_sum:size=6", "sums brings its own scorer"),
    ):
        with pytest.raises(UsageError, match=what) as caught:
            under(own, grader=grader)
        assert caught.value.code == "E105"
        assert caught.value.tries == ("--tasks sums   (in a command of its own, without --evals.grader)",)
    assert under(letters, grader="choice").name == "sums"


def test_a_function_may_read_letters(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("def right(response: str, answer: str) -> float:\n    return float(response == answer)\n")
    assert under(replace(OWN, grader="choice"), grader=f"{file}:right").verify.name == f"{file}:right"


def test_a_task_called_like_the_dev_set_has_another_name() -> None:
    """The dev set's readings lie in the task's own name then."""
    task = task_of(protocol=OWN)
    named = {
        source: ask(found(task), Config(evals=EvalsConfig(source=source))).name
        for source in ("", "data/sums.jsonl", "data/others.jsonl", "builtin")
    }
    assert named[""] == named["data/others.jsonl"] == named["builtin"] == "sums"
    assert named["data/sums.jsonl"].startswith("sums-") and len(named["data/sums.jsonl"]) == len("sums-") + 8


def test_a_likelihood_has_nothing_that_settings_change() -> None:
    own = Protocol(kind=LOGLIKELIHOOD, grader="choice", max_new_tokens=0)
    asked = ask(found(task_of(protocol=own)), Config(evals=EvalsConfig(samples=4, suffix="x")), forced=True)
    assert (asked.name, asked.protocol, asked.maths, asked.forced) == ("sums", own, False, False)


def test_the_longest_limit_is_checked_before_loading() -> None:
    short, long = asked_for(sums(1), Protocol(max_new_tokens=64)), asked_for(sums(1), Protocol(max_new_tokens=900))
    config = Config(evals=EvalsConfig(max_new_tokens=128, batch=32))
    assert with_limits(config, short, long).evals == EvalsConfig(max_new_tokens=900, batch=32)
    assert with_limits(config).evals == config.evals
