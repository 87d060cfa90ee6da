"""The arms of a study as configurations, what they train on, and arms that could not differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from oneshot._store import files
from oneshot.config.load import resolve, to_dict
from oneshot.config.origins import show
from oneshot.config.request import Request
from oneshot.config.schema import Config
from oneshot.config.sources import Setting, flatten
from oneshot.data.tasks import builtin
from oneshot.data.tasks.wordings import WORDINGS
from oneshot.errors import UsageError
from oneshot.stages.studies.file import DECIDED, WRITTEN, ArmSpec, Study
from oneshot.stages.training import controls

PROBLEMS = "problems.jsonl"
"""What every cell reads, where the study makes it."""
MEMORY = ("optim.micro_tokens", "optim.packing", "optim.checkpointing", "optim.term_norms_every", "rollout.batch")
"""Settings that move memory and time, not mathematics."""
ELSEWHERE = ("seed", "save", "evals", "model.threads", "reward.timeout", "data.allow_unsolved")
"""What does not make an arm another one."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A study with its arms resolved, for one folder."""

    study: Study
    name: str
    """The study's name, or another one that was asked for."""
    folder: Path
    arms: Mapping[str, Config]
    """Of the first seed, with what a control arm changes."""
    origins: Mapping[str, Mapping[str, str]]
    """Arm -> dotted key -> where its value came from."""

    def config(self, arm: str, seed: int) -> Config:
        """The configuration of one cell."""
        config = self.arms[arm]
        return replace(config, seed=seed, save=replace(config.save, name=f"{arm}-s{seed}"))

    @property
    def cells(self) -> list[tuple[str, int]]:
        """(arm, seed) of every cell, seed by seed."""
        return [(arm.name, seed) for seed in self.study.seeds for arm in self.study.arms]

    @property
    def counts(self) -> list[int]:
        """Numbers of `[[example]]`s that some arm trains on."""
        return sorted({arm.examples or self.study.count for arm in self.study.arms}) if self.study.examples else []


def plan_of(study: Study, runs: Path, name: str = "") -> Plan:
    """Resolve every arm. Nothing is loaded or written.

    Raises:
        UsageError: E101 a setting that does not exist, E103 a wrong value, E105 a contradiction, also between the
            study's own examples or problems and `[data]` or `[evals]`; each names the line.
    """
    folder = runs / f"study-{name or study.name}"
    arms, origins = {}, {}
    for arm in study.arms:
        found = resolve([*study.base, *arm.settings, *_own(study, arm, folder)])
        made = controls.applied(Request(verb="train", config=found.config, origins=found.origins))
        arms[arm.name], origins[arm.name] = made.config, made.origins
    return Plan(study=study, name=name or study.name, folder=folder, arms=arms, origins=origins)


def _own(study: Study, arm: ArmSpec, folder: Path) -> Iterable[Setting]:
    """The settings that the study itself decides."""
    given = {"seed": study.seeds[0], "save.runs": str(folder), "save.name": arm.name}
    if study.examples:
        _refuse(
            [*study.base, *arm.settings], ("data.source", "data.index", "data.example", "data.answer"), "[[example]]"
        )
        given["data.source"] = str(folder / examples_file(arm.examples or study.count))
    if study.test_per_kind:
        _refuse(study.base, ("evals.source",), "test_per_kind")
        given["evals.source"] = str(folder / PROBLEMS)
    for key, value in given.items():
        yield Setting(path=tuple(key.split(".")), value=value, origin=f"{WRITTEN} {study.file}", where=study.file)


def _refuse(settings: Iterable[Setting], keys: tuple[str, ...], ours: str) -> None:
    for setting in settings:
        if setting.key in keys and setting.value not in ("", -1) and setting.origin.startswith(WRITTEN):
            raise UsageError(
                f"{setting.where}: {setting.key} stands beside the study's own {ours}, which says the same thing.",
                code="E105",
                tries=(f"{setting.key} = ... without {ours}", f"{ours} without {setting.key}"),
            )


def passed_over(study: Study) -> list[str]:
    """What a recipe below the study sets and the study decides itself, a sentence each."""
    found = {s.key: s for s in study.base if s.key in DECIDED and not s.origin.startswith(WRITTEN)}
    return [
        f"note: {s.where}: {key} = {show(s.value)} is passed over: a study gives every cell its own"
        for key, s in found.items()
    ]


def examples_file(count: int) -> str:
    """The file of the first so many examples."""
    return f"examples-{count}.jsonl"


def contents(plan: Plan) -> dict[str, bytes]:
    """The files that a study makes for its cells: name -> JSON lines."""
    study = plan.study
    made = {examples_file(count): files.json_lines(study.examples[:count]) for count in plan.counts}
    if study.test_per_kind:
        answers = {row["answer"].strip() for row in study.examples}
        answers |= {config.data.answer.strip() for config in plan.arms.values()} - {""}
        seed = next(iter(plan.arms.values())).data.task_seed
        made[PROBLEMS] = files.json_lines(test_rows(study.test_per_kind, answers, task_seed=seed))
    return made


def test_rows(per_kind: int, avoid: set[str], *, task_seed: int) -> list[dict[str, Any]]:
    """Problems of every kind from the test split in all wordings, kinds in turn; none has an answer of `avoid`.

    The training examples' answers are left out, because a model that says them always would be right there. Kinds come
    in turn, so that the first n are spread over all of them.
    """
    kinds = []
    for kind, wordings in WORDINGS.items():
        every = tuple(range(len(wordings)))
        drawn = builtin.problems("test", kind, 12 * per_kind, task_seed=task_seed, wordings=every)
        kept = {problem.prompt: problem for problem in drawn if problem.answer not in avoid}
        kinds.append(list(kept.values())[:per_kind])
    turns = [kind[i] for i in range(per_kind) for kind in kinds if i < len(kind)]
    return [
        {"id": p.id, "prompt": p.prompt, "answer": p.answer, "category": p.category, "wording": p.meta["wording"]}
        for p in turns
    ]


def resolved(config: Config) -> dict[str, Any]:
    """What decides an arm, as JSON: without its seed, its folder and what only this machine decides."""
    told = {key: value for key, value in to_dict(config).items() if key not in ("seed", "save")}
    for section, name in (("model", "threads"), ("evals", "data_dir")):
        told[section] = {key: value for key, value in told[section].items() if key != name}
    for section in ("data", "evals"):  # the files of the study's own folder, wherever that lies
        source = str(told[section]["source"])
        if Path(source).parent == Path(config.save.runs):
            told[section] = told[section] | {"source": Path(source).name}
    return told


def check_different(plan: Plan) -> None:
    """Refuse two arms that would be one training. `UsageError` E105 names them and the reason."""
    for one, two in combinations(plan.arms, 2):
        if why := same_training(plan.arms[one], plan.arms[two]):
            raise UsageError(
                f"{plan.study.file}: the arms {one!r} and {two!r} are provably the same training: {why}.",
                code="E105",
                tries=(f"leave out {two!r}", "algorithm.minibatches = 2   (limits on the ratio act then)"),
            )


def same_training(one: Config, two: Config) -> str:
    """Why two configurations train the same thing with the same seed; empty where that is not certain.

    With one optimiser step a batch the ratio of the policies is 1: limits on it do nothing, grpo, dapo and cispo are
    one loss at equal KL, and gspo is grpo with `sequence_mean` (`algos.algorithm.at_one_update`).
    """
    first, second = _mathematics(one), _mathematics(two)
    if first == second:
        return "their settings are equal, but for what does not act on training"
    if _without_loss(first) != _without_loss(second):
        return ""
    return _same_loss(one, two)


def _mathematics(config: Config) -> dict[str, Any]:
    """Dotted key -> value of everything that may move the weights."""
    told = {".".join(path): value for path, value in flatten(to_dict(config))}
    out = (*ELSEWHERE, *MEMORY)
    kept = {key: value for key, value in told.items() if key not in out and key.partition(".")[0] not in out}
    if config.algorithm.policy == 0 and not config.reward.control and not _rewards_choose(config):
        kept = {key: value for key, value in kept.items() if not key.startswith("reward.") and key != "data.answer"}
        kept.pop("data.corrupt")
    return kept


def _rewards_choose(config: Config) -> bool:
    """Whether rewards decide what is sampled next, also where they are no part of the loss."""
    return config.rollout.dynamic or config.data.curriculum != "in-turn"


def _without_loss(told: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if not key.startswith("algorithm.")}


def _same_loss(one: Config, two: Config) -> str:
    from oneshot.algos.algorithm import Algorithm, at_one_update
    from oneshot.algos.credit import z_scored
    from oneshot.algos.penalty import k3
    from oneshot.algos.surrogate import reinforce
    from oneshot.algos.weighting import token_mean
    from oneshot.stages.setup import algorithm_of

    def plain(config: Config) -> Algorithm:
        algorithm = at_one_update(algorithm_of(config.algorithm, steps=config.optim.steps))
        if not algorithm.kl:
            algorithm = replace(algorithm, kl_of=k3)
        if not algorithm.policy and not config.algorithm.kl_in_reward:
            algorithm = replace(
                algorithm, credit=z_scored, surrogate=reinforce, weighting=token_mean, critic=None, importance_cap=0.0
            )
        return algorithm

    first, second = plain(one), plain(two)
    if first != second:
        return ""
    if not first.policy:
        return "without a policy loss neither rewards nor advantages act"
    return (
        "with one optimiser step a batch the ratio of the policies is 1, so limits on it do nothing and both have the "
        "same loss"
    )
