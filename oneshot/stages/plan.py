"""What a run would be: every value with its origin, the arithmetic, what it needs. No socket, no model."""

from __future__ import annotations

import json
from dataclasses import asdict

from oneshot.config.load import to_dict
from oneshot.config.origins import Resolved, format_table
from oneshot.config.request import Request
from oneshot.config.schema import Config
from oneshot.model.memory import forecast
from oneshot.model.shapes import lookup
from oneshot.stages.setup import resolve_names


def arithmetic(config: Config) -> str:
    """Groups × group size and what follows from it, in one line."""
    rollout, optim = config.rollout, config.optim
    responses = rollout.groups * rollout.group_size
    updates = config.algorithm.updates
    return (
        f"{rollout.groups} groups x {rollout.group_size} = {responses} responses a step, "
        f"x {optim.steps} steps = {responses * optim.steps} responses of at most {rollout.max_new_tokens} tokens; "
        f"{updates} optimiser step{'s' if updates > 1 else ''} a rollout batch = {updates * optim.steps} in all"
    )


def inert(config: Config) -> list[str]:
    """Settings that cannot act, so that nobody tunes them."""
    if config.algorithm.updates == 1:
        return ["one update a batch: the ratio is 1 in every update, so clipping is inert"]
    return []


def dry_run(request: Request) -> int:
    """Print the plan; exit 0. Names are resolved, so a wrong one still ends in E101 or E102."""
    config = request.config
    resolve_names(config)
    shapes = lookup(config.model.name)
    need = None if shapes is None else forecast(shapes, config)
    if request.json:
        memory = None if need is None else {**asdict(need), "total": need.total}
        plan = {
            "schema": "oneshot.plan/1",
            "config": to_dict(config),
            "origins": dict(request.origins),
            "arithmetic": arithmetic(config),
            "inert": inert(config),
            "memory": memory,
        }
        print(json.dumps(plan, default=str))
        return 0
    print(format_table(Resolved(config=config, origins=dict(request.origins))))
    print()
    print(arithmetic(config))
    for line in inert(config):
        print(line)
    if need is None:
        print(f"memory: unknown ({config.model.name}: its shapes are neither in a local config.json nor in our table)")
    else:
        print("\n".join(need.lines()))
    print("nothing was loaded, downloaded or written")
    return 0
