"""Draws the samples of a probe in batches, or reads them from its record; says how long it will take; stops cleanly."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from oneshot.errors import Stopped
from oneshot.rollout.collect import graded
from oneshot.rollout.streams import POOL_STEP, SIZES
from oneshot.stages.display import duration
from oneshot.stages.probing.probe import Prober
from oneshot.stages.probing.record import CHOOSE, FRESH, MAX_ANSWER, ProbeRecord, Sample
from oneshot.stages.signals import Abandoned, StopRequest, stop_requests
from oneshot.types import Problem

MAX_PROBLEMS = SIZES["pool"] // 2
"""So that each problem has a stream step of its own."""
STEPS = {CHOOSE: POOL_STEP, FRESH: POOL_STEP + MAX_PROBLEMS}
BATCH = 256
"""Responses sampled, graded and recorded together: all that a kill can lose."""
EVERY = 10.0
"""Seconds between two lines of progress."""


class Sampler:
    """One attempt at a probe; a context in which a stop signal ends the work with `Stopped`."""

    def __init__(
        self,
        prober: Prober,
        problems: Sequence[Problem],
        prompts: Sequence[tuple[int, ...]],
        record: ProbeRecord,
        note: Callable[[str], None],
        *,
        total: int,
        batch: int = BATCH,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`total` is the most samples that can be asked for; `batch` and `clock` are for tests."""
        self.prober, self.problems, self.prompts, self.record, self.note = prober, problems, prompts, record, note
        self.total, self.batch, self.clock = total, batch, clock
        self.open = len(problems)
        self.given = self.reused = 0
        self.began = self.said = clock()
        self.stop = StopRequest()
        self._stack = ExitStack()

    def __enter__(self) -> Sampler:
        self.stop = self._stack.enter_context(stop_requests())
        engine: Any = self.prober.engine
        if hasattr(engine, "check"):  # of the native sampler: called before every token
            before, engine.check = engine.check, self.stop.check
            self._stack.callback(setattr, engine, "check", before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give signals and engine back."""
        self._stack.close()

    def decided(self, open_problems: int) -> None:
        """How many problems are still open, for the progress."""
        self.open = open_problems

    def draw(self, phase: str, ask: Mapping[int, range]) -> list[Sample]:
        """The graded samples of each problem with these numbers, in order: from the record, the rest drawn now.

        Raises:
            DataError: E305 a user's function failed.
            MachineError: E202 the disk is full.
            Stopped: a stop signal came; whole batches are kept.
        """
        wanted = [(i, s) for i, numbers in ask.items() for s in numbers]
        found: list[Sample] = []
        for start in range(0, len(wanted), self.batch):
            part = wanted[start : start + self.batch]
            missing = [key for key in part if self.record.get(phase, *key) is None]
            if missing:
                self.record.append(phase, self._sample(phase, missing))
            found += [s for key in part if (s := self.record.get(phase, *key)) is not None]
            self.given += len(part)
            self.reused += len(part) - len(missing)
            self._progress(bool(missing))
            if self.stop.signal:
                raise self._stopped()
        return found

    def _sample(self, phase: str, keys: Sequence[tuple[int, int]]) -> list[Sample]:
        prober = self.prober
        try:
            made = prober.engine.generate(
                [self.prompts[i] for i, _ in keys], prober.sampling, [(STEPS[phase] + i, s) for i, s in keys]
            )
            samples = []
            for (i, s), completion in zip(keys, made, strict=True):
                self.stop.check()
                problem = self.problems[i]
                where = f"the probe, problem {problem.id!r}, sample {s}"
                verdict = graded(prober.verify, completion.text, problem.answer, where)
                answer = None if verdict.extracted is None else verdict.extracted[:MAX_ANSWER]
                tokens, cut = len(completion.tokens), not completion.finished
                samples.append(
                    Sample(index=i, sample=s, correct=verdict.correct, answer=answer, tokens=tokens, cut=cut)
                )
        except Abandoned:
            raise self._stopped() from None
        return samples

    def _progress(self, drawn: bool) -> None:
        now = self.clock()
        if not drawn:  # reading costs next to nothing and must not be counted in the speed
            return
        if now - self.said < EVERY:
            return
        self.said = now
        each = (now - self.began) / max(self.given - self.reused, 1)
        left = duration(each * max(self.total - self.given, 0))
        self.note(
            f"probe: {self.given:,} of at most {self.total:,} samples, {self.open:,} problems open, at most {left} left"
        )

    def _stopped(self) -> Stopped:
        code = self.stop.exit_code
        why = "Ctrl-C" if code == 130 else "a stop signal"
        return Stopped(
            f"stopped by {why}; {self.record.path} keeps {len(self.record):,} samples.",
            exit_code=code,
            tries=("the same command again   (it samples only what is missing)",),
        )
