"""Reading a run folder as far as it can be read: what is absent is empty, what is damaged is noted, nothing raises.

Responses are read line by line, so a file of 10^5 of them never lies in memory, and equal texts are kept once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from oneshot._store import files, names
from oneshot._store.rows import metric_rows
from oneshot._store.streams import BROKEN, lines
from oneshot._store.values import is_number
from oneshot.measure.compared import evaluated
from oneshot.record import RunFolder
from oneshot.types import EvalRow

LONGEST_TEXT = 12_000
"""Characters kept of a response that may be shown."""
_SHORT = 500
_LEFT_OUT = {"forced_text"}


class Reading:
    """The files of one run; `notes` says in sentences what could not be read."""

    def __init__(self, run: RunFolder) -> None:
        self.run, self.path = run, run.path
        self.notes: list[str] = []
        self._texts: dict[str, str] = {}

    def note(self, sentence: str) -> None:
        """Keep a sentence, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def json(self, name: str) -> dict[str, Any]:
        """One JSON object of the folder; empty where it is absent or cannot be read."""
        path = self.path / name
        if not path.exists():
            return {}
        try:
            value = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            self.note(f"{name} cannot be read: {error}.")
            return {}
        if not isinstance(value, dict):
            self.note(f"{name} is not a JSON object.")
            return {}
        return value

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The objects of a `.jsonl` file without the lines that are none; a torn last line is no damage."""
        try:
            data = (self.path / name).read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            self.note(f"{name} cannot be read: {error}.")
            return []
        *whole, last = data.split(b"\n")
        found = list(self._objects(whole, name))
        return found + ([row] if (row := _object(last)) is not None else [])

    def metrics(self) -> list[dict[str, Any]]:
        """One row per step in step order, of a step recorded by several attempts the last one's."""
        return metric_rows(self.rows("metrics.jsonl"))

    def visits(self, problem: str) -> list[tuple[int, int, int]]:
        """(step, right samples, samples) of one example at every visit, by step; the others are passed over unread."""
        key, path, found = files.dumps(problem).encode(), self.path / "history.jsonl", dict[int, tuple[int, int]]()
        try:
            with path.open("rb") as file:
                rows = [row for line in file if key in line and (row := _object(line)) is not None]
        except FileNotFoundError:
            return []
        except OSError as error:
            self.note(f"history.jsonl cannot be read: {error}.")
            return []
        for row in rows:
            right, samples = _whole(row.get("successes")), _whole(row.get("samples"))
            if row.get("problem_id") == problem and is_number(row.get("step")) and 0 <= right <= samples > 0:
                found[int(row["step"])] = right, samples
        return [(step, *found[step]) for step in sorted(found)]

    def evals(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        """(task, checkpoint) -> results.json of every finished evaluation (`compared.evaluated`)."""
        missing: list[str] = []
        found = evaluated(self.run, missing)
        for sentence in missing:
            self.note(sentence)
        return found

    def graded(self, task: str, checkpoint: str, *, texts: bool) -> list[EvalRow]:
        """The graded responses of an evaluation, with `texts` those of each problem's first sample, which are shown.

        All other responses are left out: of 10^5 samples the texts alone would fill the memory.
        """
        path, what = self.run.eval_dir(task, checkpoint) / "samples.jsonl.gz", f"evaluation {task} of {checkpoint}"
        kept, lacking, first = list[EvalRow](), 0, dict[str, int]()
        for found in self._objects(self._stream(path, what), what):
            row = self._eval_row(found, texts)
            if row is None:
                lacking += 1
                continue
            if texts and row.sample >= first.setdefault(row.id, row.sample + 1):
                row = replace(row, response="")
            first[row.id] = min(first.get(row.id, row.sample), row.sample)
            kept.append(row)
        if lacking:
            self.note(f"{what}: {lacking} rows have no id or no grade.")
        return kept

    def rollout_steps(self) -> list[int]:
        """Steps whose training responses are recorded."""
        return names.numbers(self.path / "rollouts", names.ROLLOUT)

    def rollouts(self, step: int, count: int) -> tuple[list[dict[str, Any]], int]:
        """(at most `count` responses of a step, evenly spread in recorded order; how many there are).

        The file is gone through twice, and only the lines that are wanted are parsed.
        """
        path, what = self.path / "rollouts" / names.rollout(step), f"training responses of step {step}"
        total = sum(1 for _ in self._stream(path, what))
        wanted = {i * total // count for i in range(count)} if total > count else set(range(total))
        lines = (line for i, line in enumerate(self._stream(path, what)) if i in wanted)
        return list(self._objects(lines, what)), total

    def _stream(self, path: Path, what: str) -> Iterator[bytes]:
        try:
            yield from lines(path)
        except FileNotFoundError:
            self.note(f"{what}: the responses are not in the folder.")
        except BROKEN as error:
            self.note(f"{what}: the file is damaged ({error}).")

    def _objects(self, lines: Iterable[bytes], what: str) -> Iterator[dict[str, Any]]:
        bad = 0
        for line in lines:
            row = _object(line)
            if row is not None:
                yield row
            else:
                bad += 1
        if bad:
            self.note(f"{what}: {bad} lines cannot be read.")

    def _eval_row(self, row: Mapping[str, Any], texts: bool) -> EvalRow | None:
        if row.get("id") is None or row.get("correct") is None:
            return None
        response, meta = _text(row.get("response")), row.get("meta")
        extra = {k: v for k, v in meta.items() if k not in _LEFT_OUT} if isinstance(meta, Mapping) else {}
        if len(response) > LONGEST_TEXT:
            extra["characters"] = len(response)
        extracted = row.get("extracted")
        return EvalRow(
            id=self._same(_text(row["id"])[:_SHORT]),
            category=self._same(_text(row.get("category"))[:_SHORT]),
            prompt=self._same(_text(row.get("prompt"))),
            answer=self._same(_text(row.get("answer"))),
            response=response[:LONGEST_TEXT] if texts else "",
            extracted=None if extracted is None else self._same(_text(extracted)[:_SHORT]),
            correct=bool(row["correct"]),
            status=self._same(_text(row.get("status") or "ok")),
            cut=bool(row.get("cut")),
            tokens=_whole(row.get("tokens")),
            sample=_whole(row.get("sample")),
            meta=extra,
        )

    def _same(self, text: str) -> str:
        return self._texts.setdefault(text, text)


def _object(line: bytes) -> dict[str, Any] | None:
    """A line's JSON object, None where it holds none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _whole(value: object) -> int:
    return int(value) if is_number(value) else 0
