"""From a configuration to everything a run needs: names are resolved and checked before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from oneshot.algos import zoo
from oneshot.algos.algorithm import ALGORITHMS, Algorithm, configured
from oneshot.algos.credit import less_kl, pooled
from oneshot.algos.pairs import paired
from oneshot.algos.penalty import KLS
from oneshot.algos.schedule import Schedule
from oneshot.algos.supervised import imitation
from oneshot.algos.weighting import WEIGHTINGS
from oneshot.config.environment import home
from oneshot.config.schema import AlgorithmConfig, Config, DataConfig
from oneshot.data.prompts import render
from oneshot.data.tasks import builtin
from oneshot.model import adapters, attention, lora, precision
from oneshot.model import policy as policies
from oneshot.model.memory import check_memory
from oneshot.model.policy import Policy
from oneshot.rewards.answers import numbers
from oneshot.rollout.collect import Render
from oneshot.rollout.native import NativeEngine
from oneshot.stages import graders
from oneshot.stages.evals.tasks import problems_of
from oneshot.stages.resources import fitting
from oneshot.train.curriculum import CURRICULA, Design
from oneshot.train.optimizer import Masters
from oneshot.types import Problem, Verdict, Verifier

__all__ = [
    "Names",
    "Setup",
    "algorithm_of",
    "annotate",
    "check_answers",
    "curriculum_of",
    "held_out",
    "load_setup",
    "resolve_names",
    "zoo",
]


STRICT = "math"
"""The grader whose verdict stands beside every evaluation: a complete box or nothing."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """What the configuration's names stand for; made without torch weights, network or run folder."""

    algorithm: Algorithm
    curriculum: Design
    verify: Verifier
    eval_verify: Verifier
    strict: Verifier


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Names plus the loaded policy."""

    config: Config
    """As asked for, with the number of threads in use."""
    names: Names
    policy: Policy
    engine: NativeEngine
    eval_engine: NativeEngine
    """The same sampler with as many rows at once as evaluations may have."""
    render: Render
    """Training prompt."""
    render_eval: Render
    """Evaluation prompt."""
    masters: Masters = field(default_factory=dict)
    """The float32 values that a bfloat16 working copy was rounded from; the learner moves them."""
    plain: frozenset[str] = frozenset()
    """Fast paths that gave wrong numbers here (`fast_paths.PATHS`), so that the plain ones are used."""
    notes: tuple[str, ...] = ()
    """What a person should know of how it was set up, a sentence each."""


def algorithm_of(config: AlgorithmConfig, *, steps: int = 0) -> Algorithm:
    """The algorithm with its own options and the shared keys, for a run of `steps` steps.

    Raises:
        UsageError: E101, E102, E103 for a wrong name or key, E105 for k1 in the loss.
    """
    algorithm = ALGORITHMS.build(config.name, config.options)
    credit = pooled(algorithm.credit) if config.pooled else algorithm.credit
    changes: dict[str, Any] = {
        "credit": less_kl(credit, config.kl_in_reward) if config.kl_in_reward else credit,
        "policy": config.policy,
        "kl": config.kl,
        "entropy": config.entropy,
        "importance_cap": config.importance_cap,
        "updates": config.updates,
        "minibatches": config.minibatches,
    }
    if config.kl_kind:
        changes["kl_of"] = KLS.build(config.kl_kind)
    if config.weighting:
        changes["weighting"] = WEIGHTINGS.build(config.weighting)
    if config.entropy_schedule != "constant":
        changes["entropy_of"] = Schedule(config.entropy_schedule, config.entropy, config.entropy_final, steps)
    return configured(algorithm, changes)


def resolve_names(config: Config) -> Names:
    """Look every name up; raises `UsageError` before anything is loaded. Equal graders are one object."""
    reward, grader = config.reward.name, config.evals.grader or config.reward.name
    algorithm, curriculum = algorithm_of(config.algorithm, steps=config.optim.steps), curriculum_of(config.data)
    if curriculum.weights != (1.0, 1.0):
        algorithm = configured(algorithm, {"credit": paired(algorithm.credit, *curriculum.weights)})
    if config.reward.control == "rft":
        algorithm = imitation(algorithm)
    flags = {STRICT: "--reward", grader: "--evals.grader", reward: "--reward"}
    built = {name: graders.build(name, timeout=config.reward.timeout, flag=flag) for name, flag in flags.items()}
    return Names(
        algorithm=algorithm,
        curriculum=curriculum,
        verify=built[reward],
        eval_verify=built[grader],
        strict=built[STRICT],
    )


def curriculum_of(config: DataConfig) -> Design:
    """What the curriculum's name stands for; `UsageError` E101, E102, E103 for a wrong name or option."""
    return CURRICULA.build(config.curriculum, config.curriculum_options)


def check_answers(names: Names, problems: list[Problem]) -> list[str]:
    """The reward must accept every training reference (E302 otherwise); returns warnings about a user's function."""
    return graders.check_answers(names.verify, problems)


def load_setup(
    config: Config, names: Names, *, offline: bool, model: str = "", training: bool = True, longest: int = 0
) -> Setup:
    """Load the model (`model` overrides the configured one, e.g. a checkpoint) and build sampler and prompts.

    To train, the model gets an adapter where one is asked for (LoRA); to sample, it is taken as it is.
    The memory it needs (to train, or only to sample) is compared with what there is before anything is downloaded;
    `longest` is the longest response limit of the test tasks that a run reads.
    """
    if training and config.model.lora_rank:
        adapters.package()  # missed before anything is downloaded
    config = precision.settled(config, cuda=policies.gpu_memory() is not None, training=training)
    free, notes = policies.gpu_memory(), list[str]()
    if training:
        config, said = fitting.decide_checkpointing(config, available=free, longest=longest)
        notes.append(said)
    named = config if not model else replace(config, model=replace(config.model, name=model))
    read = fitting.reading(named, longest)
    check_memory(read, training=training, available=free)
    fitting.check_limits(read, training=training)
    # As many as there are now, for good: another number of threads adds in another order.
    threads = policies.set_threads(config.model.threads)
    config = replace(config, model=replace(config.model, threads=threads))
    policy = policies.load(
        model or config.model.name,
        home=home(),
        offline=offline,
        revision="" if model else config.model.revision,
        dtype=precision.read_as(config, training=training),
    )
    if training:
        policy = _trainable(policy, config)
        attention.install(policy.model)
        notes.append(fitting.recomputed(policy, config))
    fitting.check_eos(policy)
    fitting.check_head(policy)
    masters = precision.lowered(policy.model, config, training=training)
    data, limit = config.data, config.rollout.max_prompt_tokens

    def training_prompt(problem: Problem) -> tuple[int, ...]:
        tokens = render(policy.tokenizer, problem, suffix=data.suffix, system=data.system, limit=limit)
        return fitting.check_length(policy, config, fitting.TRAINING, tokens)

    def evaluation_prompt(problem: Problem) -> tuple[int, ...]:
        tokens = render(policy.tokenizer, problem, suffix=config.evals.suffix, system=data.system, limit=limit)
        return fitting.check_length(policy, config, fitting.EVALUATION, tokens)

    return Setup(
        config=config,
        names=names,
        policy=policy,
        engine=NativeEngine(policy, batch=config.rollout.batch),
        eval_engine=NativeEngine(policy, batch=config.evals.batch),
        masters=masters,
        render=training_prompt,
        render_eval=evaluation_prompt,
        notes=tuple(filter(None, notes)),
    )


def _trainable(policy: Policy, config: Config) -> Policy:
    """With a new adapter where a rank is asked for; without, an adapter that was loaded is merged into its model."""
    asked = config.model
    if not asked.lora_rank:
        return lora.merged(policy, keep=False)
    return lora.adapt(
        policy,
        rank=asked.lora_rank,
        alpha=asked.lora_alpha,
        targets=asked.lora_targets,
        seed=config.seed,
        revision=asked.revision,
    )


def held_out(config: Config, kind: str, *, offline: bool) -> list[Problem]:
    """The problems read by the evaluations inside a run; empty when none are configured."""
    return problems_of(config, kind, offline=offline)[: config.evals.limit or None]


def annotate(problem: Problem, verdict: Verdict) -> Mapping[str, Any]:
    """The built-in task's answer class; nothing for other problems."""
    if "operands" not in problem.meta or "kind" not in problem.meta:
        return {}
    if verdict.extracted is None:
        return {"answer_class": builtin.answer_class(problem.meta, None)}
    parsed = numbers.parse(verdict.extracted)
    return {"answer_class": "other" if parsed is None else builtin.answer_class(problem.meta, parsed.value)}
