"""What a run was, for people who go on with verl: parquet data, a reward function, and a script for GRPO.

Names as in `verl/trainer/config` of its repository in 2026; verl itself was never run here. What of the run has no
counterpart for stands in the script as a comment, so that nobody takes the two for the same training.
"""

from __future__ import annotations

import inspect
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from oneshot.config.schema import Config
from oneshot.data.prompts import messages
from oneshot.types import Problem

TRAIN, VALIDATION, REWARD, SCRIPT = "train.parquet", "val.parquet", "reward.py", "train_grpo.sh"
WEIGHTINGS: Mapping[str, str] = {
    "token_mean": "token-mean",
    "sequence_mean": "seq-mean-token-mean",
    "per_row": "seq-mean-token-sum",
    "fixed_length": "seq-mean-token-sum-norm",
}
KLS: Mapping[str, str] = {"k3": "low_var_kl", "k2": "mse"}
GROUPED = ("grpo", "dr_grpo", "dapo")
"""Algorithms that are GRPO with other numbers; of the others the script keeps what they share with it."""
_OWN_WEIGHTING = {"dr_grpo": "fixed_length"}


def rows_of(problems: Sequence[Problem], config: Config, split: str) -> list[dict[str, Any]]:
    """One row a problem, in verl's columns; the prompt is the chat that the run rendered."""
    data, suffix = config.data, config.data.suffix if split == "train" else config.evals.suffix
    return [
        {
            "data_source": f"oneshot/{config.reward.name}",
            "prompt": messages(problem, suffix=suffix, system=data.system),
            "ability": "math",
            "reward_model": {"style": "rule", "ground_truth": problem.answer},
            "extra_info": {"split": split, "index": number, "id": problem.id, "category": problem.category},
        }
        for number, problem in enumerate(problems)
    ]


def repeated(rows: Sequence[dict[str, Any]], groups: int) -> list[dict[str, Any]]:
    """The rows as often as whole batches of `groups` need: verl drops an incomplete batch, and one row is none."""
    copies = groups // math.gcd(len(rows), groups)
    return list(rows) * copies


def write(folder: Path, problems: Sequence[Problem], held_out: Sequence[Problem], config: Config, model: str) -> None:
    """Fill `folder` with data, reward and script.

    Args:
        folder: is there, and empty.
        problems: what the run trained on.
        held_out: its dev set; empty: the training rows stand in for it.
        config: of the run.
        model: what verl is to start from, a folder or a Hub id.
    """
    training = repeated(rows_of(problems, config, "train"), config.rollout.groups)
    _parquet(folder / TRAIN, training)
    _parquet(folder / VALIDATION, rows_of(held_out or problems, config, "test"))
    (folder / REWARD).write_text(reward(config), "utf-8")
    (folder / SCRIPT).write_text(script(config, model, epochs=_epochs(config, len(training))), "utf-8")
    (folder / SCRIPT).chmod(0o755)


def _epochs(config: Config, rows: int) -> int:
    return math.ceil(config.optim.steps * config.rollout.groups / rows)


def _parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)


def reward(config: Config) -> str:
    """`reward.py`: the run's own grader behind verl's signature."""
    name = config.reward.name
    file, colon, function = name.rpartition(":")
    if colon and file.endswith(".py"):
        name = f"{Path(file).expanduser().resolve()}:{function}"
    return f'''"""The reward of the run, for verl. It needs: pip install --no-deps oneshot-rlvr && pip install mpmath"""

from functools import lru_cache

from oneshot.rewards.functions import build_verifier


@lru_cache(maxsize=1)
def grader():
    return build_verifier({name!r}, timeout={config.reward.timeout!r})


def compute_score(data_source, solution_str, ground_truth, extra_info=None, **other):
    verdict = grader()(solution_str, ground_truth)
    return float(verdict.correct) if verdict.score is None else float(verdict.score)
'''


def settings(config: Config, model: str, *, epochs: int) -> dict[str, Any]:
    """The settings under their names there, in its order; file names are those beside the script."""
    algorithm, rollout, optim = config.algorithm, config.rollout, config.optim
    low, high = clips(config)
    actor, ref = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    weighting = algorithm.weighting or _OWN_WEIGHTING.get(algorithm.name, "token_mean")
    found: dict[str, Any] = {
        "algorithm.adv_estimator": "grpo",
        "algorithm.norm_adv_by_std_in_grpo": algorithm.name != "dr_grpo",
        "algorithm.use_kl_in_reward": bool(algorithm.kl_in_reward),
        "algorithm.kl_ctrl.kl_coef": algorithm.kl_in_reward,
        "data.train_files": TRAIN,
        "data.val_files": VALIDATION,
        "data.train_batch_size": rollout.groups,
        "data.max_prompt_length": rollout.max_prompt_tokens,
        "data.max_response_length": rollout.max_new_tokens,
        "data.shuffle": False,
        "actor_rollout_ref.model.path": model,
        "actor_rollout_ref.model.lora_rank": config.model.lora_rank,
        f"{actor}.optim.lr": optim.lr,
        f"{actor}.optim.lr_warmup_steps": optim.warmup,
        f"{actor}.optim.weight_decay": optim.weight_decay,
        f"{actor}.grad_clip": optim.grad_clip or 1e9,
        f"{actor}.ppo_mini_batch_size": max(1, rollout.groups // algorithm.minibatches),
        f"{actor}.ppo_epochs": algorithm.updates,
        f"{actor}.use_dynamic_bsz": True,
        f"{actor}.ppo_max_token_len_per_gpu": max(
            optim.micro_tokens, rollout.max_prompt_tokens + rollout.max_new_tokens
        ),
        f"{actor}.clip_ratio_low": low,
        f"{actor}.clip_ratio_high": high,
        f"{actor}.loss_agg_mode": WEIGHTINGS[weighting],
        f"{actor}.use_kl_loss": bool(algorithm.kl),
        f"{actor}.kl_loss_coef": algorithm.kl,
        f"{actor}.kl_loss_type": KLS.get(algorithm.kl_kind or "k3", "low_var_kl"),
        f"{actor}.entropy_coeff": algorithm.entropy,
        f"{ref}.name": "vllm",
        f"{ref}.n": rollout.group_size,
        f"{ref}.temperature": rollout.temperature,
        f"{ref}.top_p": 1.0,
        f"{ref}.top_k": -1,
        f"{ref}.tensor_model_parallel_size": 1,
        "reward.custom_reward_function.path": REWARD,
        "reward.custom_reward_function.name": "compute_score",
        "trainer.total_epochs": epochs,
        "trainer.total_training_steps": optim.steps,
        "trainer.save_freq": config.save.every or optim.steps,
        "trainer.test_freq": config.evals.every or optim.steps,
        "trainer.project_name": "oneshot",
        "trainer.experiment_name": config.save.name or "oneshot",
    }
    if config.model.lora_rank:
        found["actor_rollout_ref.model.lora_alpha"] = config.model.lora_alpha or 2 * config.model.lora_rank
        found["actor_rollout_ref.model.target_modules"] = config.model.lora_targets
    return found


def clips(config: Config) -> tuple[float, float]:
    """(low, high) of the clipped ratio, as the run's options or the algorithm's defaults have them."""
    given = config.algorithm.options
    higher = 0.28 if config.algorithm.name == "dapo" else 0.2
    return float(given.get("clip_low", 0.2)), float(given.get("clip_high", higher))


Check = Callable[[Config], bool]
LEFT_OUT: Mapping[str, Check] = {
    "the algorithm is {c.algorithm.name} and not GRPO: its credit and its loss are not translated": (
        lambda c: c.algorithm.name not in GROUPED
    ),
    "the control arm {c.reward.control!r}: verl pays what reward.py says": lambda c: bool(c.reward.control),
    "answers corrupted in a share of {c.data.corrupt:g}: the rows are those trained on": lambda c: c.data.corrupt > 0,
    "the curriculum {c.data.curriculum!r}: rows are taken in turn": lambda c: c.data.curriculum != "in-turn",
    "the coefficient {c.algorithm.policy:g} of the policy loss": lambda c: c.algorithm.policy != 1,
    "the KL estimator {c.algorithm.kl_kind}": lambda c: bool(c.algorithm.kl_kind) and c.algorithm.kl_kind not in KLS,
    "the entropy schedule ({c.algorithm.entropy_schedule})": lambda c: c.algorithm.entropy_schedule != "constant",
    "algorithm.pooled": lambda c: c.algorithm.pooled,
    "algorithm.importance_cap {c.algorithm.importance_cap:g}": lambda c: c.algorithm.importance_cap > 0,
    "dynamic sampling (rollout.dynamic)": lambda c: c.rollout.dynamic,
    "the learning-rate schedule ({c.optim.schedule})": lambda c: c.optim.schedule != "constant",
    "Adam's betas {c.optim.beta1:g}, {c.optim.beta2:g} and epsilon {c.optim.eps:g}": (
        lambda c: (c.optim.beta1, c.optim.beta2, c.optim.eps) != (0.9, 0.999, 1e-8)
    ),
    "no limit on the gradient norm: the limit here is 1e9": lambda c: not c.optim.grad_clip,
    "mini-batches of unequal size": lambda c: bool(c.rollout.groups % c.algorithm.minibatches),
}
"""What has no counterpart -> whether the run has it."""
ALWAYS = (
    "the seed: verl draws its random numbers otherwise, so no response is the same",
    "the KL and entropy terms: verl weights them by loss_agg_mode, the run by the mean over all tokens of a step",
    "verl clips negative advantages once more, at ratio 3 (clip_ratio_c)",
    "weights and their copies: bfloat16 beside float32 there, as FSDP has it",
)


def left_out(config: Config) -> list[str]:
    """A sentence for each thing of the run that verl does otherwise or not at all."""
    return [text.format(c=config) for text, has in LEFT_OUT.items() if has(config)] + list(ALWAYS)


def script(config: Config, model: str, *, epochs: int) -> str:
    """The shell script."""
    head = f"""\
        #!/usr/bin/env bash
        # GRPO with the settings of the run, for verl (older ones have custom_reward_function without "reward.").
        # Written from the run's configuration and never run: read it before you start it.
        # {config.rollout.groups} groups x {config.rollout.group_size} = \
{config.rollout.groups * config.rollout.group_size} responses a step, {config.optim.steps} steps.
        #
        # Not translated, or not the same there:"""
    lines = [*inspect.cleandoc(head).split("\n"), *(f"#   - {text}" for text in map(_one_line, left_out(config)))]
    lines += ["", "set -euo pipefail", 'cd "$(dirname "$0")"', "", "python3 -m verl.trainer.main_ppo \\"]
    told = settings(config, model, epochs=epochs)
    lines += [f"    {key}={shlex.quote(_written(value))} \\" for key, value in told.items()]
    return "\n".join([*lines, '    trainer.n_gpus_per_node="${GPUS:-1}" trainer.nnodes="${NODES:-1}" "$@"']) + "\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _written(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)
