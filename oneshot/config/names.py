"""Every dotted key, what other tools call it, and the nearest one to a misspelt key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import get_type_hints

from oneshot.config.schema import Config

OPEN = ("options", "curriculum_options")
"""Fields that hold a plug-in's own keywords, whose names and types it checks itself."""


def _keys() -> dict[str, type]:
    """Dotted key -> str, int, float or bool, in the order of the schema; tables of own keywords are no keys."""
    found: dict[str, type] = {}
    for name, section in get_type_hints(Config).items():
        if not is_dataclass(section):
            found[name] = section
            continue
        hints = get_type_hints(section)
        found.update({f"{name}.{f.name}": hints[f.name] for f in fields(section) if f.name not in OPEN})
    return found


KEYS: Mapping[str, type] = _keys()
SECTIONS: tuple[str, ...] = tuple(dict.fromkeys(key.split(".")[0] for key in KEYS if "." in key))

SHORT: Mapping[str, str] = {
    "model": "model.name",
    "data": "data.source",
    "example": "data.example",
    "answer": "data.answer",
    "reward": "reward.name",
    "control": "reward.control",
    "corrupt": "data.corrupt",
    "algorithm": "algorithm.name",
    "curriculum": "data.curriculum",
    "steps": "optim.steps",
    "seed": "seed",
    "task-seed": "data.task_seed",
    "allow-unsolved": "data.allow_unsolved",
    "name": "save.name",
    "out": "save.runs",
    "track": "save.track",
}
"""Short flag -> the setting it stands for, on the command line."""

TRUTH = ("true", "false", "yes", "no", "on", "off", "1", "0")
"""What a switch takes as its value on the command line; any other word is none."""

ALIASES: Mapping[str, str] = {
    # TRL: GRPOConfig and TrainingArguments
    "model_name_or_path": "model.name",
    "model_revision": "model.revision",
    "torch_dtype": "model.dtype",
    "dataset_name": "data.source",
    "learning_rate": "optim.lr",
    "weight_decay": "optim.weight_decay",
    "warmup_steps": "optim.warmup",
    "adam_beta1": "optim.beta1",
    "adam_beta2": "optim.beta2",
    "adam_epsilon": "optim.eps",
    "max_grad_norm": "optim.grad_clip",
    "max_steps": "optim.steps",
    "num_generations": "rollout.group_size",
    "temperature": "rollout.temperature",
    "max_prompt_length": "rollout.max_prompt_tokens",
    "max_completion_length": "rollout.max_new_tokens",
    "num_iterations": "algorithm.updates",
    "lora_r": "model.lora_rank",
    "lora_alpha": "model.lora_alpha",
    "lora_target_modules": "model.lora_targets",
    "beta": "algorithm.kl",
    "entropy_coef": "algorithm.entropy",
    "eval_steps": "evals.every",
    "save_steps": "save.every",
    "save_total_limit": "save.keep",
    "output_dir": "save.runs",
    "run_name": "save.name",
    # verl
    "actor_rollout_ref.model.path": "model.name",
    "actor_rollout_ref.model.lora_rank": "model.lora_rank",
    "actor_rollout_ref.model.lora_alpha": "model.lora_alpha",
    "actor_rollout_ref.model.target_modules": "model.lora_targets",
    "actor_rollout_ref.actor.optim.lr": "optim.lr",
    "actor_rollout_ref.actor.optim.weight_decay": "optim.weight_decay",
    "actor_rollout_ref.actor.optim.lr_warmup_steps": "optim.warmup",
    "actor_rollout_ref.actor.grad_clip": "optim.grad_clip",
    "actor_rollout_ref.actor.ppo_max_token_len_per_gpu": "optim.micro_tokens",
    "actor_rollout_ref.actor.kl_loss_coef": "algorithm.kl",
    "actor_rollout_ref.actor.entropy_coeff": "algorithm.entropy",
    "actor_rollout_ref.rollout.n": "rollout.group_size",
    "actor_rollout_ref.rollout.temperature": "rollout.temperature",
    "rollout.n": "rollout.group_size",
    "actor_rollout_ref.actor.pg_loss_coeff": "algorithm.policy",
    "algorithm.adv_estimator": "algorithm.name",
    "algorithm.kl_ctrl.kl_coef": "algorithm.kl_in_reward",
    "data.train_files": "data.source",
    "data.train_batch_size": "rollout.groups",
    "data.max_prompt_length": "rollout.max_prompt_tokens",
    "data.max_response_length": "rollout.max_new_tokens",
    "data.val_files": "evals.source",
    "trainer.total_training_steps": "optim.steps",
    "trainer.save_freq": "save.every",
    "trainer.test_freq": "evals.every",
    "trainer.default_local_dir": "save.runs",
    "trainer.experiment_name": "save.name",
}
"""Names of TRL and verl -> ours, where the value means the same. `HINTS` has those whose values differ
(`loss_type`, `kl_loss_type`, `epsilon`) or whose unit does (`ppo_epochs`)."""

_CLIP = "algorithm.clip_low and algorithm.clip_high, options of the algorithm itself"
_CLIP_HIGH = "algorithm.clip_high, an option of the algorithm itself"
_UPDATES = "algorithm.updates, passes over a rollout batch, and algorithm.minibatches, optimiser steps a pass"
_SCHEDULE = "optim.schedule: constant, linear or cosine, down to optim.lr_final"
_RECOMPUTED = "optim.checkpointing: auto, on or off"
_PPO = "an option of the algorithm ppo"
_MEAN = "algorithm.weighting: seq-mean-token-mean is sequence_mean, seq-mean-token-sum per_row, with -norm fixed_length"
HINTS: Mapping[str, str] = {
    # TRL
    "epsilon": _CLIP,
    "epsilon_high": f"{_CLIP_HIGH} (for cispo it is TRL's value less 1)",
    "loss_type": "algorithm.name and algorithm.weighting: TRL's grpo is grpo with sequence_mean, its dapo is dapo",
    "importance_sampling_level": "algorithm.name: TRL's `sequence` is gspo",
    "scale_rewards": "algorithm.name: grpo divides by the group's std, dr_grpo does not",
    "use_bias_correction_kl": "algorithm.kl_kind rho_k3",
    "vllm_importance_sampling_correction": "algorithm.importance_cap, the limit; 0 is off",
    "vllm_importance_sampling_mode": "algorithm.importance_cap, which is TRL's token_truncate",
    "vllm_importance_sampling_clip_max": "algorithm.importance_cap, which is TRL's token_truncate",
    "steps_per_generation": _UPDATES,
    "gradient_accumulation_steps": "nothing: all responses of a step are one batch; optim.micro_tokens bounds memory",
    "lr_scheduler_type": _SCHEDULE,
    "gradient_checkpointing": _RECOMPUTED,
    "use_peft": "model.lora_rank: 0 trains every weight",
    "lora_dropout": "nothing: the learner's log-probs must be the sampler's, so there is no dropout",
    "mask_truncated_completions": "nothing: cut responses are trained with the reward they got",
    # verl
    "clip_ratio": _CLIP,
    "clip_ratio_low": "algorithm.clip_low, an option of the algorithm itself",
    "clip_ratio_high": _CLIP_HIGH,
    "loss_agg_mode": _MEAN,
    "kl_loss_type": "algorithm.kl_kind: low_var_kl is k3, mse is k2; kl is refused in the loss",
    "use_kl_loss": "algorithm.kl, the coefficient; 0 is off",
    "use_kl_in_reward": "algorithm.kl_in_reward, the coefficient; 0 is off",
    "kl_penalty": "algorithm.kl_in_reward, which is verl's kl (k1)",
    "norm_adv_by_std_in_grpo": "algorithm.name: grpo divides by the group's std, dr_grpo does not",
    "ppo_epochs": _UPDATES,
    "ppo_mini_batch_size": "algorithm.minibatches, their number: rollout.groups over verl's size",
    "warmup_style": _SCHEDULE,
    "lr_warmup_steps_ratio": "optim.warmup, in steps",
    "enable_gradient_checkpointing": _RECOMPUTED,
    "cliprange_value": f"algorithm.value_clip, {_PPO}",
    "gamma": f"algorithm.gamma, {_PPO}",
    "lam": f"algorithm.lam, {_PPO}",
}
"""Names of TRL and verl whose values mean something else here -> what stands for them. Found by their last part."""


def hint(name: str) -> str:
    """` Here it is ...` for another tool's name whose value cannot be taken over, else an empty string."""
    said = HINTS.get(name.rpartition(".")[2].replace("-", "_"))
    return f" Here it is {said}." if said else ""


def closest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """The known name nearest to `name`, hyphens and case aside; "" if none is as alike as `cutoff`."""
    flat = {_flat(k): k for k in known}
    close = difflib.get_close_matches(_flat(name), list(flat), n=1, cutoff=cutoff)
    return flat[close[0]] if close else ""


def closest_key(key: str) -> str:
    """The dotted key somebody meant by `key`, or an empty string.

    Another tool's name wins, then the same last part in another section, then spelling, of the whole key and of
    another tool's name.
    """
    last = key.rpartition(".")[2]
    alias = ALIASES.get(key) or ALIASES.get(last)
    if alias:
        return alias
    same = [k for k in KEYS if k.rpartition(".")[2] == last]
    if len(same) == 1:
        return same[0]
    near = closest(key, same or KEYS, cutoff=0.85) or ALIASES.get(closest(last, ALIASES, cutoff=0.85), "")
    return near or closest(key, same or KEYS)


def flag(key: str) -> str:
    """A dotted key as it is typed: `rollout.group_size` -> `--rollout.group-size`."""
    return "--" + key.replace("_", "-")


def short_flag(key: str) -> str:
    """The same by its short name, if it has one: `optim.steps` -> `--steps`. `--out` is a file in some verbs."""
    return next((f"--{name}" for name, found in SHORT.items() if found == key and name != "out"), flag(key))


def variable(key: str) -> str:
    """A dotted key as an environment variable: `optim.lr` -> `ONESHOT_OPTIM__LR`."""
    return "ONESHOT_" + key.replace(".", "__").upper()


def _flat(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
