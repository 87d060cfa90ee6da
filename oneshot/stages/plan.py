"""What a run would be: every value with its origin, the arithmetic, what it needs.

`oneshot train --dry-run` opens no socket and loads no model; `oneshot plan` also runs one step of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from oneshot.algos.algorithm import inert as inert_settings
from oneshot.config.load import to_dict
from oneshot.config.origins import Resolved, format_table
from oneshot.config.request import Request
from oneshot.config.schema import Config
from oneshot.data.problems import BUILTIN
from oneshot.errors import MachineError
from oneshot.model import policy as policies
from oneshot.model import precision
from oneshot.model.memory import PROMPT_TOKENS, Forecast, check_memory, forecast
from oneshot.model.shapes import lookup
from oneshot.model.storage import DiskForecast, check_room, disk_forecast
from oneshot.model.targets import saved_params
from oneshot.stages import graders
from oneshot.stages.display import printable
from oneshot.stages.evals import best
from oneshot.stages.resources import fitting, forecasts
from oneshot.stages.resources.forecasts import Speed, TimeForecast, time_forecast
from oneshot.stages.resources.worst_case import (
    WorstCase,
    run_worst_case,
    short_decode,
    speed_of,
    still_learner,
    weights_of,
)
from oneshot.stages.setup import Names, Setup, algorithm_of, held_out, load_setup, resolve_names
from oneshot.stages.training import controls, transfer_map
from oneshot.stages.training import tasks as training_tasks
from oneshot.stages.training.examples import check_file, training_problems
from oneshot.types import Problem

ABSENT = ("E203", "E205")
"""What loading a model says when it would have to be fetched first."""


def arithmetic(config: Config) -> str:
    """Groups × group size and what follows from it, in one line."""
    rollout, optim = config.rollout, config.optim
    responses = rollout.groups * rollout.group_size
    updates = config.algorithm.updates * config.algorithm.minibatches
    return (
        f"{rollout.groups} groups x {rollout.group_size} = {responses} responses a step, "
        f"x {optim.steps} steps = {responses * optim.steps} responses of at most {rollout.max_new_tokens} tokens; "
        f"{updates} optimiser step{'s' if updates > 1 else ''} a rollout batch = {updates * optim.steps} in all"
    )


def inert(config: Config) -> list[str]:
    """Settings that cannot act, so that nobody tunes them."""
    arm = controls.inert(config)
    names = inert_settings(algorithm_of(config.algorithm))
    if not names or config.reward.control == "rft":  # which has an algorithm of its own
        return arm
    steps = config.algorithm.updates * config.algorithm.minibatches
    why = " (one update a batch: the ratio is 1)" if steps == 1 else ""
    return [f"cannot act here: {', '.join(f'algorithm.{name}' for name in names)}{why}", *arm]


def _facts(request: Request, need: Forecast | None) -> dict[str, Any]:
    """What is known without the model, as JSON."""
    return {
        "schema": "oneshot.plan/1",
        "config": to_dict(request.config),
        "origins": dict(request.origins),
        "arithmetic": arithmetic(request.config),
        "inert": inert(request.config),
        **controls.summary(request.config),
        "memory": None if need is None else {**asdict(need), "total": need.total},
    }


def dry_run(request: Request) -> int:
    """Print the plan; exit 0. Names are resolved and a file that is here is read, so what is wrong there is told."""
    request = controls.applied(request)
    config = request.config
    controls.check(config, resolve_names(config).verify)
    check_file(config)
    best.check(config, request.origins)
    training_tasks.chosen(config)
    here = precision.settled(config, cuda=policies.gpu_memory() is not None, training=True)
    shapes = lookup(config.model.name)
    need = None if shapes is None else forecast(shapes, here)
    if request.json:
        print(json.dumps(_facts(request, need), default=str))
        return 0
    print(format_table(Resolved(config=config, origins=dict(request.origins))))
    print()
    for line in [*controls.said(config, request.origins), arithmetic(config), *inert(config)]:
        print(line)
    if need is None:
        print(f"memory: unknown ({config.model.name}: its shapes are neither in a local config.json nor in our table)")
    else:
        print("\n".join(need.lines()))
    print("nothing was loaded, downloaded or written")
    return 0


def main(request: Request) -> int:
    """`oneshot plan`: memory, disk and time of a run, with one worst-case step; trains and writes nothing.

    Raises:
        MachineError: E201 the memory does not suffice, E202 the disk does not.
    """
    request = controls.applied(request)
    config = request.config
    best.check(config, request.origins)
    names = resolve_names(config)
    controls.check(config, names.verify)
    free = policies.gpu_memory()
    shapes = lookup(config.model.name)
    config = precision.settled(config, cuda=free is not None, training=True)
    notes = controls.said(config, request.origins)
    tasks = training_tasks.planned(config, notes.append)
    read, longest = sum(n * limit for n, limit in tasks), max((limit for _, limit in tasks), default=0)
    config, said = fitting.decide_checkpointing(config, available=free, longest=longest)
    request = replace(request, config=config)
    most = fitting.reading(config, longest)
    check_memory(most, available=free)
    fitting.check_limits(most, training=True)
    if shapes is not None:
        check_room(disk_forecast(saved_params(shapes, config.model), config, read), Path(config.save.runs))
    problems = _problems(request, names, notes)
    kind = str(problems[0].meta.get("kind", "")) if problems else ""
    unseen = len(held_out(config, kind, offline=request.offline))
    transfer_map.check(config, unseen)
    setup, why = _loaded(request, names, longest)
    worst, speed, prompt = None, None, 0
    if setup is not None:
        worst, speed = _measured(setup, problems)
        prompt = worst.prompt
    params = weights_of(setup) if setup else saved_params(shapes, config.model) if shapes else 0
    disk = disk_forecast(params, config, read) if params else None
    if disk is not None:
        check_room(disk, Path(config.save.runs))
    told = time_forecast(config, speed, prompt=prompt, held_out=unseen, tasks=tasks) if speed else None
    need = None if shapes is None else forecast(shapes, most, prompt=prompt)
    found = {
        **_facts(request, need),
        "example": _example(problems),
        "time": forecasts.as_dict(told, speed),
        "disk": None if disk is None else {**asdict(disk), "total": disk.total},
        "worst_case": {"why": why} if worst is None else worst.as_dict(),
    }
    if request.json:
        print(json.dumps(found, default=str))
        return 0
    if request.verbose:
        print(format_table(Resolved(config=config, origins=dict(request.origins))) + "\n")
    print("\n".join(_lines(request, problems, need, worst, why, told, speed, disk, [*filter(None, [said]), *notes])))
    return 0


def _problems(request: Request, names: Names, notes: list[str]) -> list[Problem]:
    """What would be trained on, and what there is to say of it; empty where none is given, or the demo chooses."""
    data = request.config.data
    if not (data.example or data.answer) and data.source in ("", BUILTIN):
        return []
    verify = None if graders.is_users(names.verify) else names.verify  # a plan runs no code of the user's
    return training_problems(request.config, verify, offline=request.offline, say=notes.append)


def _example(problems: Sequence[Problem]) -> dict[str, Any] | None:
    if not problems:
        return None
    return {"prompt": problems[0].prompt, "answer": problems[0].answer, "count": len(problems)}


def _loaded(request: Request, names: Names, longest: int) -> tuple[Setup | None, str]:
    """The model if it is on this machine, else why there is no worst-case step. Never downloads."""
    if request.verb_flags.get("no_step"):
        return None, "--no-step was given"
    try:
        return load_setup(request.config, names, offline=True, longest=longest), ""
    except MachineError as error:
        if error.code not in ABSENT:
            raise
        return None, f"{request.config.model.name} is not on this machine yet, and a plan downloads nothing"


def _measured(setup: Setup, problems: Sequence[Problem]) -> tuple[WorstCase, Speed]:
    """One worst-case step and a short decoding, with the longest prompt or one of `PROMPT_TOKENS` tokens."""
    config = setup.config
    made = range(min(PROMPT_TOKENS, config.rollout.max_prompt_tokens))
    prompt = max((setup.render(p) for p in problems), key=len, default=tuple(made))
    shapes = lookup(config.model.name)
    need = None if shapes is None else forecast(shapes, config, prompt=len(prompt))
    worst = run_worst_case(setup, prompt, still_learner(setup), need)
    return worst, speed_of(*short_decode(setup, prompt), worst)


def _lines(
    request: Request,
    problems: Sequence[Problem],
    need: Forecast | None,
    worst: WorstCase | None,
    why: str,
    told: TimeForecast | None,
    speed: Speed | None,
    disk: DiskForecast | None,
    notes: Sequence[str],
) -> list[str]:
    """The plan as a person reads it."""
    config = request.config
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    first = f"{printable(problems[0].prompt)[:100]!r}, answer {problems[0].answer!r}{more}" if problems else ""
    unknown = f"unknown ({config.model.name}: its shapes are neither in a local config.json nor in our table)"
    rows = {
        "example": first or f"none given: a prompt of {PROMPT_TOKENS} tokens stands for it",
        "batch": arithmetic(config),
        "memory": "\n".join(need.lines()) if need else unknown,
        "step": worst.sentence() if worst else f"not run: {why}",
        "time": f"{told.sentence()}\n{speed.sentence()}" if told and speed else "unknown: nothing was measured",
        "disk": disk.sentence() if disk else unknown,
    }
    lines = [(name if i == 0 else "", line) for name, text in rows.items() for i, line in enumerate(text.splitlines())]
    said = [*notes, *inert(config), "nothing was trained or written"]
    return [*(f"{name:<9} {line}" for name, line in lines), *said]
