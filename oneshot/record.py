"""The run folder: the one place that knows its file names. Loads no torch.

    runs/1121-1405-pi1-7f3a/
      config.json  env.json  status.json  summary.json  example.jsonl  selection.jsonl  history.jsonl
      metrics.jsonl  events.jsonl  rollouts/step_000012.jsonl.gz
      drift.jsonl  drift_answers.jsonl  transfer_map.json
      checkpoints/{checkpoint-12, last_state, previous_state}/
      evals/<task>/<checkpoint>/{results.json, samples.jsonl.gz, partial.jsonl}  regrade/<grader>.json
      logs/attempt_1/{main.log, and what a later attempt did again: metrics.jsonl, rollouts/, ...}  report.html
      README.md (the draft of a model card)

Files are replaced atomically; `metrics.jsonl`, `events.jsonl` and `drift.jsonl` grow, until a resumed run cuts them
back to the step it continues from (`cut_back`). Metric values that are not finite are null. A model without a run has a
folder with `model.json` and `evals/` alone (`EvalFolder`).
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oneshot._store import files, names
from oneshot._store.attempts import Attempts
from oneshot._store.environment import describe_environment, redact
from oneshot._store.eval_folder import EvalFolder
from oneshot._store.evaluations import Evaluations
from oneshot._store.measurements import Measurements
from oneshot._store.other_folders import refuse_other
from oneshot._store.rows import groups_from_rows, last_attempts, rollout_rows
from oneshot._store.streams import streamed
from oneshot.errors import MachineError, UsageError
from oneshot.registry import nearest
from oneshot.types import Group, Problem

__all__ = ["PHASES", "STATES", "EvalFolder", "Evaluations", "RunFolder"]

STATES = ("running", "done", "stopped", "failed")
PHASES = ("starting", "preflight", "evaluating", "finishing")
"""What a running run does besides its steps; in a step its status names none of them."""


class RunFolder(Attempts, Evaluations, Measurements):
    """One run on disk. Make it with `create` or `open`; every write of a run goes through it."""

    @classmethod
    def create(cls, root: Path, slug: str, config: Mapping[str, Any], argv: Sequence[str]) -> RunFolder:
        """A new folder `MMDD-HHMM-slug-xxxx` under `root` with config, environment and status; credentials left out.

        Raises:
            UsageError: E104 when no new folder can be made there.
            MachineError: E202 when the disk is full; the folder is removed again.
        """
        path = names.new_folder(root, f"{time.strftime('%m%d-%H%M')}-{names.slug(slug)}")
        run = cls(path)
        try:
            run.write_json("env.json", describe_environment(argv))
            run.write_status(state="running", step=0)
            # Last, because a folder is a run folder from the moment that it has a config.json.
            run.write_json("config.json", redact(config))
        except MachineError:
            shutil.rmtree(path, ignore_errors=True)
            raise
        return run

    @classmethod
    def open(cls, ref: str, root: Path) -> RunFolder:
        """An existing run by path, by name inside `root`, or `latest` (the one created last).

        Raises:
            UsageError: E104 when there is no such run folder.
        """
        if ref == "latest":
            runs = [cls(path) for path in names.run_folders(root)]
            if not runs:
                raise UsageError(f"there is no run folder in {root}.", code="E104", tries=("oneshot demo",))
            return max(runs, key=lambda run: (run._created(), run.path.name))
        for path in (Path(ref), root / ref):
            if names.is_run(path):
                return cls(path)
        refuse_other(ref, root)
        hint = nearest(ref, [path.name for path in names.run_folders(root)])
        raise UsageError(
            f"there is no run {ref!r}, here or in {root}.{hint}", code="E104", tries=(f"oneshot ls --runs {root}",)
        )

    def _created(self) -> float:
        """Seconds since 1970; folder names carry no year and no seconds."""
        created = self.env().get("created")
        return float(created) if created else (self.path / "config.json").stat().st_mtime

    # Whole files

    def config(self) -> dict[str, Any]:
        """Every resolved value of the run."""
        return files.read_json(self.path / "config.json")

    def env(self) -> dict[str, Any]:
        """Versions, platform, argv, commit."""
        return files.read_json(self.path / "env.json")

    def status(self) -> dict[str, Any]:
        """`state`, `step`, `steps`, `eta` seconds, `updated`, `pid`, `host`; `phase` where it is none of the steps."""
        return files.read_json(self.path / "status.json")

    def summary(self) -> dict[str, Any]:
        """Results; empty until they are written."""
        return files.read_json(self.path / "summary.json")

    def write_json(self, name: str, obj: Any) -> None:
        """Write one JSON file of the folder atomically. `MachineError` E202 on a full disk."""
        files.write_bytes(self.path / name, files.dumps(obj, indent=2).encode() + b"\n")

    def write_text(self, name: str, text: str) -> None:
        """Write one UTF-8 file atomically; unpaired surrogates become `?`. `MachineError` E202 on a full disk."""
        files.write_bytes(self.path / name, text.encode("utf-8", "replace"))

    def write_status(
        self,
        *,
        state: str | None = None,
        step: int | None = None,
        steps: int | None = None,
        eta: float | None = None,
        phase: str = "",
    ) -> None:
        """Update `status.json`; what is not given stays, except that an old `eta` and an old `phase` are dropped."""
        assert state is None or state in STATES, state
        assert not phase or phase in PHASES, phase
        given = {"state": state, "step": step, "steps": steps, "phase": phase or None}
        kept = {key: value for key, value in self.status().items() if key != "phase"}
        status = kept | {key: value for key, value in given.items() if value is not None}
        here = {"pid": os.getpid(), "host": platform.node()}
        self.write_json("status.json", status | {"eta": eta, "updated": time.time(), **here})

    @contextmanager
    def doing(self, phase: str) -> Iterator[None]:
        """Inside, `status.json` names a phase. After an error it still does, until whoever ends the run writes it."""
        self.write_status(phase=phase)
        yield
        self.write_status()

    # What grows during the run

    def step(self, step: int, metrics: Mapping[str, float], groups: Sequence[Group]) -> None:
        """Record one step: its rollouts first, then one line of `metrics.jsonl`, so that a line implies its rollouts.

        Raises:
            MachineError: E202 when the disk is full; all earlier steps are intact.
        """
        files.write_bytes(self._rollout_path(step), files.gzipped(files.json_lines(rollout_rows(step, groups))))
        own = {"step": step, "time": time.time(), "attempt": self.attempt}
        files.append_line(self.path / "metrics.jsonl", own | dict(metrics) | own)

    def event(self, kind: str, **details: Any) -> None:
        """Append a warning, finding, resume, signal or save to `events.jsonl`."""
        own = {"time": time.time(), "attempt": self.attempt, "kind": kind}
        files.append_line(self.path / "events.jsonl", own | details | own)

    def metrics(self) -> list[dict[str, Any]]:
        """One row per step in step order; of a step recorded by several attempts, the last attempt's."""
        return last_attempts(files.read_lines(self.path / "metrics.jsonl"))

    def events(self) -> list[dict[str, Any]]:
        """All events in the order written."""
        return files.read_lines(self.path / "events.jsonl")

    def rollout_steps(self) -> list[int]:
        """Steps whose rollouts are recorded."""
        return names.numbers(self.path / "rollouts", names.ROLLOUT)

    def rollouts(self, step: int) -> list[dict[str, Any]]:
        """The responses of a step, one row each. `UsageError` E106 when they are absent or damaged."""
        return files.read_gzipped_lines(self._rollout_path(step))

    def each_rollout(self, step: int, every: int = 1) -> Iterator[dict[str, Any]]:
        """The same one by one, or every so many of them, without log-probabilities; no more than one is held."""
        return streamed(self._rollout_path(step), every)

    def read_groups(self, step: int) -> list[Group]:
        """The groups of a step as they were recorded (verdict times, which are not recorded, are 0)."""
        return groups_from_rows(self.rollouts(step))

    def _rollout_path(self, step: int) -> Path:
        return self.path / "rollouts" / names.rollout(step)

    # Beside the evaluations (`_store/evaluations.py`)

    def write_regrade(self, grader: str, body: Mapping[str, Any]) -> Path:
        """Write what another grader says of the recorded responses; returns the file. `MachineError` E202."""
        name = f"regrade/{names.file_name(grader)}.json"
        self.write_json(name, body)
        return self.path / name

    # Example, selection, history, checkpoints

    def write_example(self, problems: Sequence[Problem], extra: Mapping[str, Any] | None = None) -> None:
        """The training example(s), each with the same `extra` keys (provenance, base rate)."""
        rows = [files.plain(problem) | dict(extra or {}) for problem in problems]
        files.write_bytes(self.path / "example.jsonl", files.json_lines(rows))

    def example(self) -> list[dict[str, Any]]:
        """What `write_example` wrote; empty before."""
        return files.read_lines(self.path / "example.jsonl")

    def write_selection(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """The probed candidates, one row each."""
        files.write_bytes(self.path / "selection.jsonl", files.json_lines(rows))

    def selection(self) -> list[dict[str, Any]]:
        """What `write_selection` wrote; empty before."""
        return files.read_lines(self.path / "selection.jsonl")

    @property
    def history_path(self) -> Path:
        """Where `History.save` writes."""
        return self.path / "history.jsonl"

    @property
    def checkpoints_dir(self) -> Path:
        """Parent of all checkpoints."""
        return self.path / "checkpoints"

    @property
    def last_state_dir(self) -> Path:
        """The optimiser state that the run continues from."""
        return self.checkpoints_dir / "last_state"

    @property
    def previous_state_dir(self) -> Path:
        """The state saved before it, for the case that the last one is damaged."""
        return self.checkpoints_dir / "previous_state"

    def checkpoint_dir(self, step: int) -> Path:
        """The plain Hugging Face folder of a step; it may not exist."""
        return self.checkpoints_dir / f"checkpoint-{step}"

    def checkpoints(self) -> list[int]:
        """Steps that have a checkpoint, ascending."""
        return names.numbers(self.checkpoints_dir, names.CHECKPOINT)
