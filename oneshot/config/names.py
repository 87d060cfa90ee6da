"""Every dotted key, what other tools call it, and the nearest one to a misspelt key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import get_type_hints

from oneshot.config.schema import Config


def _keys() -> dict[str, type]:
    """Dotted key -> str, int, float or bool, in the order of the schema; `algorithm.options` is no key."""
    found: dict[str, type] = {}
    for name, section in get_type_hints(Config).items():
        if not is_dataclass(section):
            found[name] = section
            continue
        hints = get_type_hints(section)
        found.update({f"{name}.{f.name}": hints[f.name] for f in fields(section) if f.name != "options"})
    return found


KEYS: Mapping[str, type] = _keys()
SECTIONS: tuple[str, ...] = tuple(dict.fromkeys(key.split(".")[0] for key in KEYS if "." in key))

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
    "beta": "algorithm.kl",
    "entropy_coef": "algorithm.entropy",
    "eval_steps": "evals.every",
    "save_steps": "save.every",
    "save_total_limit": "save.keep",
    "output_dir": "save.runs",
    "run_name": "save.name",
    # verl
    "actor_rollout_ref.model.path": "model.name",
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
    "algorithm.adv_estimator": "algorithm.name",
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
"""Names of TRL and verl -> ours, where the value means the same. Left out on purpose: names whose values differ
(`loss_type`, `kl_loss_type`, `epsilon`) or whose unit does (`ppo_epochs`, `per_device_train_batch_size`)."""


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


def variable(key: str) -> str:
    """A dotted key as an environment variable: `optim.lr` -> `ONESHOT_OPTIM__LR`."""
    return "ONESHOT_" + key.replace(".", "__").upper()


def _flat(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
