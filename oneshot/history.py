"""Per example: when it was visited, how often it was solved, and what was answered. Loads no torch.

Written by the training loop after each step; read by curricula, selection and the report. Accuracies are plain shares,
never floored: the paper's pool file lifts an all-wrong visit to 1/8, which hides how hard an example is.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from oneshot._store import files
from oneshot.errors import DataError, UsageError
from oneshot.types import Completion, Group

_KEYS = ("step", "problem_id", "samples", "successes", "answers")


class Visit(NamedTuple):
    """One step in which a problem had at least one group; its samples are those of all its groups."""

    step: int
    problem_id: str
    samples: int
    successes: int
    answers: tuple[tuple[str, int], ...]
    """(text, count), most frequent first; responses without an answer are missing."""

    @property
    def accuracy(self) -> float:
        """Share of the samples that were right."""
        return self.successes / self.samples

    def row(self) -> dict[str, Any]:
        """The visit as JSON types."""
        return self._asdict() | {"answers": dict(self.answers)}


class History:
    """One row per (step, problem): `step`, `problem_id`, `samples`, `successes` and `answers` (text -> count).

    Responses without an answer are missing from `answers`, so its counts may sum to less than `samples`. Several groups
    of one problem in a step are one visit. A pool of 1,209 examples visited 500 times each has 604,500 rows: reading
    the visits of a problem or of some steps costs as much as there are of them, and a file is only added to.
    """

    def __init__(self) -> None:
        """An empty history."""
        self._steps: dict[int, tuple[Visit, ...]] = {}
        self._of: dict[str, list[Visit]] = {}
        self._file = _File()

    def observe(self, step: int, groups: Sequence[Group]) -> None:
        """Record a step. Observing a step again (after a resume) replaces what was there.

        A success is a correct verdict, whatever reward a control arm paid; without a verdict, a reward above 0.
        """
        completions: dict[str, list[Completion]] = {}
        for group in groups:
            completions.setdefault(group.problem.id, []).extend(group.completions)
        # Without responses there is no visit: an accuracy of 0 of 0 means nothing.
        self._put(step, [_visit(step, key, responses) for key, responses in completions.items() if responses])

    def _put(self, step: int, visits: Sequence[Visit]) -> None:
        for old in self._steps.pop(step, ()):
            self._of[old.problem_id].remove(old)
        self._steps[step] = tuple(visits)
        for visit in visits:
            self._of.setdefault(visit.problem_id, []).append(visit)
        if step <= self._file.last_step:  # what is in the file no longer holds
            self._file = _File()

    def visits(self, first: int, before: int) -> Iterator[Visit]:
        """The visits of the steps from `first` up to, but not including, `before`; by step, then as observed."""
        for step in range(first, before):
            yield from self._steps.get(step, ())

    def rows(self) -> list[dict[str, Any]]:
        """All visits by step; within a step in the order observed."""
        return [visit.row() for step in sorted(self._steps) for visit in self._steps[step]]

    def counts(self, problem_id: str) -> npt.NDArray[np.int64]:
        """[visits, 3]: step, successes, samples of every visit to a problem, by step."""
        table = sorted((v.step, v.successes, v.samples) for v in self._of.get(problem_id, ()))
        return np.array(table, dtype=np.int64).reshape(-1, 3)

    def accuracy(self, problem_id: str) -> list[float]:
        """Share solved at each visit, by step; empty for a problem never visited."""
        counts = self.counts(problem_id)
        return [float(share) for share in counts[:, 1] / counts[:, 2]]

    def state_dict(self) -> dict[str, Any]:
        """Everything, as JSON types."""
        return {"rows": self.rows()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replace everything by what `state_dict` gave."""
        self._fill(state["rows"])

    def save(self, path: Path) -> None:
        """Write all rows to a `.jsonl` file; `MachineError` E202 on a full disk, with the file as it was.

        The first save writes the whole file atomically; a later one adds the rows of the steps since. A kill in between
        leaves whole rows and at most a torn last line, which readers leave out; a resumed run cuts such rows off.
        """
        last = max(self._steps, default=-1)
        if self._file.is_still(path):
            steps = [step for step in range(self._file.last_step + 1, last + 1) if step in self._steps]
            files.append_bytes(path, files.json_lines(visit.row() for step in steps for visit in self._steps[step]))
        else:
            files.write_bytes(path, files.json_lines(self.rows()))
        self._file = _File(path, path.stat().st_size, last)

    @classmethod
    def load(cls, path: Path, before: int | None = None) -> History:
        """A saved history, as `read` takes it in."""
        history = cls()
        history.read(path, before)
        return history

    def read(self, path: Path, before: int | None = None) -> None:
        """Replace everything by a saved history; with `before` (the first step of a resumed run) by the steps below it.

        Raises:
            UsageError: E106 when the file is absent, is not JSON lines, or a row lacks a key.
            DataError: E301 when a row holds what no visit can.
        """
        if not path.is_file():
            raise UsageError(f"there is no history file {path}.", code="E106")
        rows = files.read_lines(path)
        for number, row in enumerate(rows, start=1):
            check_row(row, f"{path}, line {number}")
        self._fill(row for row in rows if before is None or row["step"] < before)

    def _fill(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._steps, self._of, self._file = {}, {}, _File()
        read: dict[int, dict[str, Visit]] = {}
        for row in rows:
            step, key = row["step"], sys.intern(row["problem_id"])
            answers = _interned(row["answers"].items())
            read.setdefault(step, {})[key] = Visit(step, key, row["samples"], row["successes"], answers)
        for step, visits in read.items():
            self._put(step, list(visits.values()))


def check_row(row: Mapping[str, Any], where: str) -> None:
    """Whether a row of a file is a visit; `where` is the file and the line, for the message.

    Raises:
        UsageError: E106 a key is missing.
        DataError: E301 what is there is no visit.
    """
    if missing := [key for key in _KEYS if key not in row]:
        raise UsageError(f"{where} is no row of a history: it has no {', '.join(missing)}.", code="E106")
    step, samples, successes, answers = row["step"], row["samples"], row["successes"], row["answers"]
    if not isinstance(row["problem_id"], str):
        raise DataError(f"{where}: the problem's id is no text.", code="E301")
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in (step, samples, successes))
    if not whole or samples < 1 or not 0 <= successes <= samples:
        message = f"{where}: {successes!r} of {samples!r} samples at step {step!r} is no accuracy between 0 and 1."
        raise DataError(message, code="E301")
    if not isinstance(answers, dict) or not all(isinstance(n, int) and n >= 0 for n in answers.values()):
        raise DataError(f"{where}: answers must map each answer to its count.", code="E301")


class _File(NamedTuple):
    """What a saved file held when it was written; without a path there is none."""

    path: Path = Path()
    size: int = -1
    last_step: int = -1

    def is_still(self, path: Path) -> bool:
        """Whether the file at `path` is the one, and nobody else has written it."""
        return path == self.path and path.is_file() and path.stat().st_size == self.size


def _visit(step: int, problem_id: str, responses: Sequence[Completion]) -> Visit:
    answers = Counter(
        response.verdict.extracted
        for response in responses
        if response.verdict is not None and response.verdict.extracted is not None
    )
    return Visit(
        step=step,
        problem_id=sys.intern(problem_id),
        samples=len(responses),
        successes=sum(_solved(response) for response in responses),
        answers=_interned(answers.most_common()),
    )


def _interned(answers: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """One copy of each text in memory: the same answers come again and again."""
    return tuple((sys.intern(text), count) for text, count in answers)


def _solved(response: Completion) -> bool:
    return response.verdict.correct if response.verdict is not None else response.reward > 0
