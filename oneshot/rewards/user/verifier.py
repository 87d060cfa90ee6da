"""A user's reward function as a verifier: `reward.py:score`, run in a worker process of its own."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any, Protocol, Self

from oneshot.errors import DataError, UsageError
from oneshot.registry import nearest
from oneshot.rewards.user.adapters import split
from oneshot.rewards.workers import Outcome, WorkerPool
from oneshot.types import Verdict

DEADLINE = 10.0
"""Seconds one call may take; a user's function may start a program or ask a model."""
TARGET = "oneshot.rewards.user.adapters:load"


class Pool(Protocol):
    """What is used of `WorkerPool`."""

    def __call__(self, job: Any) -> Outcome:
        """Run one job; never raises for what the job does."""
        ...

    def start(self) -> None:
        """Bring the worker up."""
        ...

    def close(self) -> None:
        """End the worker."""
        ...


class FunctionVerifier:
    """Grades with a function from a file; see `oneshot.rewards.user.adapters` for the calling conventions.

    The file is code and is run with the caller's rights: the worker process bounds its time, it is no sandbox. It is
    imported when the verifier is made, so that a bad file fails before anything heavy is loaded. Nothing is cached,
    since a user's function may be random.

    A verdict's `score` is the function's number; it is `correct` from 1 on, as 0/1 is the habit. `method` is the
    convention. A call that fails is no zero reward: `fatal` tells the caller to stop on `error`, `timeout` and `memory`
    rather than to learn from it.

    Raises:
        UsageError: E103 `spec` is not `file.py:function`, E106 no such file.
        DataError: E305 the file cannot be imported, has no such function, or its arguments fit no convention.
    """

    fatal = True

    def __init__(self, spec: str, *, deadline: float = DEADLINE, pool: Pool | None = None) -> None:
        path, function = split(spec)
        if not path.is_file():
            near = nearest(path.name, [file.name for file in path.parent.glob("*.py")])
            raise UsageError(f"the reward file {path} does not exist.{near}", code="E106")
        self.name = spec
        self._deadline = deadline
        target = f"{path.resolve()}:{function}"
        self._pool: Pool = pool or WorkerPool(TARGET, (target,), size=1, deadline=deadline, memory=None)
        with ExitStack() as stack:
            stack.callback(self._pool.close)
            told = self._describe()
            stack.pop_all()
        self.convention: str = told["convention"]
        self.signature: str = told["signature"]

    def __call__(self, response: str, reference: str) -> Verdict:
        """Score one response. An empty reference matches nothing, and the function is not asked."""
        if not reference.strip():
            return Verdict(correct=False, extracted=None, method=self.convention, status="empty", score=0.0)
        outcome = self._pool({"response": response, "reference": reference})
        if outcome.status != "ok":
            return self._failed(outcome.status, self._reason(outcome), outcome.seconds)
        if "failure" in outcome.value:
            return self._failed("error", outcome.value["failure"], outcome.seconds)
        score: float = outcome.value["score"]
        return Verdict(
            correct=score >= 1,
            extracted=outcome.value["extracted"],
            method=self.convention,
            seconds=outcome.seconds,
            score=score,
        )

    def close(self) -> None:
        """End the worker process. Idempotent."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _describe(self) -> dict[str, str]:
        """Start the worker, which imports the file, and ask it which convention it recognised."""
        try:
            self._pool.start()
            outcome = self._pool({"describe": True})
        except DataError as error:
            raise self._unusable(error.message.removeprefix(f"{TARGET} cannot be used: ")) from error
        if outcome.status != "ok":
            raise self._unusable(f"it {self._reason(outcome)}")
        if "failure" in outcome.value:
            raise self._unusable(outcome.value["failure"])
        told: dict[str, str] = outcome.value
        return told

    def _unusable(self, why: str) -> DataError:
        return DataError(f"the reward {self.name} cannot be used: {why}", code="E305", kept="Nothing was graded.")

    def _reason(self, outcome: Outcome) -> str:
        if outcome.status == "timeout":
            return f"did not answer within {self._deadline:g} s"
        if outcome.status == "memory":
            return f"ran out of memory: {outcome.message}"
        return f"ended its worker process: {outcome.message}"

    def _failed(self, status: str, reason: str, seconds: float) -> Verdict:
        message = f"{self.name} ({self.convention} convention) {reason}"
        return Verdict(
            correct=False,
            extracted=None,
            method=self.convention,
            status=status,
            seconds=seconds,
            score=0.0,
            message=message,
        )
