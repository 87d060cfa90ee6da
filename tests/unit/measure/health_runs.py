"""Run folders for the health rules: a healthy run on one example, changed where a test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from oneshot.measure import health
from oneshot.measure.findings import Finding, Machine
from oneshot.measure.heartbeat import Process
from oneshot.record import RunFolder
from oneshot.types import EvalRow, Problem

CONFIG: dict[str, Any] = {
    "model": {"name": "tiny"},
    "data": {"source": "one.jsonl"},
    "reward": {"name": "number", "control": ""},
    "algorithm": {"name": "grpo", "entropy": 0.002},
    "rollout": {"groups": 4, "group_size": 8, "max_new_tokens": 64},
    "optim": {"steps": 20, "lr": 1e-5},
    "evals": {"source": "dev.jsonl", "every": 0},
    "seed": 0,
}
ARGV = ["train", "--data", "one file.jsonl", "--answer", "5"]
HEALTHY = {
    "train/accuracy": 0.5, "frac_reward_zero_std": 0.0, "signal": 1.0, "entropy": 0.6, "found": 0.9, "kl": 0.01,
    "completions/mean_length": 30.0, "completions/clipped_ratio": 0.05, "mismatch/logprob": 1e-6, "dropped": 0.0,
    "grader/undecided": 0.0, "grader/timeout": 0.0, "grader/memory": 0.0, "grader/error": 0.0, "step_time": 2.0,
}  # fmt: skip

Curve = Callable[[int], Mapping[str, Any]]


def make(
    root: Path,
    curve: Curve = lambda step: {},
    *,
    steps: int = 20,
    state: str = "done",
    examples: int = 1,
    argv: Sequence[str] = ARGV,
    **changed: Mapping[str, Any],
) -> RunFolder:
    """`steps` steps, each `HEALTHY` with what `curve(step)` changes; `changed` are sections of the configuration."""
    config = {
        name: {**part, **changed.get(name, {})} if isinstance(part, dict) else part for name, part in CONFIG.items()
    }
    run = RunFolder.create(root, "made", config, argv)
    run.start_attempt()
    run.write_example([Problem(id=f"e{i}", prompt="2+3?", answer="5") for i in range(examples)])
    for step in range(steps):
        run.step(step, {**HEALTHY, **curve(step)}, [])
    run.write_status(state=state, step=steps, steps=config["optim"]["steps"])
    return run


def rows(right: int, of: int) -> list[EvalRow]:
    """`of` problems, the first `right` of them solved."""
    return [
        EvalRow(
            id=str(i), category="", prompt=f"{i}?", answer="1", response="1", extracted="1", correct=i < right,
            status="ok", cut=False, tokens=1,
        )
        for i in range(of)
    ]  # fmt: skip


def examined(run: RunFolder, **machine: Any) -> list[Finding]:
    """All findings, looked at one second after the run last wrote."""
    updated = run.status().get("updated", 0.0)
    given = {"now": updated + 1.0, "process": Process(alive=True, here=True), "free": 2**40, **machine}
    return health.examine(run, Machine(**given))


def one(run: RunFolder, rule: str, **machine: Any) -> Finding:
    """The only finding of a rule."""
    (found,) = [finding for finding in examined(run, **machine) if finding.rule == rule]
    return found
