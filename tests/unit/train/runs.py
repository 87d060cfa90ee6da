"""A tiny training run on a real run folder, which a test can stop, continue and damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from oneshot.algos.algorithm import Algorithm, configured
from oneshot.algos.zoo import ALGORITHMS
from oneshot.history import History
from oneshot.record import RunFolder
from oneshot.rollout.native import NativeEngine
from oneshot.stages.loop import TrainParts, train
from oneshot.train.checkpoint import Checkpoints
from oneshot.train.curriculum.in_turn import InTurn
from oneshot.types import Problem, Sampling, Verdict
from tests.parts import grpo, learner_of, lowered, tiny_policy

PROBLEMS = [Problem(id="a", prompt="?", answer="even"), Problem(id="b", prompt="!", answer="even")]
PROMPTS = {"a": (5, 17, 40), "b": (9, 33, 8, 120)}


class Even:
    """Correct when the text has an even number of characters; its last character is the answer."""

    name = "even"

    def __call__(self, response: str, reference: str) -> Verdict:
        return Verdict(correct=len(response) % 2 == 0, extracted=response[-1:] or None, method="exact")


def new_run(folder: Path) -> RunFolder:
    run = RunFolder.create(folder, "tiny", {"seed": 0}, ["oneshot", "train"])
    run.start_attempt()
    return run


SHARED = {"kl": 0.01, "entropy": 0.001, "updates": 2}
PPO = {"lam": 0.9, "critic_lr": 1e-3, "value_clip": 0.002}
VARIANTS: dict[str, Algorithm] = {
    "grpo": grpo(**SHARED),
    "mini-batches": grpo(**SHARED, minibatches=3),
    "ppo, head": configured(ALGORITHMS.build("ppo", {"critic": "head", **PPO}), SHARED),
    "ppo, model": configured(ALGORITHMS.build("ppo", {"critic": "model", **PPO}), SHARED | {"minibatches": 2}),
}


def parts_of(
    run: RunFolder, *, steps: int, save_at: tuple[int, ...] = (), keep: int = 2, optimizer: bool = True,
    variant: str = "grpo", masters: bool = False, best: Callable[[int], int | None] = lambda step: None,
) -> TrainParts:  # fmt: skip
    """Everything made anew, as a new process would; saves when `save_at` steps are done."""
    policy = tiny_policy(eos=range(0, 260, 10))
    precise = lowered(policy) if masters else None
    algorithm = VARIANTS[variant]
    parts = TrainParts(
        steps=steps,
        group_size=4,
        micro_tokens=32,
        packed=True,
        engine=NativeEngine(policy),
        learner=learner_of(policy, algorithm, temperature=0.8, warmup=4, seed=11, masters=precise),
        algorithm=algorithm,
        curriculum=InTurn(PROBLEMS, 3),
        history=History(),
        render=lambda problem: PROMPTS[problem.id],
        verify=Even(),
        sampling=Sampling(temperature=0.8, max_new_tokens=6, seed=11),
        record=run,
        checkpoints=Checkpoints(run, keep=keep, optimizer=optimizer, best=best),
        on_step_end=lambda step, _: save(parts, step) if step in save_at else None,
    )
    return parts


def save(parts: TrainParts, step: int) -> Path:
    return parts.checkpoints.save(step, parts.learner, parts.curriculum, parts.history)


def restore(parts: TrainParts) -> int:
    return parts.checkpoints.restore(parts.learner, parts.curriculum, parts.history)


def trained(run: RunFolder, **options: Any) -> TrainParts:
    parts = parts_of(run, **options)
    train(parts)
    return parts


def weights(parts: TrainParts) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in parts.learner.policy.model.state_dict().items()}


def saved_weights(run: RunFolder, step: int) -> dict[str, torch.Tensor]:
    """Copies: the library maps the file into memory, which a test may be about to overwrite."""
    tensors = load_file(run.checkpoint_dir(step) / "model.safetensors")
    return {name: tensor.clone() for name, tensor in tensors.items()}


def untimed(run: RunFolder) -> list[dict[str, Any]]:
    """Recorded metrics without what a clock or an attempt decides."""
    return [
        {
            key: value
            for key, value in row.items()
            if not key.startswith("time") and key not in ("step_time", "grader/seconds", "attempt")
        }
        for row in run.metrics()
    ]


def assert_equal_moments(left: dict[str, Any], right: dict[str, Any]) -> None:
    """Two AdamW states agree to the bit."""
    assert left["param_groups"] == right["param_groups"]
    assert left["state"].keys() == right["state"].keys()
    for number, moments in left["state"].items():
        assert all(torch.equal(tensor, right["state"][number][key]) for key, tensor in moments.items())


def assert_equal_runs(
    one: RunFolder, one_parts: TrainParts, other: RunFolder, other_parts: TrainParts, step: int
) -> None:
    """Weights, moments, the critic, history, rollouts and metrics agree to the bit."""
    name = "model.safetensors"
    assert (other.checkpoint_dir(step) / name).read_bytes() == (one.checkpoint_dir(step) / name).read_bytes()
    left, right = (torch.load(run.last_state_dir / "optimizer.pt", weights_only=True) for run in (one, other))
    assert_equal_moments(left, right)
    assert (one_parts.learner.critic is None) == (not (one.last_state_dir / "critic.pt").exists())
    if one_parts.learner.critic is not None:
        left, right = (torch.load(run.last_state_dir / "critic.pt", weights_only=True) for run in (one, other))
        assert left["weights"].keys() == right["weights"].keys()
        assert all(torch.equal(tensor, right["weights"][key]) for key, tensor in left["weights"].items())
        assert_equal_moments(left["optimizer"], right["optimizer"])
    assert (one.last_state_dir / "state.json").read_bytes() == (other.last_state_dir / "state.json").read_bytes()
    assert one_parts.history.rows() == other_parts.history.rows()
    assert one.history_path.read_bytes() == other.history_path.read_bytes()
    assert untimed(one) == untimed(other)
    assert [one.rollouts(i) for i in one.rollout_steps()] == [other.rollouts(i) for i in other.rollout_steps()]
