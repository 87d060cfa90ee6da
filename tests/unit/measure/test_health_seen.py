"""The command of a run with one setting changed: what set it before goes, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshot.measure.findings import Machine
from oneshot.measure.health_seen import again, looked_at
from tests.unit.measure.health_runs import make


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["--example", "num_generations=8", "rollout.n=8"], ["--example", "num_generations=8"]),
        (["--example", "rollout.n=8", "--allow-unsolved"], ["--example", "rollout.n=8", "--allow-unsolved"]),
        (["--yes", "rollout.n=8", "--rollout.dynamic"], ["--yes", "--rollout.dynamic"]),
        (["--rollout.dynamic", "rollout.n=8"], ["--rollout.dynamic"]),
        (["--rollout.dynamic", "true", "--num-generations=8"], ["--rollout.dynamic", "true"]),
        (["-c", "rollout.n=8", "-y", "rollout.n=8"], ["-c", "rollout.n=8", "-y"]),
        (["--algorithm.clip-low", "0.2", "--data.index", "-1"], ["--algorithm.clip-low", "0.2", "--data.index", "-1"]),
    ],
)
def test_a_value_that_looks_like_a_setting_stays(tmp_path: Path, given: list[str], kept: list[str]) -> None:
    seen, _ = looked_at(make(tmp_path, argv=["train", *given]), Machine(now=0.0))
    line = " ".join(["oneshot train", *kept, "--rollout.group-size", "16"])
    assert again(seen, "rollout.group_size", "16") == line


def test_a_short_flag_is_the_setting_too(tmp_path: Path) -> None:
    seen, _ = looked_at(make(tmp_path, argv=["train", "--steps", "8", "--seed", "1"]), Machine(now=0.0))
    assert again(seen, "optim.steps", "16") == "oneshot train --seed 1 --optim.steps 16"
