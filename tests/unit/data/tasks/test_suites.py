"""What `--tasks` may name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from oneshot.data.tasks.suites import SUITES, TASKS, resolve
from oneshot.data.tasks.task import LOGLIKELIHOOD
from oneshot.errors import UsageError

IDS = {"math500", "aime24", "aime25", "amc23", "minerva_math", "olympiadbench", "gsm8k", "arc_easy", "arc_challenge",
       "math_beyond", "dsr_sub", "builtin"}  # fmt: skip


def names(specs: str) -> list[str]:
    return [task.name for task in resolve(specs)]


def test_every_task_is_registered_under_its_own_name() -> None:
    assert set(TASKS.names()) == IDS
    for name in IDS:
        task = TASKS.build(name)
        assert task.name == name
        assert task.make is not None or (task.hub is not None and task.hub.seen and task.file == name)
        assert not task.protocols or task.protocol in task.protocols.values()
        assert len(task.digest) in (0, 64) and task.count > 0


def test_names_suites_and_white_space() -> None:
    assert names("math500, aime24 ,") == ["math500", "aime24"]
    assert names("math6") == list(SUITES["math6"])
    assert names("reasoning,gsm8k") == ["arc_easy", "arc_challenge", "gsm8k"]
    assert names("") == []


def test_a_named_protocol_has_a_name_of_its_own() -> None:
    (task,) = resolve("arc_easy:loglikelihood")
    assert (task.name, task.protocol.kind, task.file) == ("arc_easy-loglikelihood", LOGLIKELIHOOD, "arc_easy")
    assert names("arc_easy:letter,arc_easy:loglikelihood") == ["arc_easy", "arc_easy-loglikelihood"]
    assert names("reasoning:loglikelihood") == ["arc_easy-loglikelihood", "arc_challenge-loglikelihood"]


@pytest.mark.parametrize(
    ("specs", "code", "said"),
    [
        ("math50", "E102", "'math500'"),
        ("aime-24", "E102", "'aime24'"),
        ("maths6", "E102", "'math6'"),
        ("arc_easy:loglikelyhood", "E102", "'loglikelihood'"),
        ("math500:greedy", "E102", "one protocol only"),
        ("math500,math6", "E103", "named twice"),
        ("arc_easy,arc_easy:letter", "E103", "named twice"),
        ("gym:", "E103", "no reasoning-gym task"),
        ("gym:chain_sum:size=0", "E103", "no reasoning-gym task"),
        ("gym:chain_sum:size", "E103", "name=value"),
    ],
)
def test_what_is_refused(specs: str, code: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(specs)
    assert caught.value.code == code
    assert said in caught.value.render()


@pytest.mark.parametrize(
    ("specs", "once"),
    [
        ("a.jsonl,bd/a.jsonl", "a.jsonl"),
        ("arc_easy:loglikelihood,reasoning:loglikelihood", "arc_easy:loglikelihood,arc_challenge:loglikelihood"),
        ("arc_easy,arc_easy:letter", "arc_easy"),
    ],
)
def test_what_is_named_twice_is_named_once_as_it_was_typed(specs: str, once: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(specs)
    assert caught.value.tries == (f"--tasks {once}",)
    resolve(once)


def test_two_files_of_one_name_and_a_file_called_like_a_task(tmp_path: Path) -> None:
    assert names(f"{tmp_path}/math500.jsonl,math500,x.parquet") == ["file-math500", "math500", "x"]
    with pytest.raises(UsageError, match="named twice"):
        resolve(f"{tmp_path}/x.jsonl,x.parquet")


def test_gym_names() -> None:
    (task,) = resolve("gym:chain_sum:min_terms=2:size=50:seed=3")
    assert task.name == "gym-chain_sum-seed3-size50-min_terms2"
    assert task.protocol.grader == "gym:chain_sum:seed=3:size=50:min_terms=2"
    assert names("gym:chain_sum,gym:chain_sum:seed=1") == ["gym-chain_sum", "gym-chain_sum-seed1"]


def test_importing_the_tasks_loads_neither_torch_nor_datasets() -> None:
    code = "import sys, oneshot.data.tasks.suites, oneshot.data.tasks.loading\n"
    code += "print([m for m in ('torch', 'datasets', 'pyarrow', 'reasoning_gym', 'sympy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
