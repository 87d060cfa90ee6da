"""Stand-ins for the tracking packages: modules put into `sys.modules` that remember what they were told."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

Metrics = dict[str, float]


@dataclass
class Seen:
    """What one package got: how it was opened, the steps in order, the summary, how it was closed."""

    opened: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    logged: list[tuple[int, Metrics]] = field(default_factory=list)
    summary: Metrics = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    logins: int = 0

    @property
    def steps(self) -> list[int]:
        return [step for step, _ in self.logged]


def _put(monkeypatch: pytest.MonkeyPatch, name: str, **contents: Any) -> None:
    module = ModuleType(name)
    for key, value in contents.items():
        setattr(module, key, value)
    monkeypatch.setitem(sys.modules, name, module)


def trackio(monkeypatch: pytest.MonkeyPatch) -> Seen:
    seen = Seen()

    def log(metrics: Metrics, step: int) -> None:
        if any(key.startswith("summary/") for key in metrics):
            seen.summary = metrics
        else:
            seen.logged.append((step, metrics))

    def init(*, config: dict[str, Any] | None = None, **how: Any) -> Any:
        print("* Trackio project initialized")  # as the real one does, on stdout
        seen.opened.append(how)
        seen.config = config or {}  # it replaces what it had, also when a run is resumed
        return SimpleNamespace(log=log, finish=lambda: seen.closed.append("finish"))

    _put(monkeypatch, "trackio", init=init)
    return seen


def wandb(monkeypatch: pytest.MonkeyPatch, *, key: bool = True) -> Seen:
    seen = Seen()

    def login(*, prompt: bool) -> bool:
        assert not prompt
        seen.logins += 1
        return key

    def init(*, config: dict[str, Any] | None, settings: Any, **how: Any) -> Any:
        seen.opened.append({**how, "settings": settings})
        seen.config |= config or {}
        return SimpleNamespace(
            log=lambda metrics, step: seen.logged.append((step, metrics)),
            summary=seen.summary,
            finish=lambda: seen.closed.append("finish"),
        )

    _put(monkeypatch, "wandb", init=init, login=login, Settings=lambda **values: values)
    return seen


def tensorboard(monkeypatch: pytest.MonkeyPatch) -> Seen:
    seen = Seen()

    class SummaryWriter:
        def __init__(self, **how: Any) -> None:
            seen.opened.append(how)
            self.open: tuple[int, Metrics] | None = None

        def add_scalar(self, name: str, value: float, step: int) -> None:
            if self.open is None or self.open[0] != step:
                self.open = (step, {})
                seen.logged.append(self.open)
            self.open[1][name] = value

        def add_text(self, tag: str, text: str, step: int) -> None:
            cells = [line[2:-2].split(" | ", 1) for line in text.splitlines()[2:]]
            if tag == "config":
                seen.config |= dict(cells)
            else:
                seen.summary |= {key: float(value) for key, value in cells}

        def flush(self) -> None:
            pass

        def close(self) -> None:
            seen.closed.append("close")

    _put(monkeypatch, "torch.utils.tensorboard", SummaryWriter=SummaryWriter)
    return seen


def mlflow(monkeypatch: pytest.MonkeyPatch) -> Seen:
    seen = Seen()

    def start_run(**how: Any) -> Any:
        seen.opened.append(how)
        return SimpleNamespace(info=SimpleNamespace(run_id=how.get("run_id", "abc123")))

    def log_params(params: dict[str, str]) -> None:
        assert len(params) <= 100
        seen.config |= params

    def log_metrics(metrics: Metrics, step: int) -> None:
        if any(key.startswith("summary/") for key in metrics):
            seen.summary |= metrics
        else:
            seen.logged.append((step, metrics))

    _put(
        monkeypatch,
        "mlflow",
        set_tracking_uri=lambda uri: seen.opened.append({"uri": uri}),
        set_experiment=lambda name: seen.opened.append({"experiment": name}),
        start_run=start_run,
        log_params=log_params,
        log_metrics=log_metrics,
        end_run=seen.closed.append,
    )
    return seen


FAKES = {"trackio": trackio, "wandb": wandb, "tensorboard": tensorboard, "mlflow": mlflow}
