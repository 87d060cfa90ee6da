"""Claims of several differences shown together: Holm over all of them, in every table that shows more than one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oneshot.config.load import to_dict
from oneshot.config.schema import Config
from oneshot.measure import gains
from oneshot.record import RunFolder
from oneshot.rewards.functions import build_verifier
from oneshot.stages import regrade
from oneshot.stages.evals.evaluation import results
from oneshot.stages.evals.judged import judge
from oneshot.stages.evals.regrade_text import text
from oneshot.stages.training.summary import headline, limits, summarise
from oneshot.types import EvalRow
from tests.unit.stages.parts import row


def rows(right: int, n: int = 40) -> list[EvalRow]:
    """Problems of which the first so many are right."""
    return [row(i, correct=i < right) for i in range(n)]


def test_p_is_adjusted_for_all_and_room_is_looked_at() -> None:
    six = gains.paired(rows(10), rows(16)).as_dict
    for count, claim in ((1, "supported"), (2, "inconclusive")):
        found = [(six(), True) for _ in range(count)]
        judge(found)
        pair = found[0][0]
        assert (pair["p_value"], pair["p_holm"], pair["claims"]) == (2 / 2**6, count * 2 / 2**6, count)
        assert (pair["claim"], pair["scope"], "badge" in pair) == (claim, "this run", False)
        assert (pair["gains_excluded_above"] is None) == (claim == "supported")
    without = [(six(), False)]
    judge(without)
    assert without[0][0]["claim"] == "no room to measure"
    judge([])


def test_the_headline_of_two_claims_is_adjusted_for_two() -> None:
    before = [row(i, correct=i < 10, rungs=["own_kind"], category="mul_word") for i in range(40)]
    after = [row(i, correct=i < 16, rungs=["own_kind"], category="mul_word") for i in range(40)]
    summary = summarise(before, after, own="mul_word")
    assert summary["paired"]["p_value"] == summary["overall"]["p_value"] == 2 / 2**6
    said = headline(summary, "multiplication")
    assert "shows no reliable change on this kind of problem (multiplication)" in said
    assert "it is not reliably changed" in said
    summary["overall"] = summary["overall"] | {"p_value": 1e-4}
    said = headline(summary, "multiplication")
    assert "learned this kind of problem (multiplication)" in said and "it is better" in said
    assert "got better at the 40 held-out problems" in headline(summary), "one claim needs no adjustment"


def test_limits_say_how_each_task_was_read() -> None:
    summary: dict[str, Any] = summarise(rows(10), rows(16))
    greedy = {"kind": "generate", "temperature": 0.0, "samples": 1}
    tasks = {
        "math500": {"protocol": greedy},
        "aime24": {"protocol": greedy | {"temperature": 0.6, "samples": 8}},
        "amc23": {"protocol": greedy | {"temperature": 1.0}},
        "arc_easy": {"protocol": greedy | {"kind": "loglikelihood"}},
    }
    said = limits(summary, last_step=1, tasks=tasks)
    assert any("read these problems greedily, once each," in line for line in said)
    assert said[-1] == (
        "The test tasks were read in this way: math500 greedily; aime24 with 8 responses each at temperature 0.6; "
        "amc23 with 1 response each at temperature 1; arc_easy by likelihoods."
    )
    assert not any("test tasks" in line for line in limits(summary, last_step=1))


def test_what_is_graded_again_is_one_table(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "x", to_dict(Config()), [])
    for task in ("a", "b"):
        for checkpoint, right in (("base", 10), ("checkpoint-1", 16)):
            made = [row(i, correct=i < right) for i in range(40)]
            run.write_eval(task, checkpoint, results(made), made)
    for tasks, claim in ((["a"], "supported"), (["a", "b"], "inconclusive")):
        keys = [key for key in run.evals() if key[0] in tasks]
        found = regrade.evaluations(run, build_verifier("math"), keys)
        pairs = [entry["paired"] for entry in found if "paired" in entry]
        assert [pair["old"]["claim"] for pair in pairs] == [claim] * len(tasks)
        assert [pair["old"]["claims"] for pair in pairs] == [len(tasks)] * len(tasks)
        assert not any("badge" in pair[name] for pair in pairs for name in ("old", "new"))
    body: dict[str, Any] = {
        "grader": "math", "was": "", "evals": found, "left_out": [], "rollouts": {"steps": [], "examples": []},
    }  # fmt: skip
    told = [line for line in text(body).splitlines() if "against base" in line]
    assert len(told) == 2
    assert all(line.endswith(f": {pairs[0]['new']['claim']}") for line in told)


def test_without_room_nothing_is_claimed_of_what_is_graded_again(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "x", to_dict(Config()), [])
    for checkpoint, right in (("base", 0), ("checkpoint-1", 16)):
        made = [row(i, correct=i < right) for i in range(40)]
        run.write_eval("a", checkpoint, results(made), made)
    found = regrade.evaluations(run, build_verifier("math"), run.evals())
    assert found[1]["paired"]["old"]["claim"] == "no room to measure"


@pytest.mark.parametrize("floor", [0.0, 0.25])
def test_room_is_measured_from_the_tasks_floor(tmp_path: Path, floor: float) -> None:
    run = RunFolder.create(tmp_path, "x", to_dict(Config()), [])
    for checkpoint, right in (("base", 10), ("checkpoint-1", 30)):
        made = [row(i, correct=i < right) for i in range(40)]
        run.write_eval("a", checkpoint, {**results(made), "floor": floor}, made)
    found = regrade.evaluations(run, build_verifier("math"), run.evals())
    assert found[1]["paired"]["old"]["claim"] == ("no room to measure" if floor else "supported")
