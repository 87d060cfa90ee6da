"""Probe a reward: does it pay for what it should refuse, and refuse what it should pay for?

A response that must be refused counts as accepted when the verdict is `correct`, or when it earns what right answers
earn (a reward may use another scale than 0/1). Less than that is partial credit, which is reported: it is no hole by
itself, yet a model can live on it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from oneshot.rewards.answers.compare import same
from oneshot.rewards.user.hostile import REFERENCES, Probe, empty, hostile, right
from oneshot.types import Verdict, Verifier

FAILED = ("error", "timeout", "memory")
MAX_HANGS = 3
"""After so many time-outs nothing more is tried: each costs the whole deadline."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One probe and what the reward said, twice where it was asked twice."""

    probe: Probe
    verdict: Verdict
    seconds: float
    again: Verdict | None = None
    executed: bool = False
    """Code in the response was executed."""

    @property
    def failed(self) -> bool:
        """The reward gave no score at all."""
        return self.verdict.status in FAILED

    @property
    def score(self) -> float:
        """The reward; 0/1 where the grader gives no number."""
        return float(self.verdict.correct) if self.verdict.score is None else self.verdict.score

    @property
    def differs(self) -> bool:
        """The same response got another reward the second time."""
        said = (self.verdict.correct, self.verdict.score)
        return (
            self.again is not None
            and self.again.status not in FAILED
            and (self.again.correct, self.again.score) != said
        )


@dataclass(frozen=True)
class Findings:
    """What the trials of one reward show."""

    trials: tuple[Trial, ...]
    planned: int
    """How many probes there are; fewer were tried when the reward hung."""

    @property
    def enough(self) -> float:
        """The score from which a response counts as accepted: 1, or what right answers earn at most if that is less."""
        best = max((t.score for t in self.trials if t.probe.right and not t.failed), default=0.0)
        return min(1.0, best) if best > 0 else 1.0

    @property
    def holes(self) -> list[Trial]:
        """Responses that should have been refused and were accepted, or executed."""
        return [t for t in self.trials if t.executed or (not t.probe.right and not t.failed and self._paid(t))]

    @property
    def refusals(self) -> list[Trial]:
        """Right answers that were not accepted."""
        return [t for t in self.trials if t.probe.right and not t.failed and not self._paid(t)]

    @property
    def failures(self) -> list[Trial]:
        """Responses on which the reward raised, hung, ran out of memory or returned no reward."""
        return [t for t in self.trials if t.failed]

    @property
    def partial(self) -> list[Trial]:
        """Wrong responses that earn something."""
        holes = self.holes
        return [t for t in self.trials if not t.probe.right and not t.failed and t.score > 0 and t not in holes]

    @property
    def unsteady(self) -> list[Trial]:
        """Responses that were scored differently the second time."""
        return [t for t in self.trials if t.differs]

    @property
    def blind(self) -> bool:
        """No right answer was accepted, so that refusing the wrong ones says nothing."""
        return not any(t.probe.right and not t.failed and self._paid(t) for t in self.trials)

    @property
    def unusable(self) -> bool:
        """It gave no score for any right answer."""
        return all(t.failed for t in self.trials if t.probe.right)

    @property
    def scores(self) -> tuple[float, float] | None:
        """The lowest and the highest score; None when there is none."""
        scores = [t.score for t in self.trials if not t.failed]
        return (min(scores), max(scores)) if scores else None

    @property
    def seconds(self) -> tuple[float, float]:
        """The median and the longest time of a call."""
        times = [t.seconds for t in self.trials]
        return statistics.median(times), max(times)

    def _paid(self, trial: Trial) -> bool:
        return trial.verdict.correct or trial.score >= self.enough


def probe(verify: Verifier, references: Sequence[str] = REFERENCES) -> Findings:
    """Try every probe of every reference. Right answers and one hostile one are asked twice.

    Stops after `MAX_HANGS` time-outs. The verifier is called in order, from this thread.
    """
    trials: list[Trial] = []
    hangs = 0
    with tempfile.TemporaryDirectory(prefix="oneshot-check-") as folder:
        mark = Path(folder) / "executed"
        planned = list(_planned(references, mark))
        for each in planned:
            trials.append(_tried(verify, each, mark))
            hangs += trials[-1].verdict.status == "timeout"
            if hangs == MAX_HANGS:
                break
    return Findings(tuple(trials), len(planned))


def _planned(references: Iterable[str], mark: Path) -> Iterator[Probe]:
    for reference in references:
        others = [other for other in REFERENCES if other != reference and same(other, reference).equal is not True]
        yield from right(reference)
        yield from hostile(reference, others, mark.as_posix())
    yield from empty()


def _tried(verify: Verifier, each: Probe, mark: Path) -> Trial:
    start = time.perf_counter()
    verdict = verify(each.response, each.reference)
    seconds = time.perf_counter() - start
    twice = (each.right or each.name == "wrong answer") and verdict.status not in FAILED
    again = verify(each.response, each.reference) if twice else None
    executed = mark.exists()
    mark.unlink(missing_ok=True)
    return Trial(probe=each, verdict=verdict, seconds=seconds, again=again, executed=executed)
