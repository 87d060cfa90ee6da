"""What an evaluation measures, a bare model or the checkpoints of a run, and where its results go. Loads no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from oneshot._store import names
from oneshot.config.load import from_dict
from oneshot.config.origins import show, value_of
from oneshot.config.request import Request
from oneshot.config.schema import Config
from oneshot.errors import UsageError
from oneshot.record import EvalFolder, Evaluations, RunFolder
from oneshot.stages.evals.best import best_checkpoint, dev_task, not_kept
from oneshot.stages.evals.flags import ALL, BEST, LAST, Flags
from oneshot.stages.evals.model_files import fingerprint
from oneshot.stages.evals.tasks import SOURCE, TASKS
from oneshot.types import Problem

BASE = "base"
"""The model before training; of a bare model, the model itself."""
FREE = ("save.runs", "model.threads", "reward.timeout", "rollout.max_prompt_tokens")
"""Settings that change no result, so that a run may be measured with others than its own."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A model or a run, with the configuration that it is measured under."""

    name: str
    """The model's name or the run's path."""
    config: Config
    folder: Path
    """Where results are kept."""
    store: Callable[[], Evaluations]
    """The same, opened; of a bare model it is made by the first call."""
    models: Mapping[str, str]
    """Name of a checkpoint in evals/ -> its folder; an empty text stands for the configured model."""
    run: RunFolder | None = None
    stored: Config | None = None
    """The run's own configuration."""
    kind: str = ""
    """The kind of the run's example, in the built-in task."""
    chooser: str = ""
    """The dev set in evals/ by which the headline checkpoint was chosen; empty where none was."""
    note: str = ""
    """What to say of the choice."""

    @property
    def headline(self) -> str:
        """The checkpoint that the values of a task are about: the last one measured."""
        return list(self.models)[-1]

    def chosen(self, problems: Sequence[Problem]) -> dict[str, Any] | None:
        """Whether the headline checkpoint was chosen by some of these problems: the dev set, and how many it shares.

        Told by the questions, so that a copy of the dev set under another name is found too.
        """
        if not (self.run and self.chooser):
            return None
        asked = {row.prompt for row in self.run.read_eval(self.chooser, self.headline)[1]}
        shared = sum(problem.prompt in asked for problem in problems)
        told = {"dev": self.chooser, "checkpoint": self.headline, "problems": shared, "of": len(problems)}
        return told if shared else None


def find(flags: Flags, request: Request) -> Target:
    """The target of a request.

    Raises:
        UsageError: E104 a run without a checkpoint, no such run, a folder of results; E105 a flag that does not fit.
    """
    runs = Path(request.config.save.runs)
    run = _run(flags.target, runs)
    if run is not None:
        return _of_run(run, flags, request)
    if flags.checkpoints != LAST:
        raise UsageError(
            f"--checkpoints {flags.checkpoints} is for a run, and {flags.target} is a model.",
            code="E105",
            tries=("oneshot eval RUN --checkpoints all", f"oneshot eval {flags.target} --tasks TASK"),
        )
    if EvalFolder.find(Path(flags.target)) is not None:
        raise UsageError(
            f"{flags.target} is a folder of results and not a model.",
            code="E104",
            tries=(f"oneshot compare {flags.target} ANOTHER", "oneshot eval MODEL --tasks TASK"),
        )
    config = replace(request.config, model=replace(request.config.model, name=flags.target))
    identity = identity_of(config)
    folder = Path(flags.out).expanduser() if flags.out else runs / folder_name(flags.target)
    return Target(
        name=flags.target,
        config=config,
        folder=folder,
        store=lambda: EvalFolder.open(folder, identity),
        models={BASE: ""},
    )


def _run(target: str, runs: Path) -> RunFolder | None:
    """The run folder that `target` names, None when it names a model."""
    if target == "latest" or (Path(target) / "status.json").is_file() or (runs / target / "status.json").is_file():
        return RunFolder.open(target, runs)
    return None


def _of_run(run: RunFolder, flags: Flags, request: Request) -> Target:
    if flags.out:
        raise UsageError(
            f"the results of a run are kept in the run itself, in {run.path / 'evals'}.",
            code="E105",
            tries=(f"oneshot eval {run.path}   (without --out)", f"oneshot eval {_last(run)} --out {flags.out}"),
        )
    done = run.checkpoints()
    if not done:
        raise UsageError(
            f"{run.path} has no checkpoint yet.", code="E104", tries=(f"oneshot train --resume {run.path}",)
        )
    steps = {LAST: lambda: done[-1:], BEST: lambda: [best_checkpoint(run)], ALL: lambda: done}[flags.checkpoints]()
    stored = from_dict(run.config(), where=str(run.path / "config.json"))
    return Target(
        name=str(run.path),
        config=_as_trained(run, stored, request),
        folder=run.path,
        store=lambda: run,
        models={BASE: "", **{f"checkpoint-{step}": str(run.checkpoint_dir(step)) for step in steps}},
        run=run,
        stored=stored,
        chooser=dev_task(stored) if flags.checkpoints == BEST else "",
        note=not_kept(run) if flags.checkpoints == BEST else "",
        kind=next((str(row["meta"].get("kind", "")) for row in run.example()), ""),
    )


def _as_trained(run: RunFolder, stored: Config, request: Request) -> Config:
    """The run's configuration, with the evaluation settings given now (its own limit is for inside the run).

    Raises:
        UsageError: E105 when something else is given that the run did otherwise.
    """
    evals: dict[str, Any] = {"limit": 0}
    for key in filter(request.given, request.origins):
        section, _, name = key.partition(".")
        before, now = value_of(stored, key), value_of(request.config, key)
        if section == "evals":
            evals[name] = now
        elif before != now and key not in FREE:
            raise UsageError(
                f"{key} was {show(before)} in {run.path.name} and cannot be {show(now)} here: a run is measured as it "
                "was trained, but for --evals.",
                code="E105",
                tries=("--evals.grader NAME   (to grade otherwise)", f"oneshot eval {_last(run)} {_problems(request)}"),
            )
    threads = request.config.model.threads or stored.model.threads
    limit = (request.config if request.given("reward.timeout") else stored).reward.timeout
    prompts = (request.config if request.given("rollout.max_prompt_tokens") else stored).rollout.max_prompt_tokens
    return replace(
        stored,
        evals=replace(stored.evals, **evals),
        model=replace(stored.model, threads=threads),
        reward=replace(stored.reward, timeout=limit),
        rollout=replace(stored.rollout, max_prompt_tokens=prompts),
    )


def _problems(request: Request) -> str:
    """How the command names its problems, for a line to paste."""
    if request.given(TASKS):
        return f"--tasks {request.config.evals.tasks}"
    return f"--data {request.config.evals.source}" if request.given(SOURCE) else "--data FILE"


def pasted(line: str, request: Request) -> str:
    """A `try:` line that names another `--model`, as `oneshot eval` takes it: the model is no flag of it."""
    name, space, rest = line.removeprefix("--model ").partition(" ")
    return f"oneshot eval {name} {_problems(request)}{space}{rest}" if line.startswith("--model ") else line


def _last(run: RunFolder) -> str:
    return str(run.checkpoint_dir(max(run.checkpoints(), default=0)))


def identity_of(config: Config) -> dict[str, str]:
    """What makes a model the same one: its name, revision and dtype; of a local folder where it is and its weights."""
    name = config.model.name
    told = {"model": name, "revision": config.model.revision, "dtype": config.model.dtype}
    if not Path(name).is_dir():
        return told
    return told | {"model": str(Path(name).resolve()), "weights": fingerprint(Path(name))}


def folder_name(model: str) -> str:
    """`eval-smollm2-135m`; of a local folder with four hex digits of where it is, since folders share names."""
    if not Path(model).is_dir():
        return f"eval-{names.slug(model)}"
    where = hashlib.sha256(str(Path(model).resolve()).encode()).hexdigest()[:4]
    return f"eval-{names.slug(Path(model).resolve().name)}-{where}"
