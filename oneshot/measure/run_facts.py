"""What instruments and claims read of a run folder, each file once. What cannot be read is a sentence. No torch.

A run that died at step 0, one without evaluations and one of an earlier version are all read; what they lack is empty.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from oneshot._store import files
from oneshot._store.rows import eval_rows, metric_rows
from oneshot._store.streams import streamed
from oneshot._store.values import number, section
from oneshot.errors import OneshotError
from oneshot.history import History
from oneshot.measure.compared import BASE, Readings, both, chosen, evaluated, readings_of, sizes_of
from oneshot.record import RunFolder
from oneshot.rewards.controls import label
from oneshot.types import EvalRow

Rows = Sequence[EvalRow]
Found = TypeVar("Found")

IMITATES = "rft"
"""The control arm whose training samples are recorded responses of the base model."""
NOT_ITS_OWN = "The training samples of this control arm are recorded responses of the base model."
WRONG_FORM = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, OSError)
"""What reading a file of another version raises."""


class Counts(NamedTuple):
    """The training samples of one step: how many there were, and how many of them were right."""

    step: int
    successes: int
    samples: int


def responses_of(row: Mapping[str, Any], config: Mapping[str, Any]) -> int:
    """Training responses sampled in a step; 0 where neither its row of metrics nor the configuration says it."""
    own, rollout = number(row.get("rollout/responses")), section(config, "rollout")
    usual = (number(rollout.get("groups")) or 0) * (number(rollout.get("group_size")) or 0)
    return int(own if own is not None else usual)


def counts_of(metrics: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> list[Counts]:
    """The training samples of every step that has some, from its recorded share."""
    if section(config, "reward").get("control") == IMITATES:
        return []
    known = [(row, responses_of(row, config), number(row.get("train/accuracy"))) for row in metrics]
    return [
        Counts(int(row["step"]), min(n, max(0, round(share * n))), n)
        for row, n, share in known
        if n > 0 and share is not None
    ]


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """One run, as far as it could be read."""

    run: RunFolder
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    events: Sequence[Mapping[str, Any]]
    examples: Sequence[Mapping[str, Any]]
    visits: Sequence[Mapping[str, Any]]
    """Rows of the history: `step`, `problem_id`, `samples`, `successes`, `answers`."""
    readings: Readings
    results: Mapping[tuple[str, str], Mapping[str, Any]]
    """(task, checkpoint) -> results.json, of every evaluation."""
    task: str
    """The evaluation on which base and trained model are compared; empty where there is none."""
    base: Rows
    trained: Rows
    """Of the last checkpoint that was evaluated on `task`."""
    missing: tuple[str, ...]
    """What could not be read, a sentence each."""

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.run.path.resolve().name

    @property
    def folder(self) -> str:
        """The run as a word of a command line; see `folder_of`."""
        return folder_of(self.run, self.config)

    @property
    def step(self) -> int:
        """Optimiser steps behind `trained`; 0 where there is none."""
        return max(self.readings.get(self.task, {}), default=0)

    @property
    def checkpoint(self) -> str:
        """The name of `trained`; empty where there is none."""
        return self.readings[self.task][self.step] if self.trained else ""

    @property
    def control(self) -> str:
        """The control arm that the run is; empty where it is none."""
        return str(section(self.config, "reward").get("control") or "")

    @property
    def corrupt(self) -> float:
        """Share of the examples whose answer was to be replaced by a wrong one."""
        return number(section(self.config, "data").get("corrupt")) or 0.0

    @property
    def label(self) -> str:
        """What sets the run apart from a normal one, as every output says it; empty for a normal run."""
        return label(self.config)

    @property
    def own(self) -> frozenset[str]:
        """The category of the training example, or those of several."""
        told = [(row.get("category") or section(row, "meta").get("kind")) for row in self.examples]
        told += [] if any(told) else [section(self.summary, "example").get("kind")]
        return frozenset(str(name) for name in told if name)

    @property
    def curve_task(self) -> str:
        """The task with most evaluations; of equals the one that is compared."""
        return max(self.readings, key=lambda name: (len(self.readings[name]), name == self.task, name), default="")

    def counts(self) -> list[Counts]:
        """Right training samples of every step, from the history, else from the metrics and the configuration.

        None of the control arm that imitates recorded responses: they are the base model's, whatever was learned.
        """
        if self.control == IMITATES:
            return []
        if not self.visits:
            return counts_of(self.metrics, self.config)
        steps: dict[int, list[int]] = {}
        for row in self.visits:
            of_step = steps.setdefault(int(row["step"]), [0, 0])
            of_step[0] += int(row["successes"])
            of_step[1] += int(row["samples"])
        return [Counts(step, *steps[step]) for step in sorted(steps)]

    def variants(self) -> dict[str, str]:
        """Baselines of the compared task that were not trained: what it is -> its name in evals/, as `base+icl`.

        Of several prompts (all that there are to choose from are read on the dev set) the one with most right.
        """
        found: dict[str, tuple[float, str]] = {}
        for (task, checkpoint), told in self.results.items():
            kind = checkpoint.removeprefix(f"{BASE}+").split("-")[0]
            if task == self.task and checkpoint.startswith(f"{BASE}+") and kind in ("icl", "prompt"):
                found[kind] = max(found.get(kind, (-1.0, "")), (number(told.get("value")) or 0.0, checkpoint))
        return {kind: checkpoint for kind, (_, checkpoint) in found.items()}


def folder_of(run: RunFolder, config: Mapping[str, Any]) -> str:
    """A run as a word of a command line, as whoever made it would type it: `save.runs`/NAME, never a whole path.

    So an output that is passed on tells nothing of the machine, and is the same wherever it is made.
    """
    return shlex.quote(f"{section(config, 'save').get('runs') or 'runs'}/{run.path.resolve().name}")


def attempt(what: str, read: Callable[[], Found], empty: Found, missing: list[str]) -> Found:
    """What `read` gives; where that cannot be read `empty`, and a sentence in `missing`."""
    try:
        return read()
    except OneshotError as error:
        missing.append(f"{what}: {error.message}")
    except WRONG_FORM as error:
        missing.append(f"{what}: not of this version's form ({error!r}).")
    return empty


def read(run: RunFolder, task: str = "") -> RunFacts:
    """Read a run folder.

    Args:
        run: the folder.
        task: the evaluation to compare on. Empty: that of `compared.chosen`.
    """
    missing: list[str] = []
    config = attempt("config.json", run.config, dict[str, Any](), missing)
    summary = attempt("summary.json", run.summary, dict[str, Any](), missing)
    found = evaluated(run, missing)
    readings = readings_of(found)
    sizes = sizes_of(found, both(readings), lambda name: len({row.id for row in rows_of(run, name, BASE, missing)}))
    compared = _compared(readings, task, lambda: chosen(readings, sizes, summary, config), missing)
    base: Rows = ()
    trained: Rows = ()
    if compared:
        checkpoint = readings[compared][max(readings[compared])]
        base = rows_of(run, compared, BASE, missing)
        trained = rows_of(run, compared, checkpoint, missing) if base else ()
    return RunFacts(
        run=run,
        config=config,
        summary=summary,
        metrics=attempt("metrics.jsonl", lambda: _metrics(run), list[dict[str, Any]](), missing),
        events=attempt("events.jsonl", run.events, list[dict[str, Any]](), missing),
        examples=attempt("example.jsonl", run.example, list[dict[str, Any]](), missing),
        visits=attempt("history.jsonl", lambda: _visits(run), [], missing),
        readings=readings,
        results=found,
        task=compared,
        base=base if trained else (),
        trained=trained,
        missing=tuple(missing),
    )


def rows_of(run: RunFolder, task: str, checkpoint: str, missing: list[str], *, texts: bool = False) -> Rows:
    """The graded responses of an evaluation, without `texts` their grades alone; none, and a sentence, where absent."""
    path = run.eval_dir(task, checkpoint) / "samples.jsonl.gz"
    read = (lambda: run.read_eval(task, checkpoint)[1]) if texts else (lambda: eval_rows(_graded(path)))
    return attempt(f"the evaluation {task} of {checkpoint}", read, [], missing)


def _graded(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file, of 10^5 responses maybe, without what the model wrote; equal questions are kept once."""
    same: dict[str, str] = {}
    for row in streamed(path):
        meta = {key: value for key, value in row["meta"].items() if key != "forced_text"} if row.get("meta") else {}
        prompt = same.setdefault(row["prompt"], row["prompt"])
        yield row | {"response": "", "prompt": prompt, "meta": meta}


def _metrics(run: RunFolder) -> list[dict[str, Any]]:
    return metric_rows(files.read_lines(run.path / "metrics.jsonl"))


def _visits(run: RunFolder) -> Sequence[Mapping[str, Any]]:
    return History.load(run.history_path).rows() if run.history_path.is_file() else []


def _compared(readings: Readings, asked: str, choose: Callable[[], str], missing: list[str]) -> str:
    """The task to compare on; a sentence in `missing` where there is none."""
    there = both(readings)
    if asked and asked not in there:
        missing.append(f"{asked} was not evaluated with the base and with a trained model, so neither is compared.")
        return ""
    if not there:
        others = f" (there is {', '.join(sorted(readings))})." if readings else ": nothing was evaluated."
        missing.append(f"No evaluation holds both the base and a trained model{others}")
    return asked or choose()
