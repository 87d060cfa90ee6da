"""What instruments and claims read of a run folder, each file once. What cannot be read is a sentence. No torch.

A run that died at step 0, one without evaluations and one of an earlier version are all read; what they lack is empty.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from oneshot._store import files, names
from oneshot.errors import OneshotError
from oneshot.history import History
from oneshot.record import RunFolder
from oneshot.rewards.controls import label
from oneshot.types import EvalRow

Rows = Sequence[EvalRow]
Found = TypeVar("Found")

BASE = "base"
IMITATES = "rft"
"""The control arm whose training samples are recorded responses of the base model."""
NOT_ITS_OWN = "The training samples of this control arm are recorded responses of the base model."
WRONG_FORM = (KeyError, TypeError, ValueError, AttributeError, OSError)
"""What reading a file of another version raises."""


class Counts(NamedTuple):
    """The training samples of one step: how many there were, and how many of them were right."""

    step: int
    successes: int
    samples: int


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
    readings: Mapping[str, Mapping[int, str]]
    """Task -> step -> checkpoint of its evaluations, by step; the base model is step 0."""
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
        known = {name: section(self.config, name) for name in ("reward", "data")}
        return attempt("", lambda: label(known), "", [])

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
        if self.visits:
            steps: dict[int, list[int]] = {}
            for row in self.visits:
                of_step = steps.setdefault(int(row["step"]), [0, 0])
                of_step[0] += int(row["successes"])
                of_step[1] += int(row["samples"])
            return [Counts(step, *steps[step]) for step in sorted(steps)]
        rollout = section(self.config, "rollout")
        usual = (number(rollout.get("groups")) or 0) * (number(rollout.get("group_size")) or 0)
        found = []
        for row in self.metrics:
            samples = int(number(row.get("rollout/responses")) or usual)
            share = number(row.get("train/accuracy"))
            if share is not None and samples:
                found.append(Counts(int(row["step"]), min(samples, max(0, round(share * samples))), samples))
        return found

    def variants(self) -> dict[str, str]:
        """Baselines of the compared task that were not trained: what it is -> its name in evals/, as `base+icl`."""
        try:
            evaluated = self.run.evals()
        except (OneshotError, *WRONG_FORM):
            return {}
        found = {}
        for task, checkpoint in evaluated:
            kind = checkpoint.removeprefix(f"{BASE}+").split("-")[0]
            if task == self.task and checkpoint.startswith(f"{BASE}+") and kind in ("icl", "prompt"):
                found[kind] = checkpoint
        return found


def number(value: object) -> float | None:
    """A finite number as it is; None for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def section(mapping: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of a configuration or summary; empty where it is absent or something else."""
    found = mapping.get(name)
    return found if isinstance(found, Mapping) else {}


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
        task: the evaluation to compare on. Empty: one with a base and a trained checkpoint, a test set (`...test`)
            before others, then the one with most problems.
    """
    missing: list[str] = []
    config = attempt("config.json", run.config, dict[str, Any](), missing)
    summary = attempt("summary.json", run.summary, dict[str, Any](), missing)
    readings = attempt("the list of evaluations", lambda: _readings(run), dict[str, dict[int, str]](), missing)
    compared = _compared(run, readings, task, missing)
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
        metrics=attempt("metrics.jsonl", run.metrics, list[dict[str, Any]](), missing),
        events=attempt("events.jsonl", run.events, list[dict[str, Any]](), missing),
        examples=attempt("example.jsonl", run.example, list[dict[str, Any]](), missing),
        visits=attempt("history.jsonl", lambda: _visits(run), [], missing),
        readings=readings,
        task=compared,
        base=base if trained else (),
        trained=trained,
        missing=tuple(missing),
    )


def rows_of(run: RunFolder, task: str, checkpoint: str, missing: list[str]) -> Rows:
    """The graded responses of an evaluation; none, and a sentence, where they cannot be read."""
    return attempt(f"the evaluation {task} of {checkpoint}", lambda: run.read_eval(task, checkpoint)[1], [], missing)


def results_of(run: RunFolder, task: str, checkpoint: str) -> Mapping[str, Any]:
    """`results.json` of an evaluation, without its responses; empty where it cannot be read."""
    return attempt("", lambda: files.read_json(run.eval_dir(task, checkpoint) / "results.json"), {}, [])


def _visits(run: RunFolder) -> Sequence[Mapping[str, Any]]:
    return History.load(run.history_path).rows() if run.history_path.is_file() else []


def _readings(run: RunFolder) -> dict[str, dict[int, str]]:
    found: dict[str, dict[int, str]] = {}
    for task, checkpoint in run.evals():
        step = 0 if checkpoint == BASE else names.checkpoint_number(checkpoint)
        if step >= 0:
            found.setdefault(task, {})[step] = checkpoint
    return {task: dict(sorted(steps.items())) for task, steps in found.items()}


def _compared(run: RunFolder, readings: Mapping[str, Mapping[int, str]], task: str, missing: list[str]) -> str:
    """The task to compare on; a sentence in `missing` where there is none."""
    both = {name for name, steps in readings.items() if steps.get(0) == BASE and len(steps) > 1}
    if task:
        if task in both:
            return task
        missing.append(f"{task} was not evaluated with the base and with a trained model, so neither is compared.")
        return ""
    if not both:
        missing.append(
            "No evaluation holds both the base and a trained model"
            + (": nothing was evaluated." if not readings else f" (there is {', '.join(sorted(readings))}).")
        )
        return ""

    def rank(name: str) -> tuple[bool, int, str]:
        problems = results_of(run, name, BASE).get("n")
        return name.endswith("test"), problems if isinstance(problems, int) else 0, name

    return max(both, key=rank)
