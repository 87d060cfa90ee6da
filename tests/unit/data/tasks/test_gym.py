"""reasoning-gym as task and as grader, with a stand-in for the library that the worker process imports too."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from oneshot.config.gym import GymSpec, key, marked, read_spec, unmarked
from oneshot.data.tasks.loading import load_task
from oneshot.data.tasks.suites import resolve
from oneshot.errors import MachineError, OneshotError
from oneshot.rewards.gym import gym_verifier, read_literal
from oneshot.rewards.verifier import self_check

FACTORY = """
from dataclasses import dataclass
from reasoning_gym.sums import Sums
@dataclass
class Config:
    size: int = 500
    seed: int = 1
    low: int = 0
DATASETS = {"sums": (Sums, Config)}
def create_dataset(name, **options):
    config = Config(**options)
    assert config.low < 10, "low must be below 10"
    return Sums(config)
"""
SUMS = '''
import os
from sympy.parsing.sympy_parser import parse_expr
class Sums:
    """Entry 2 has no single answer; entry 3 is another one in each process; the scorer evaluates what it is given."""
    def __init__(self, config):
        self.config = config
    def __getitem__(self, n):
        a, b = n + self.config.low, self.config.seed
        question = f"{a}+{b}? {os.getpid() if n == 3 else ''}"
        return {"question": question, "answer": None if n == 2 else str(a + b), "metadata": {"sum": a + b}}
    def score_answer(self, answer, entry):
        if answer == "crash":
            os._exit(7)
        if answer.startswith("parse "):
            try:
                return float(int(parse_expr(answer.removeprefix("parse "))) == entry["metadata"]["sum"])
            except Exception:
                return 0.25
        try:
            return float(eval(answer) == entry["metadata"]["sum"])
        except Exception:
            return 0.5
'''


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    package = tmp_path / "reasoning_gym"
    package.mkdir()
    (package / "__init__.py").write_text("from .factory import create_dataset\n")
    (package / "factory.py").write_text(FACTORY)
    (package / "sums.py").write_text(SUMS)
    for name in [name for name in sys.modules if name.partition(".")[0] == "reasoning_gym"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "reasoning_gym"]:
        del sys.modules[name]


def test_a_specification_is_read_and_written() -> None:
    spec = read_spec("gym:sums:low=2:seed=5:kind=x:ratio=0.5:flag=true")
    assert (spec.name, spec.size, spec.seed) == ("sums", 100, 5)
    assert spec.options == (("flag", True), ("kind", "x"), ("low", 2), ("ratio", 0.5))
    assert read_spec(spec.text) == read_spec("gym-lenient:" + spec.text.removeprefix("gym:")) == spec
    assert GymSpec(name="sums").text == "gym:sums:seed=0:size=100"
    assert (GymSpec(name="sums").slug, spec.slug) == ("gym-sums", "gym-sums-seed5-flagtrue-kindx-low2-ratio0.5")


def test_a_reference_names_its_entry() -> None:
    entry = key(7, "what?")
    assert unmarked(marked("1 2", entry)) == ("1 2", entry)
    assert unmarked(marked("", entry)) == ("", entry)
    assert unmarked("12") == ("12", "")


def test_the_problems() -> None:
    (task,) = resolve("gym:sums:size=3:seed=4")
    found = load_task(task)
    assert [problem.prompt for problem in found.problems] == ["0+4? ", "1+4? ", "2+4? "]
    assert [unmarked(problem.answer)[0] for problem in found.problems] == ["4", "5", ""]
    assert [problem.id for problem in found.problems] == ["sums/4/0", "sums/4/1", "sums/4/2"]
    assert found.notes == () and found.rows == 3
    assert load_task(task, task_seed=9).digest == found.digest


@pytest.mark.parametrize(
    ("spec", "code", "said"),
    [
        ("gym:summs", "E102", "'sums'"),
        ("gym:sums:hihg=3", "E101", "It takes: size, seed, low"),
        ("gym:sums:low=12", "E103", "low must be below 10"),
    ],
)
def test_what_the_library_does_not_have(spec: str, code: str, said: str) -> None:
    for use in (lambda: load_task(resolve(spec)[0]), lambda: gym_verifier(spec)):
        with pytest.raises(OneshotError) as caught:
            use()
        assert caught.value.code == code
        assert said in caught.value.message


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(MachineError) as caught:
        load_task(resolve("gym:sums")[0])
    assert (caught.value.code, caught.value.tries) == ("E204", ("pip install 'oneshot-rlvr[tasks]'",))


def test_the_librarys_scorer_grades() -> None:
    (task,) = resolve("gym:sums:size=4:seed=4")
    problems = load_task(task).problems
    verify = gym_verifier(task.protocol.grader)
    assert verify.name == task.protocol.grader == "gym:sums:seed=4:size=4"

    def graded(answer: str, number: int) -> tuple[bool, str]:
        verdict = verify(rf"\boxed{{{answer}}}", problems[number].answer)
        return verdict.correct, verdict.status

    assert graded("5", 1) == graded("2+3", 1) == graded("parse 2+3", 1) == (True, "ok")
    assert graded("6", 2) == (True, "ok")  # the library names no answer, its scorer knows
    assert graded("4", 1) == graded("many words", 1) == (False, "ok")  # the latter scores a half
    assert verify("It is 5.", problems[1].answer).status == "no_answer"
    assert gym_verifier("gym-lenient:sums:seed=4:size=4")("The answer is 5.", problems[1].answer).correct
    assert graded("7", 3) == (False, "error")
    assert graded("crash", 1) == (False, "error")
    assert verify(r"\boxed{5}", "5").status == "undecided"
    for number in (0, 1, 2):
        self_check(verify, problems[number].answer)


def test_nothing_of_a_response_is_run(tmp_path: Path) -> None:
    (task,) = resolve("gym:sums:size=2")
    answer = load_task(task).problems[1].answer
    verify = gym_verifier(task.protocol.grader)
    mark = tmp_path / "mark"
    code = f"open({str(mark)!r}, chr(119)).close() or 1"
    spelled = "+".join(f"chr({ord(sign)})" for sign in code)
    for text in (code, f"parse {code}", f"parse exec({spelled})", f"exec({spelled})", "parse __import__(1)"):
        assert not verify(rf"\boxed{{{text}}}", answer).correct
    assert not mark.exists()


@pytest.mark.parametrize(
    ("text", "value"),
    [("[[1, 2], ['a']]", [[1, 2], ["a"]]), ("(3 + 4) // 2", 3), (" -2**3", -8), ("0xff & 0x0f", 15), ("1/2", 0.5)],
)
def test_literals_and_arithmetic_are_read(text: str, value: object) -> None:
    assert read_literal(text) == value


@pytest.mark.parametrize(
    "text", ["x", "f(1)", "[].__class__", "1 if 1 else 2", "1/0", "", "1 +", "'a' * 9", "[1] + [2]"]
)
def test_other_text_is_not(text: str) -> None:
    with pytest.raises(ValueError, match="only literals"):
        read_literal(text)
