"""What is recorded is read only where it was asked as it is asked now: problems, ids, protocol, grader."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot.data.tasks.task import Protocol
from oneshot.errors import UsageError
from oneshot.rewards.functions import build_verifier
from oneshot.rollout.native import NativeEngine
from oneshot.stages.evals.evaluation import measure
from oneshot.stages.evals.records import recorded
from oneshot.stages.evals.sampling import measure_task
from oneshot.stages.setup import Setup
from tests.unit.stages.evaluating import ScriptedEngine, asked_for, boxed, folder, sums, with_engine
from tests.unit.stages.setups import tiny_setup
from tests.unit.store.samples import eval_row, make

SAMPLED = Protocol(samples=3, temperature=0.6, max_new_tokens=8)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return tiny_setup(tmp_path_factory.mktemp("model"))


def test_ids_are_part_of_what_was_asked(setup: Setup, tmp_path: Path) -> None:
    """The digest is of texts and answers, and results are paired by ids."""
    asked, store = asked_for(sums(4)), folder(tmp_path / "e")
    measure_task(with_engine(setup, ScriptedEngine(boxed)), asked, store, "base")
    renamed = [*asked.problems[:3], replace(asked.problems[3], id="other")]
    at = store.eval_dir("sums", "base")
    for problems, what in (
        (renamed, "problems of sums: 'p3' stands where 'other' is asked."),
        (asked.problems[1:], "4 responses whose ids are not those of the 3 problems of sums: 'p0' stands where 'p1'"),
        (asked.problems[:3], "4 responses whose ids are not those of the 3 problems of sums."),
    ):
        with pytest.raises(UsageError, match=re.escape(what)) as caught:
            recorded(replace(asked, problems=tuple(problems)), store, "base")
        assert (caught.value.code, caught.value.tries) == ("E107", (f"mv {at} {at}.old",))


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"protocol": replace(SAMPLED, max_new_tokens=4)}, "max_new_tokens was 8 and is now 4."),
        ({"protocol": replace(SAMPLED, temperature=1.0)}, "temperature was 0.6 and is now 1.0."),
        ({"protocol": replace(SAMPLED, samples=2)}, "samples was 3 and is now 2."),
        ({"protocol": replace(SAMPLED, suffix="Think.")}, "suffix was '' and is now 'Think.'."),
        ({"protocol": replace(SAMPLED, system="Brief.")}, "system was '' and is now 'Brief.'."),
        ({"verify": build_verifier("math")}, "grader was 'math-lenient' and is now 'math'."),
        ({"data": {"digest": "e" * 64, "limit": 0}}, f"data's digest was '{'d' * 16}' and is now '{'e' * 16}'."),
        ({"data": {"digest": "d" * 64, "limit": 3}}, "limit was 0 and is now 3."),
    ],
)
def test_what_was_asked_otherwise_is_not_read(setup: Setup, tmp_path: Path, changed: dict[str, Any], what: str) -> None:
    asked, store, idle = asked_for(sums(3), SAMPLED), folder(tmp_path / "e"), ScriptedEngine(boxed)
    rows = measure_task(with_engine(setup, ScriptedEngine(boxed)), asked, store, "base")
    other = replace(asked, **changed)
    reads: tuple[Callable[[], Any], ...] = (
        lambda: recorded(other, store, "base"),
        lambda: measure_task(with_engine(setup, idle), other, store, "base"),
    )
    for read in reads:
        with pytest.raises(UsageError, match=re.escape(f"another evaluation: {what}")) as caught:
            read()
        assert caught.value.code == "E107"
    assert (idle.calls, recorded(asked, store, "base")) == (0, rows)


def test_a_dev_set_is_never_the_task_of_its_name_nor_the_other_way(setup: Setup, tmp_path: Path) -> None:
    run, asked = make(tmp_path), asked_for(sums(4), Protocol(max_new_tokens=16))
    own = with_engine(setup, NativeEngine(setup.policy, batch=16))
    dev = measure(own, sums(3), run, "sums", "base")
    reads: tuple[Callable[[], Any], ...] = (
        lambda: recorded(asked, run, "base"),
        lambda: measure_task(own, asked, run, "base"),
    )
    for read in reads:
        with pytest.raises(UsageError, match=r"max_new_tokens was 128 and is now 16, .*, data's digest was") as caught:
            read()
        assert caught.value.code == "E107"
    assert measure(own, sums(3), run, "sums", "base") == dev
    measure_task(own, asked, run, "checkpoint-1")
    with pytest.raises(UsageError, match="max_new_tokens was 16 and is now 128") as caught:
        measure(own, sums(3), run, "sums", "checkpoint-1")
    assert caught.value.code == "E107"


def test_the_way_out_of_it_works(setup: Setup, tmp_path: Path) -> None:
    """The line moves the folder; then the task is measured, and nothing is read twice."""
    store, asked = folder(tmp_path / "e"), asked_for(sums(3))
    measure_task(setup, asked, store, "base")
    other = replace(asked, protocol=Protocol(max_new_tokens=4))
    with pytest.raises(UsageError) as caught:
        recorded(other, store, "base")
    subprocess.run(shlex.split(caught.value.tries[-1]), check=True)
    assert recorded(other, store, "base") is None and store.evals() == []
    measure_task(setup, other, store, "base")
    assert store.evals() == [("sums", "base")]


def test_early_results_of_a_dev_set_are_read(setup: Setup, tmp_path: Path) -> None:
    """They had no digest, kind or suffix; a task's always have."""
    run = make(tmp_path)
    run.write_eval("sums", "base", {"schema": "oneshot.results/1", "protocol": {"temperature": 0.0}}, [eval_row("a")])
    assert measure(setup, sums(3), run, "sums", "base") == [eval_row("a")]
    with pytest.raises(UsageError, match="kind was None and is now 'generate'"):
        recorded(asked_for(sums(3)), run, "base")
