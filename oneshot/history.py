"""Per example: when it was visited, how often it was solved, and what was answered. Loads no torch.

Written by the training loop after each step; read by curricula, selection and the report. Accuracies are plain shares,
never floored: the paper's pool file lifts an all-wrong visit to 1/8, which hides how hard an example is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oneshot._store import files
from oneshot.errors import UsageError
from oneshot.types import Completion, Group

_KEYS = {"step", "problem_id", "samples", "successes", "answers"}


class History:
    """One row per (step, problem): `step`, `problem_id`, `samples`, `successes` and `answers` (text -> count).

    Responses without an answer are missing from `answers`, so its counts may sum to less than `samples`. Several groups
    of one problem in a step are one visit.
    """

    def __init__(self) -> None:
        """An empty history."""
        self._rows: dict[tuple[int, str], dict[str, Any]] = {}

    def observe(self, step: int, groups: Sequence[Group]) -> None:
        """Record a step. Observing a step again (after a resume) replaces what was there.

        A success is a correct verdict, whatever reward a control arm paid; without a verdict, a reward above 0.
        """
        self._rows = {key: row for key, row in self._rows.items() if key[0] != step}
        completions: dict[str, list[Completion]] = {}
        for group in groups:
            completions.setdefault(group.problem.id, []).extend(group.completions)
        for problem_id, responses in completions.items():
            if not responses:  # no visit: an accuracy of 0 of 0 means nothing
                continue
            answers = Counter(
                response.verdict.extracted
                for response in responses
                if response.verdict is not None and response.verdict.extracted is not None
            )
            self._rows[step, problem_id] = {
                "step": step,
                "problem_id": problem_id,
                "samples": len(responses),
                "successes": sum(_solved(response) for response in responses),
                "answers": dict(answers.most_common()),
            }

    def rows(self) -> list[dict[str, Any]]:
        """All visits by step; within a step in the order observed."""
        ordered = sorted(self._rows.values(), key=lambda row: int(row["step"]))
        return [row | {"answers": dict(row["answers"])} for row in ordered]

    def counts(self, problem_id: str) -> npt.NDArray[np.int64]:
        """[visits, 3]: step, successes, samples of every visit to a problem, by step."""
        visits = [row for row in self.rows() if row["problem_id"] == problem_id]
        table = [(row["step"], row["successes"], row["samples"]) for row in visits]
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
        """Write all rows to a `.jsonl` file atomically; `MachineError` E202 on a full disk."""
        files.write_bytes(path, files.json_lines(self.rows()))

    @classmethod
    def load(cls, path: Path, before: int | None = None) -> History:
        """Read a saved history; with `before` (the first step of a resumed run) only the steps below it.

        Raises:
            UsageError: E106 when the file is absent, is not JSON lines, or a row lacks a key.
        """
        if not path.is_file():
            raise UsageError(f"there is no history file {path}.", code="E106")
        rows = files.read_lines(path)
        for number, row in enumerate(rows, start=1):
            if missing := sorted(_KEYS - set(row)):
                raise UsageError(f"{path}, line {number} has no {', '.join(missing)}.", code="E106")
        history = cls()
        history._fill(row for row in rows if before is None or row["step"] < before)
        return history

    def _fill(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._rows = {(row["step"], row["problem_id"]): {**row, "answers": dict(row["answers"])} for row in rows}


def _solved(response: Completion) -> bool:
    return response.verdict.correct if response.verdict is not None else response.reward > 0
