"""The work of an evaluation: sampling in batches, kept as they finish; what stops it, and what makes it comparable.

Response `s` to problem `i` of a task draws from the stream of (seed, `stream_step` of the task's name + i, s), so it
depends on neither the batch it is sampled in, nor the tasks measured beside it, nor a limit on the problems, nor how
often the work was stopped. Streams of training, probes, checks and timed decoding have smaller step numbers.
"""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

from oneshot._store.evaluations import SAMPLE, Key, PartialEval
from oneshot.data.prompts import render
from oneshot.errors import Stopped
from oneshot.model.fingerprint import fingerprint
from oneshot.rollout.streams import EVAL_STEP
from oneshot.stages.evals.asked import Asked, with_limits
from oneshot.stages.evals.progress import Progress, Silent
from oneshot.stages.resources import fitting
from oneshot.stages.setup import Setup
from oneshot.stages.signals import BATCH, Abandoned, StopRequest, stop_requests
from oneshot.types import Completion, Problem, Sampling

MOST_PROBLEMS = 1 << 24
"""Of a task, so that the steps of its streams stay below 2^32: a larger one would be two words of a seed."""
BLOCKS = 4
"""Batches have so many times the rows decoded at once: a batch's last responses leave rows idle."""
MOST_TOKENS = 1 << 19
"""Tokens of a batch at most, as far as that leaves a whole block of rows: Ctrl-C waits for a batch."""
WITHIN = 1.0
"""Seconds that a finished response waits for others to be written with: each write is forced to disk."""

Row = Sequence[Any]


class Work:
    """One attempt at an evaluation; a context in which a stop signal ends the work with what is finished kept.

    With an engine that tells of each finished response (`types.Engine`) a stop loses the unfinished ones at most, and a
    kill those of the last second too (`WITHIN`); of another engine whole batches are kept.
    """

    def __init__(
        self, engine: Any, record: PartialEval, *, progress: Progress | None = None, stop: StopRequest | None = None
    ) -> None:
        """Give it the sampler, which is told to stop too.

        Args:
            engine: a sampler; its `check` and `finished` are lent while the work goes on.
            record: where responses are kept.
            progress: told how far it is.
            stop: the caller's own stop request, which then gets `Abandoned`; None: signals are caught here and become
                `Stopped`.
        """
        self.engine, self.record, self.progress = engine, record, progress or Silent()
        self.stop, self._own = stop or StopRequest(), stop is None
        self.known = 0
        """Pieces that were there already."""
        self._stack = ExitStack()
        self._phase, self._made, self._written = "", list[Row](), 0.0

    def __enter__(self) -> Work:
        if self._own:
            self.stop = self._stack.enter_context(stop_requests(BATCH))
        if hasattr(self.engine, "check"):  # of the native sampler: called before every token
            before, self.engine.check = self.engine.check, self._check
            self._stack.callback(setattr, self.engine, "check", before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give signals and sampler back."""
        self._stack.close()

    def draw(
        self, title: str, phase: str, keys: Sequence[Key], size: int, make: Callable[[Sequence[Key]], Sequence[Row]]
    ) -> None:
        """Make and keep what the record lacks of these keys, `size` at a time, each as `generate` finishes it.

        Args:
            title: what is done, for the progress.
            phase: of the record.
            keys: everything that is wanted.
            size: of a batch.
            make: keys -> their rows, which begin with the key.

        Raises:
            MachineError: E202 the disk is full.
            Stopped: a stop signal came (`Abandoned` with a stop request of the caller's); what is finished is kept.
        """
        missing = [key for key in keys if key not in self.record.get(phase)]
        self.known += len(keys) - len(missing)
        self.progress.begin(title, len(keys), len(keys) - len(missing))
        try:
            for start in range(0, len(missing), size):
                part = missing[start : start + size]
                with self._keeping(phase):
                    rows = make(part)
                kept = self.record.get(phase)
                self._made = [row for row in rows if (row[0], row[1]) not in kept]
                self._write()
                self.pause()
        finally:
            self.progress.end()

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        streams: Sequence[tuple[int, int]],
        row: Callable[[int, Completion], Row],
    ) -> list[Row]:
        """The rows of these responses, `row(place, response)` each; inside `draw` each is kept as it is finished."""
        with ExitStack() as lent:
            if hasattr(self.engine, "finished"):
                lent.callback(setattr, self.engine, "finished", self.engine.finished)
                self.engine.finished = lambda place, made: self._take(row(place, made))
            found = self.engine.generate(prompts, sampling, streams)
        return [row(place, made) for place, made in enumerate(found)]

    def _take(self, row: Row) -> None:
        self._made.append(row)
        self._write_in_time()

    def _check(self) -> None:
        """Before every token: write what has waited long enough, and give the rest up where that is asked for."""
        self._write_in_time()
        self.stop.check()

    def _write_in_time(self) -> None:
        if self._made and time.monotonic() - self._written >= WITHIN:
            self._write()

    def _write(self) -> None:
        """Keep the rows that wait, and say so."""
        rows, self._made = self._made, []
        if rows:
            self.record.append(self._phase, rows)
            self._written = time.monotonic()
            self.progress.advance(len(rows))

    def pause(self) -> None:
        """Stop here, if somebody asked for it."""
        if self.stop.signal:
            raise self._stopped()

    @contextmanager
    def _keeping(self, phase: str) -> Iterator[None]:
        """Inside, rows that are taken belong to a phase; whatever ends it, they are kept. A SIGTERM ends the work."""
        self._phase, self._written = phase, time.monotonic()
        try:
            yield
        except Abandoned:
            self._write()
            raise self._stopped() from None
        finally:
            self._write()

    def _stopped(self) -> Exception:
        if not self._own:
            return Abandoned()
        code = self.stop.exit_code
        why = "Ctrl-C" if code == 130 else "a stop signal"
        kept = len(self.record.get(SAMPLE)) or sum(map(len, self.record.phases().values()))
        return Stopped(
            f"stopped by {why}; {self.record.path} keeps {kept:,} responses.",
            exit_code=code,
            tries=("the same command again   (it samples only what is missing)",),
        )


def prompts_of(setup: Setup, asked: Asked) -> list[tuple[int, ...]]:
    """The prompt tokens of every problem, as the protocol has them.

    Raises:
        UsageError: E105 a prompt and the response limit exceed the model's positions.
        DataError: E301 a prompt longer than `rollout.max_prompt_tokens`.
    """
    protocol, config = asked.protocol, with_limits(setup.config, asked)

    def own(problem: Problem) -> tuple[int, ...]:
        limit = config.rollout.max_prompt_tokens
        return render(setup.policy.tokenizer, problem, suffix=protocol.suffix, system=protocol.system, limit=limit)

    put = asked.render or own
    return [fitting.check_length(setup.policy, config, fitting.EVALUATION, put(p)) for p in asked.problems]


def head_of(setup: Setup, asked: Asked, prompts: Sequence[Sequence[int]]) -> dict[str, Any]:
    """What makes the samples of an evaluation comparable with those of an earlier attempt; no grader is part of it."""
    protocol = asked.protocol
    return {
        "revision": setup.config.model.revision,
        "weights": fingerprint(setup.policy.model)[:16],
        "dtype": str(setup.policy.model.dtype).removeprefix("torch."),
        "kind": protocol.kind,
        "temperature": protocol.temperature,
        "max_new_tokens": protocol.max_new_tokens,
        "suffix": protocol.suffix,
        "system": protocol.system,
        "eos_ids": sorted(setup.policy.eos_ids),
        **({"seed": setup.config.seed} if protocol.temperature else {}),  # what is greedy draws nothing
        "problems": f"{len(asked.problems)} of {asked.data['digest'][:16]}",
        "prompts": hashlib.sha256(repr([tuple(p) for p in prompts]).encode()).hexdigest()[:16],
    }


def stream_step(task: str) -> int:
    """The step of the streams of a task's first problem: tasks that are sampled with one seed share no luck.

    Far apart by a hash of the name; two tasks of a thousand problems overlap with a chance of one in two millions.
    """
    return EVAL_STEP + zlib.crc32(task.encode()) % ((1 << 32) - EVAL_STEP - MOST_PROBLEMS)


def sample(work: Work, setup: Setup, asked: Asked, prompts: Sequence[Sequence[int]]) -> None:
    """Draw every response of the protocol that the record lacks. Errors as of `Work.draw`."""
    protocol, first = asked.protocol, stream_step(asked.task.name)
    assert protocol.temperature >= 0, "below 0 means the task's own"
    assert len(asked.problems) <= MOST_PROBLEMS
    sampling = Sampling(
        temperature=protocol.temperature, max_new_tokens=protocol.max_new_tokens, seed=setup.config.seed
    )

    def make(keys: Sequence[Key]) -> list[Row]:
        def row(place: int, made: Completion) -> Row:
            return (*keys[place], made.text, len(made.tokens), not made.finished)

        return work.generate([prompts[i] for i, _ in keys], sampling, [(first + i, s) for i, s in keys], row)

    keys = [(i, s) for i in range(len(asked.problems)) for s in range(protocol.samples)]
    work.draw(f"{asked.name}: responses", SAMPLE, keys, batch_of(setup, protocol.max_new_tokens), make)


def batch_of(setup: Setup, tokens: int) -> int:
    """Responses that are sampled together, of at most `tokens` tokens each."""
    rows = setup.eval_engine.batch
    return max(rows, min(BLOCKS * rows, MOST_TOKENS // tokens))
