"""The training loop on one screen, the parts it runs on, and how they are built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from oneshot.algos.algorithm import Algorithm
from oneshot.config.schema import Config
from oneshot.data.minibatches import in_parts
from oneshot.data.packing import pack
from oneshot.history import History
from oneshot.model.policy import attends_to_everything
from oneshot.record import RunFolder
from oneshot.rewards.controls import Pay, identity
from oneshot.rollout.collect import Render, collect, until_they_differ
from oneshot.stages.graders import doubts
from oneshot.stages.resources.room import Room, sampling
from oneshot.stages.resources.worst_case import head_of, packs
from oneshot.stages.setup import Setup
from oneshot.stages.training.callbacks import Callback
from oneshot.stages.training.step_metrics import Clock, rollout_metrics
from oneshot.train.checkpoint import Checkpoints, Curriculum
from oneshot.train.curriculum.base import found
from oneshot.train.curriculum.embedding import mean_hidden
from oneshot.train.learner import AdamWSettings, Learner
from oneshot.types import Engine, Group, Problem, Sampling, Verifier


@dataclass(frozen=True, kw_only=True)
class TrainParts:
    """Everything the loop runs on. Building them and running them are two functions; there is no trainer."""

    steps: int
    group_size: int
    micro_tokens: int
    packed: bool
    engine: Engine
    learner: Learner
    algorithm: Algorithm
    curriculum: Curriculum
    history: History
    render: Render
    verify: Verifier
    sampling: Sampling
    record: RunFolder
    checkpoints: Checkpoints
    on_step_end: Callback
    """(steps done, metrics): evaluates, saves, watches health, draws; may raise to stop the run."""
    rounds: int = 0
    """At most so many rounds of sampling a step, until the rewards of each group differ; 0: one, as they come."""
    on_start: Callable[[int], None] = lambda step: None
    """(steps done before): called once, when everything is as that step left it."""
    check: Callable[[], None] = lambda: None
    """Called between verdicts, as engine and learner call theirs; may raise to give the running step up."""
    say: Callable[[str], None] = lambda text: None
    """Told what a person should know, in a sentence."""
    pay: Pay = identity
    """What each response is paid: as graded, or as a control arm has it. Verdicts stay what they are."""
    also: Callable[[Sequence[Group]], dict[str, float]] = lambda groups: {}
    """What is measured of a step's responses beside the usual metrics."""


def train(parts: TrainParts) -> None:
    """Sample, verify, credit, update, record; from the last checkpoint on."""
    first_step = parts.checkpoints.restore(parts.learner, parts.curriculum, parts.history)
    parts.on_start(first_step)
    room = Room(parts.record, parts.learner, parts.micro_tokens, parts.say)
    for step in range(first_step, parts.steps):
        clock = Clock()
        problems = parts.curriculum.next(step, parts.history)
        if settled := found(parts.curriculum, step):
            parts.record.event(settled.kind, step=step, **settled.details)
            parts.say(settled.said)
        with sampling(parts.record, step):
            drawn = until_they_differ(partial(sample, parts, step), problems, most=max(1, parts.rounds))
        clock.lap("rollout")
        learned = room.learn(step, partial(learn, parts, drawn.groups, clock))
        parts.history.observe(step, drawn.everything)  # read above, written here
        rounds = drawn.metrics() if parts.rounds else {}
        seen = {**rollout_metrics(drawn.groups, drawn.dropped), **parts.also(drawn.everything)}
        metrics = {**seen, **rounds, **learned, **clock.metrics()}
        parts.record.step(step, metrics, drawn.groups)
        if doubtful := doubts(drawn.everything):
            parts.record.event("verdicts", step=step, **doubtful)
        parts.on_step_end(step + 1, metrics)


def sample(parts: TrainParts, step: int, problems: Sequence[Problem], *, first: int) -> list[Group]:
    """One scored and paid group an occurrence; the response and group numbers of the step go on from `first`."""
    groups = collect(
        parts.engine, problems, parts.render, parts.verify, parts.sampling, step,
        group_size=parts.group_size, version=parts.learner.version, first=first, check=parts.check,
    )  # fmt: skip
    before = first // parts.group_size
    return parts.pay(step, [replace(group, id=before + group.id) for group in groups])


def learn(parts: TrainParts, groups: Sequence[Group], clock: Clock, micro_tokens: int) -> dict[str, float]:
    """Score, credit, update: the learner's half of a step."""
    packing = partial(pack, max_response=parts.sampling.max_new_tokens, micro_tokens=micro_tokens, packed=parts.packed)
    packed = in_parts(groups, parts.algorithm.minibatches, packing)
    batch = parts.learner.score(packed, parts.algorithm.needs)  # old, reference: only what is asked for
    clock.lap("score")
    advantages = parts.algorithm.credit(batch)  # per response, or per token
    learned = parts.learner.update(batch, advantages)
    clock.lap("update")
    return learned


def build(
    setup: Setup, problems: Sequence[Problem], run: RunFolder, best: Callable[[int], int | None] = lambda step: None
) -> TrainParts:
    """The parts of one run. The reference is copied from the policy as it is loaded: the initial model.

    `best` says which checkpoint is kept beside the last ones (`Checkpoints`).
    """
    config, algorithm = setup.config, setup.names.algorithm
    optim, rollout = config.optim, config.rollout
    settings = AdamWSettings(
        lr=optim.lr,
        warmup=optim.warmup,
        weight_decay=optim.weight_decay,
        betas=(optim.beta1, optim.beta2),
        eps=optim.eps,
        grad_clip=optim.grad_clip,
        schedule=optim.schedule,
        lr_final=optim.lr_final,
        steps=optim.steps * algorithm.steps_a_batch,
        masters=optim.masters,
    )
    learner = Learner(
        setup.policy,
        algorithm,
        settings,
        temperature=rollout.temperature,
        seed=config.seed,
        masters=setup.masters,
        term_norms_every=optim.term_norms_every,
    )
    learner.head = head_of(setup)
    if optim.packing and not attends_to_everything(setup.policy):
        run.event("fallback", what="padded micro-batches", why="some layers of this model do not attend to everything")
    return TrainParts(
        steps=optim.steps,
        group_size=rollout.group_size,
        micro_tokens=optim.micro_tokens,
        packed=packs(setup),
        engine=setup.engine,
        learner=learner,
        algorithm=algorithm,
        curriculum=setup.names.curriculum.start(
            problems,
            groups=rollout.groups,
            seed=config.seed,
            embed=partial(mean_hidden, setup.policy, setup.render),  # of the initial weights: nothing is restored yet
        ),
        history=History(),
        render=setup.render,
        verify=setup.names.verify,
        sampling=build_sampling(config),
        record=run,
        checkpoints=Checkpoints(run, keep=config.save.keep, optimizer=config.save.optimizer, best=best),
        on_step_end=lambda step, metrics: None,
        rounds=rollout.max_rounds if rollout.dynamic else 0,
    )


def build_sampling(config: Config) -> Sampling:
    """How responses are drawn in training and before it."""
    rollout = config.rollout
    return Sampling(temperature=rollout.temperature, max_new_tokens=rollout.max_new_tokens, seed=config.seed)
