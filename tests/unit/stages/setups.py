"""A whole `Setup` around a tiny random model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from oneshot.config.schema import Config, ModelConfig, OptimConfig, RolloutConfig
from oneshot.stages.setup import Setup, load_setup, resolve_names
from oneshot.types import Problem, Verdict
from tests.tiny import save_tiny

QUESTION = Problem(id="sum", prompt="What is 2 + 3?", answer="5")


def tiny_setup(folder: Path, **changes: object) -> Setup:
    """The setup of a short run: 2 groups of 4 responses of at most 8 tokens; sections may be given whole."""
    if not (folder / "config.json").is_file():
        save_tiny(folder)
    short = RolloutConfig(groups=2, group_size=4, max_new_tokens=8)
    base = Config(model=ModelConfig(name=str(folder), threads=1), rollout=short, optim=OptimConfig(steps=3))
    config = replace(base, **changes)  # type: ignore[arg-type]
    return load_setup(config, resolve_names(config), offline=True)


def graded_by(setup: Setup, right: Callable[[str], bool]) -> Setup:
    """The same with a verifier that decides by the response alone."""
    return replace(setup, names=replace(setup.names, verify=Scripted(right)))


class Scripted:
    """Right or wrong as it is told."""

    name = "scripted"

    def __init__(self, right: Callable[[str], bool]) -> None:
        self.right = right

    def __call__(self, response: str, reference: str) -> Verdict:
        return Verdict(correct=self.right(response), extracted="5", method="scripted")
