"""A user's function as a verifier: over a pool that only pretends, then over a real worker process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneshot.errors import DataError, MachineError, OneshotError, UsageError
from oneshot.rewards.user.verifier import FunctionVerifier
from oneshot.rewards.workers import Outcome
from oneshot.types import Verdict

PLAIN = {"convention": "plain", "signature": "score(response, reference)"}


class FakePool:
    """Answers each job with the next of what it was given; raises an error on start if given one."""

    def __init__(self, *outcomes: Outcome, error: OneshotError | None = None) -> None:
        self.outcomes, self.error = [ok(PLAIN), *outcomes] if error is None else [], error
        self.jobs: list[Any] = []
        self.started = self.closed = 0

    def __call__(self, job: Any) -> Outcome:
        assert self.started and not self.closed
        self.jobs.append(job)
        return self.outcomes.pop(0)

    def start(self) -> None:
        self.started += 1
        if self.error:
            raise self.error

    def close(self) -> None:
        self.closed += 1


def ok(value: dict[str, Any]) -> Outcome:
    return Outcome(value=value, status="ok", message="", seconds=0.25)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "reward.py"
    path.write_text("def score(response, reference): return response == reference\n", "utf-8")
    return path


def verifier(file: Path, *outcomes: Outcome) -> tuple[FunctionVerifier, FakePool]:
    pool = FakePool(*outcomes)
    return FunctionVerifier(f"{file}:score", pool=pool), pool


@pytest.mark.parametrize(("score", "correct"), [(0.0, False), (0.99, False), (1.0, True), (2.5, True), (-1.0, False)])
def test_the_score_is_the_reward_and_one_is_correct(file: Path, score: float, correct: bool) -> None:
    verify, pool = verifier(file, ok({"score": score, "extracted": "7"}))
    expected = Verdict(correct=correct, extracted="7", method="plain", status="ok", seconds=0.25, score=score)
    assert verify("the response", "12.8") == expected
    assert pool.jobs[1:] == [{"response": "the response", "reference": "12.8"}]


def test_it_is_named_as_it_was_given_and_fatal(file: Path) -> None:
    verify, _ = verifier(file)
    assert (verify.name, verify.convention, verify.fatal) == (f"{file}:score", "plain", True)
    assert verify.signature == "score(response, reference)"


def test_nothing_is_cached(file: Path) -> None:
    verify, _ = verifier(file, ok({"score": 0.0, "extracted": None}), ok({"score": 1.0, "extracted": None}))
    assert [verify("x", "y").correct for _ in range(2)] == [False, True]


@pytest.mark.parametrize("reference", ["", " ", "\n"])
def test_an_empty_reference_matches_nothing_and_is_not_asked(file: Path, reference: str) -> None:
    verify, pool = verifier(file)
    verdict = verify("", reference)
    assert (verdict.correct, verdict.status, verdict.score) == (False, "empty", 0.0)
    assert len(pool.jobs) == 1


@pytest.mark.parametrize(
    ("outcome", "status", "said"),
    [
        (ok({"failure": "returned nan"}), "error", "(plain convention) returned nan"),
        (Outcome(None, "timeout", "killed", 10.0), "timeout", "(plain convention) did not answer within 10 s"),
        (Outcome(None, "memory", "MemoryError", 1.0), "memory", "ran out of memory: MemoryError"),
        (Outcome(None, "error", "the worker died", 1.0), "error", "the worker died"),
    ],
)
def test_a_failure_is_no_score_and_says_whose_and_why(file: Path, outcome: Outcome, status: str, said: str) -> None:
    verify, _ = verifier(file, outcome)
    verdict = verify("x", "12.8")
    assert (verdict.correct, verdict.score, verdict.status, verdict.method) == (False, 0.0, status, "plain")
    assert verdict.message.startswith(f"{file}:score ") and said in verdict.message
    assert verdict.seconds == outcome.seconds


def test_closing_closes_the_pool(file: Path) -> None:
    verify, pool = verifier(file)
    with verify:
        assert pool.closed == 0
    assert pool.closed == 1


@pytest.mark.parametrize("error", [DataError("it is broken"), MachineError("no process could be started")])
def test_when_the_worker_does_not_come_up_the_pool_is_closed(file: Path, error: OneshotError) -> None:
    pool = FakePool(error=error)
    with pytest.raises(type(error), match=error.message) as caught:
        FunctionVerifier(f"{file}:score", pool=pool)
    assert pool.closed == 1
    assert caught.value.code == ("E305" if isinstance(error, DataError) else "E201")


def test_a_file_that_is_not_there_names_a_near_one(file: Path) -> None:
    with pytest.raises(UsageError, match=r"rewards\.py does not exist\. Did you mean 'reward\.py'") as caught:
        FunctionVerifier(f"{file.with_name('rewards.py')}:score", pool=FakePool())
    assert caught.value.code == "E106"


Make = Callable[..., FunctionVerifier]


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """Verifiers over real workers, one file each, closed at the end."""
    made: list[FunctionVerifier] = []

    def make(source: str, deadline: float = 60.0) -> FunctionVerifier:
        path = tmp_path / f"reward_{len(made)}.py"
        path.write_text(source, "utf-8")
        made.append(FunctionVerifier(f"{path}:score", deadline=deadline))
        return made[-1]

    yield make
    for verify in made:
        verify.close()


def test_a_real_worker_runs_async_functions_and_what_they_print_is_not_on_stdout(
    make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    source = (
        "import os\nprint('at import')\n"
        "async def score(completions, answer, **kwargs):\n"
        "    print('in a call')\n    os.system('echo from a program')\n"
        "    return [float(answer[0] in c) for c in completions]\n"
    )
    verify = make(source)
    assert verify.convention == "TRL"
    assert [verify("so 12.8", reference).score for reference in ("12.8", "12.9")] == [1.0, 0.0]
    verify.close()
    assert capfd.readouterr().out == ""


def test_a_function_that_never_returns_is_stopped_and_the_next_call_works(make: Make) -> None:
    source = "def score(response, reference):\n    while response == 'hang': pass\n    return 1\n"
    verify = make(source, deadline=1.0)
    stuck = verify("hang", "12.8")
    assert (stuck.status, stuck.correct) == ("timeout", False)
    assert "did not answer within 1 s" in stuck.message
    assert verify("go", "12.8").correct


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise KeyError('a')", "raised KeyError: 'a' (line 3 of reward_0.py)"),
        ("raise SystemExit(0)", "raised SystemExit: 0 (line 3 of reward_0.py)"),
        ("os._exit(0)", "ended its worker process"),
        ("return float('nan')", "returned nan"),
        ("return 'yes'", "returned 'yes' (str), not a number"),
    ],
)
def test_a_failing_call_leaves_a_worker_for_the_next(make: Make, body: str, said: str) -> None:
    source = f"import os\ndef score(response, reference):\n    if response == 'bad': {body}\n    return 0.5\n"
    verify = make(source)
    failed = verify("bad", "12.8")
    assert failed.status == "error" and said in failed.message
    assert verify("good", "12.8").score == 0.5


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_module_here", "importing the file raised ModuleNotFoundError"),
        ("def scores(response): return 1", "no function 'score'. Did you mean 'scores'?"),
        ("def score(a, b): return 1", "fit no convention"),
        ("import os; os._exit(7)", "cannot be used: its process ended"),
    ],
)
def test_a_bad_file_fails_at_once(make: Make, source: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        make(source)
    assert caught.value.code == "E305"
    assert said in caught.value.message and "reward_0.py:score" in caught.value.message


def test_a_response_that_is_no_text_for_a_terminal_arrives_unchanged(make: Make) -> None:
    verify = make("def score(response, reference): return response == reference")
    assert verify("\0\ud800\u202e" + "x" * 100_000, "\0\ud800\u202e" + "x" * 100_000).correct
