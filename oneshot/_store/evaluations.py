"""Evaluations in a folder: results, graded responses, and the samples of one that is not finished. Loads no torch.

evals/<task>/<checkpoint>/
  results.json  samples.jsonl.gz   whole or absent
  partial.jsonl                    while it is sampled: raw responses, see `PartialEval`
  lock.json                        while a process samples it, see `alone`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from oneshot._store import files, names, sample_record
from oneshot._store.alone import alone
from oneshot._store.rows import eval_rows
from oneshot.types import EvalRow

SAMPLE, FORCED, CHOICES = "sample", "forced", "choices"
"""Phases of a partial record: responses, what was decoded after a forced box, log-likelihoods of continuations."""
KIND = sample_record.Kind(schema="oneshot.evaluation/1", name="evaluation")
_TYPES: Mapping[str, tuple[type, ...]] = {SAMPLE: (str, int, bool), FORCED: (str,), CHOICES: (list, list)}
"""What follows index and sample in a row: text, tokens, cut · text · log-likelihoods, tokens."""

Key = tuple[int, int]
"""(index of the problem, sample)."""


class PartialEval:
    """What was sampled for an evaluation so far; open it with `Evaluations.partial`.

    Raw, so that another grader never costs sampling. JSON lines: a head with the protocol, then a few responses a line,
    in the order in which they were finished

        {"phase": "sample", "rows": [[index, sample, text, tokens, cut], ...]}
    """

    def __init__(self, path: Path, protocol: Mapping[str, Any]) -> None:
        """A new record, or the one that is there.

        Raises:
            UsageError: E107 it was made under another protocol, with what differs; E106 it is damaged.
            MachineError: E202 the disk is full.
        """
        self.path = path
        self._found: dict[str, dict[Key, tuple[Any, ...]]] = {}
        batches = sample_record.opened(path, KIND, protocol)
        for phase, rows in sample_record.batches_of(path, KIND, batches, _checked):
            self._add(phase, rows)

    def _add(self, phase: str, rows: Sequence[Sequence[Any]]) -> None:
        self._found.setdefault(phase, {}).update({(row[0], row[1]): tuple(row[2:]) for row in rows})

    def get(self, phase: str) -> Mapping[Key, tuple[Any, ...]]:
        """What is there of a phase: key -> what follows it in the row."""
        return self._found.get(phase, {})

    def phases(self) -> Mapping[str, Mapping[Key, tuple[Any, ...]]]:
        """All phases there are."""
        return self._found

    def append(self, phase: str, rows: Sequence[Sequence[Any]]) -> None:
        """Keep a batch, on disk when this returns. `MachineError` E202 on a full disk; the batches before are whole."""
        sample_record.append(self.path, phase, rows)
        self._add(phase, rows)

    def remove(self) -> None:
        """Delete the file: the evaluation is finished."""
        self.path.unlink(missing_ok=True)


def _checked(phase: str, row: Sequence[Any]) -> Sequence[Any]:
    """A row of a batch, if it has the form of its phase; KeyError, TypeError or ValueError otherwise."""
    for value, kind in zip(row, (int, int, *_TYPES[phase]), strict=True):
        if not isinstance(value, kind):
            raise TypeError(f"{value!r} where {kind.__name__} is expected")
    return row


class Evaluations:
    """What a folder knows about its evaluations; a run folder is one, and so is that of a bare model."""

    path: Path

    def write_eval(self, task: str, checkpoint: str, results: Mapping[str, Any], rows: Sequence[EvalRow]) -> None:
        """Record an evaluation; a full disk leaves an earlier one of the same name whole (`MachineError` E202)."""
        folder = self.eval_dir(task, checkpoint)
        body = {"task": task, "checkpoint": checkpoint, **results}
        samples = files.gzipped(files.json_lines(files.plain(row) for row in rows))
        report = files.dumps(body, indent=2).encode() + b"\n"
        files.write_together({folder / "samples.jsonl.gz": samples, folder / "results.json": report})

    def read_eval(self, task: str, checkpoint: str) -> tuple[dict[str, Any], list[EvalRow]]:
        """Results and graded responses of an evaluation. `UsageError` E106 when there is none."""
        folder = self.eval_dir(task, checkpoint)
        rows = eval_rows(files.read_gzipped_lines(folder / "samples.jsonl.gz"))
        return files.read_json(folder / "results.json"), rows

    def evals(self) -> list[tuple[str, str]]:
        """(task, checkpoint) of every finished evaluation; steps in numeric order, `base` first.

        A folder with another name than its evaluation's was put aside by hand, and is passed over.
        """
        paths = sorted(self.path.glob("evals/*/*/results.json"))
        told = [(files.read_json(path), path.parent) for path in paths]
        named = [(str(result["task"]), str(result["checkpoint"]), folder) for result, folder in told]
        found = [(task, checkpoint) for task, checkpoint, at in named if at == self.eval_dir(task, checkpoint)]
        return sorted(found, key=lambda key: (key[0], names.checkpoint_number(key[1]), key[1]))

    def eval_dir(self, task: str, checkpoint: str) -> Path:
        """The folder of an evaluation; it may not exist."""
        return self.path / "evals" / names.file_name(task) / names.file_name(checkpoint)

    def has_eval(self, task: str, checkpoint: str) -> bool:
        """Whether an evaluation is finished."""
        return (self.eval_dir(task, checkpoint) / "results.json").is_file()

    def partial_path(self, task: str, checkpoint: str) -> Path:
        """Where the samples of an evaluation that is not finished are kept."""
        return self.eval_dir(task, checkpoint) / "partial.jsonl"

    def partial(self, task: str, checkpoint: str, protocol: Mapping[str, Any]) -> PartialEval:
        """The samples of an evaluation that is not finished, to be appended to. Errors as of `PartialEval`."""
        return PartialEval(self.partial_path(task, checkpoint), protocol)

    def alone(self, task: str, checkpoint: str, say: Callable[[str], None]) -> AbstractContextManager[None]:
        """Inside, no other process measures this evaluation. `UsageError` E104 where one does; `say` as of `alone`."""
        return alone(self.eval_dir(task, checkpoint), "is being measured", say)

    def protocol_of(self, task: str, checkpoint: str) -> dict[str, Any]:
        """How a finished evaluation was made, without a look at its responses; empty where nothing says so."""
        found = files.read_json(self.eval_dir(task, checkpoint) / "results.json").get("protocol")
        return dict(found or {})

    def weights_read(self, task: str, checkpoint: str) -> str:
        """Fingerprint of the weights that an evaluation, finished or begun, was made with; empty where none is told."""
        folder = self.eval_dir(task, checkpoint)
        found = files.read_json(folder / "results.json") or next(iter(files.read_lines(folder / "partial.jsonl")), {})
        return str(found.get("protocol", {}).get("weights", ""))

    def check_protocol(self, task: str, checkpoint: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        """Refuse to take a finished evaluation for another one of the same name. `UsageError` E107 with what differs.

        Entries that the recorded one does not have (of an earlier version) are passed over.
        """
        shared = {name: value for name, value in files.plain(now).items() if name in before}
        sample_record.check_same(self.eval_dir(task, checkpoint), KIND, {name: before[name] for name in shared}, shared)
