"""One small class for each experiment tracker. The package is imported when its tracker is opened, not before.

None of them asks for an account: W&B writes to the run folder unless WANDB_API_KEY or WANDB_MODE is set, MLflow to a
SQLite file unless MLFLOW_TRACKING_URI is set, Trackio to its own local store, TensorBoard to the run folder.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from oneshot.config.environment import tracks_elsewhere, wandb_mode
from oneshot.errors import MachineError, UsageError

PROJECT = "oneshot"
"""Project, or experiment, of every run."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What a tracker is opened with."""

    name: str
    """The run's name: its folder's."""
    folder: Path
    """The run folder."""
    id: str
    """The tracker's own run, when an earlier attempt made one; "" for a new one."""
    first_step: int
    """Nothing below this step will be sent."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Every setting by its dotted key."""
    offline: bool = False
    """Open no socket, whatever the environment says."""


class Tracker(Protocol):
    """One open run of one tracker."""

    id: str
    """What finds this run again after a resume."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """The metrics of one step."""
        ...

    def finish(self, step: int, summary: Mapping[str, float]) -> None:
        """Close; `summary` is empty when the run did not come to its end."""
        ...


class Trackio:
    """Trackio: a local SQLite store, shown by `trackio show`."""

    def __init__(self, given: Opening) -> None:
        trackio = package("trackio")
        if given.offline and tracks_elsewhere("trackio"):
            raise UsageError(
                "TRACKIO_SPACE_ID or TRACKIO_SERVER_URL names a server, and --offline opens no socket.", code="E105"
            )
        self.id = given.id or given.name
        self.run = trackio.init(
            project=PROJECT,
            name=self.id,  # it finds a run again by its name
            resume="allow",
            config=dict(given.config),  # every time: a resumed run without one would lose it
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Queue one step."""
        self.run.log(dict(metrics), step=step)

    def finish(self, step: int, summary: Mapping[str, float]) -> None:
        """The summary as one more row of the last step: Trackio has no other place for it."""
        if summary:
            self.run.log(dict(summary), step=step)
        self.run.finish()


class Wandb:
    """Weights & Biases: in the run folder, for `wandb sync`, unless the environment names an account or a mode."""

    def __init__(self, given: Opening) -> None:
        wandb = package("wandb")
        mode = wandb_mode()
        if mode not in ("offline", "disabled") and (given.offline or not wandb.login(prompt=False)):
            mode = "offline"  # an account was meant, but no key is there: never ask for one
        self.id = given.id or given.name
        self.run = wandb.init(
            project=PROJECT,
            id=self.id,
            name=given.name,
            resume="allow",
            dir=str(given.folder),
            config=None if given.id else dict(given.config),
            mode=mode,
            settings=wandb.Settings(console="off", silent=True, disable_git=True, disable_code=True),
        )

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Queue one step."""
        self.run.log(dict(metrics), step=step)

    def finish(self, step: int, summary: Mapping[str, float]) -> None:
        """Summary, then close."""
        self.run.summary.update(dict(summary))
        self.run.finish()


class TensorBoard:
    """TensorBoard: event files in the run folder, for `tensorboard --logdir RUN`."""

    def __init__(self, given: Opening) -> None:
        board = package("torch.utils.tensorboard", needs="tensorboard")
        self.id = given.id or "tensorboard"
        # What an attempt that was killed wrote beyond this step is not shown.
        purge = {"purge_step": given.first_step} if given.id else {}
        self.writer = board.SummaryWriter(log_dir=str(given.folder / self.id), **purge)
        if not given.id:
            self.writer.add_text("config", _table(given.config), 0)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """One scalar a metric."""
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def finish(self, step: int, summary: Mapping[str, float]) -> None:
        """The summary as a table, then close."""
        if summary:
            self.writer.add_text("summary", _table(summary), step)
        self.writer.close()


class MLflow:
    """MLflow: a SQLite file beside the run folder (it refuses plain files now), unless MLFLOW_TRACKING_URI is set."""

    MOST = 100
    """Parameters it takes at once."""
    LONGEST = 500
    """Characters of a parameter's value that every version takes."""

    def __init__(self, given: Opening) -> None:
        self.mlflow = mlflow = package("mlflow")
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        if given.offline or not tracks_elsewhere("mlflow"):
            mlflow.set_tracking_uri(f"sqlite:///{(given.folder.parent / 'mlflow.db').absolute()}")
        mlflow.set_experiment(PROJECT)
        named = {"run_id": given.id} if given.id else {"run_name": given.name}
        self.id = str(mlflow.start_run(**named, log_system_metrics=False).info.run_id)
        new = {} if given.id else given.config  # a parameter cannot change, and --steps may have
        rows = [(key, str(value)[: self.LONGEST]) for key, value in new.items()]
        for start in range(0, len(rows), self.MOST):
            mlflow.log_params(dict(rows[start : start + self.MOST]))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """One call a step."""
        self.mlflow.log_metrics(dict(metrics), step=step)

    def finish(self, step: int, summary: Mapping[str, float]) -> None:
        """Summary, then close; a run without one is marked as killed, so that a resume reopens it."""
        if summary:
            self.mlflow.log_metrics(dict(summary), step=step)
        self.mlflow.end_run("FINISHED" if summary else "KILLED")


TRACKERS: Mapping[str, Callable[[Opening], Tracker]] = {
    "trackio": Trackio,
    "wandb": Wandb,
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
}
"""Every tracker by the name that `--track` takes."""


def package(module: str, *, needs: str = "") -> Any:
    """A tracker's module, or `MachineError` E204 with the line that installs it."""
    name = needs or module
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MachineError(
            f"--track {name} needs the package {name!r}: {error}",
            code="E204",
            tries=(f"pip install 'oneshot-rlvr[{name}]'", "the same command without --track   (metrics.jsonl has all)"),
            kept="Nothing was trained.",
        ) from error


def _table(values: Mapping[str, Any]) -> str:
    """A Markdown table; cells cannot end it early."""
    rows = [f"| {key} | {_cell(value)} |" for key, value in values.items()]
    return "\n".join(["| | |", "| --- | --- |", *rows])


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
