"""The transfer map: where the example's gradient points at the base, seen from each category of the dev set.

Before step 0 the base answers the example and dev problems of each category as it does in training. The responses are
graded and credited as the run's are, and the gradient of the policy term over a category's groups is compared with the
example's: their cosine over all trained weights. So it is the direction of the first step, before AdamW rescales it,
and a sampled one: it is read beside the cosine that two halves of the same samples have with each other. Nothing is
changed: no step is taken, gradients are let go of, and the samples have random streams of their own. docs/drift.md.

Memory: the example's gradient and half a category's, as much together as AdamW's moments, which do not exist yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from torch import Tensor

from oneshot.config.schema import Config
from oneshot.data.minibatches import in_parts
from oneshot.errors import UsageError
from oneshot.measure.alignment import Products, as_many_again
from oneshot.model.drift import dot
from oneshot.record import RunFolder
from oneshot.rollout.collect import Render, collect, equal_rewards
from oneshot.rollout.streams import MAP_STEP
from oneshot.stages.resources import fitting
from oneshot.stages.resources.forecasts import MAP_GROUPS, MAP_PROBLEMS
from oneshot.stages.resources.worst_case import packing
from oneshot.stages.setup import Setup
from oneshot.train.gradients import Gradient, by_part, policy_term
from oneshot.train.learner import Learner
from oneshot.types import Group, Problem, Sampling, Verifier

NO_SIGNAL = "no group has responses with different rewards, so there is no gradient"
NO_EXAMPLE = f"of the example's samples {NO_SIGNAL}"
NO_INTERVAL = "one set of samples a category: `halves` shows how far two parts of it agree, and that is all"


def check(config: Config, held_out: int) -> None:
    """Refuse a map that cannot be made, before anything is loaded; `held_out` is the size of the dev set.

    Raises:
        UsageError: E103 fewer than two samples, E105 no dev set, or an arm without rewards.
    """
    samples = config.evals.transfer_map
    if samples < 0 or samples == 1:
        raise UsageError(
            f"evals.transfer_map = {samples}: one response to a problem has nothing to be better than.",
            code="E103",
            tries=("--evals.transfer-map 8", "--evals.transfer-map 0   (no map)"),
        )
    if samples and not held_out:
        raise UsageError(
            "evals.transfer_map asks for the categories of a dev set, and there is none.",
            code="E105",
            tries=("--evals.source builtin", "--evals.transfer-map 0   (no map)"),
        )
    if samples and config.reward.control == "rft":
        raise UsageError(
            "evals.transfer_map compares what rewards ask for, and the arm rft learns from none.",
            code="E105",
            tries=("--evals.transfer-map 0   (make it in the run that this arm is a control of)",),
        )


def chosen(held_out: Sequence[Problem]) -> dict[str, list[Problem]]:
    """Of each category, by name, its first problems: as many as share `MAP_PROBLEMS` evenly, at least one."""
    names = sorted({problem.category for problem in held_out})
    share = max(1, MAP_PROBLEMS // max(1, len(names)))
    return {name: [p for p in held_out if p.category == name][:share] for name in names}


def in_both_halves(problems: Sequence[Problem]) -> list[Problem]:
    """The example's groups. Every second one is a half, and both have the same problems as far as there is room.

    With two examples in turn a half would be one of them, and how far the halves agree would not be about sampling.
    """
    count = len(problems)
    return [problems[(i // 2 if 2 * count <= MAP_GROUPS else i) % count] for i in range(MAP_GROUPS)]


def measure(
    setup: Setup,
    run: RunFolder,
    learner: Learner,
    problems: Sequence[Problem],
    held_out: Sequence[Problem],
    say: Callable[[str], None],
) -> None:
    """Make and record the map where it is asked for and not there yet. While the weights are the initial ones.

    Raises:
        UsageError: as `check`.
        DataError: E305 when a user's function failed on a response.
    """
    config = setup.config
    check(config, len(held_out))
    if not config.evals.transfer_map or run.transfer_map():
        return
    began, samples = time.perf_counter(), config.evals.transfer_map
    asked = chosen(held_out)
    say(f"transfer map: {samples} responses to each of {sum(map(len, asked.values()))} dev problems")
    sampled = partial(_sampled, setup, learner)
    own = sampled(in_both_halves(problems), setup.render, setup.names.verify, 0)
    example, products = _kept(setup, learner, own)
    categories = {}
    for number, (name, members) in enumerate(asked.items(), start=1):
        groups = sampled(members, partial(_render, setup), setup.names.eval_verify, number)
        categories[name] = _row(groups, _compared(setup, learner, groups, example), products)
    body = {
        "schema": "oneshot.transfer_map/1",
        "samples": samples,
        "temperature": config.rollout.temperature,
        "max_new_tokens": config.rollout.max_new_tokens,
        "weights": sum(p.numel() for p in learner.parameters),
        "example": {
            "ids": list(dict.fromkeys(group.problem.id for group in own)),
            "category": problems[0].category,
            **_facts(own, products),
            "as_many_again": as_many_again(products.split_half if products else None),
        },
        "categories": categories,
        "interval": None,
        "why_no_interval": NO_INTERVAL,
        "seconds": time.perf_counter() - began,
    }
    run.write_transfer_map(body)
    say(_told(body))


def _sampled(
    setup: Setup, learner: Learner, problems: Sequence[Problem], render: Render, verify: Verifier, number: int
) -> list[Group]:
    """One group a problem, sampled as in training; `number` keys the random streams."""
    rollout = setup.config.rollout
    sampling = Sampling(temperature=rollout.temperature, max_new_tokens=rollout.max_new_tokens, seed=setup.config.seed)
    return collect(
        setup.engine, problems, render, verify, sampling, MAP_STEP + number,
        group_size=setup.config.evals.transfer_map, at="the transfer map's samples", check=learner.check,
    )  # fmt: skip


def _render(setup: Setup, problem: Problem) -> tuple[int, ...]:
    """A dev problem as it is read, with room for a response of the training limit."""
    return fitting.check_length(setup.policy, setup.config, fitting.TRAINING, setup.render_eval(problem))


def _gradients(setup: Setup, learner: Learner, groups: Sequence[Group]) -> Iterator[Gradient]:
    """The policy gradient of every second group, then of the others; they add up. Nothing without any advantage."""
    batch = in_parts([*groups[0::2], *groups[1::2]], 2, packing(setup))
    algorithm = policy_term(learner.algorithm)
    scored = learner.score(batch, algorithm.needs)
    advantages = algorithm.credit(scored)
    if bool((advantages != 0).any()):
        yield from by_part(learner, scored, advantages)


def _kept(setup: Setup, learner: Learner, groups: Sequence[Group]) -> tuple[list[Tensor | None], Products | None]:
    """A copy of the gradient of some groups, and what is kept of its halves; empty and None without a gradient."""
    kept: list[Tensor | None] = []
    products: Products | None = None
    for half in _gradients(setup, learner, groups):
        if products is None:
            kept = [None if g is None else g.clone() for g in half]
            products = Products(aa=_dot(kept, kept))
            continue
        products = Products(aa=products.aa, bb=_dot(half, half), ab=_dot(kept, half), halved=True)
        for total, g in zip(kept, half, strict=True):
            if total is not None and g is not None:
                total += g
    return kept, products


def _compared(
    setup: Setup, learner: Learner, groups: Sequence[Group], example: Sequence[Tensor | None]
) -> Products | None:
    """What is kept of the gradient of some groups beside the example's; None without a gradient."""
    first: list[Tensor | None] = []
    products: Products | None = None
    for half in _gradients(setup, learner, groups):
        found = _dot(example, half) if example else 0.0
        if products is None:
            first = [None if g is None else g.clone() for g in half]
            products = Products(aa=_dot(first, first), ea=found)
            continue
        ab = _dot(first, half)
        products = Products(aa=products.aa, ea=products.ea, bb=_dot(half, half), ab=ab, eb=found, halved=True)
    return products


def _dot(one: Gradient, other: Gradient) -> float:
    pairs = zip(one, other, strict=True)
    return sum(dot(x, y) for x, y in pairs if x is not None and y is not None)


def _facts(groups: Sequence[Group], products: Products | None) -> dict[str, Any]:
    """What the example's row and a category's have in common."""
    responses = [c for group in groups for c in group.completions]
    return {
        "n": len(groups),
        "responses": len(responses),
        "accuracy": fmean(c.verdict is not None and c.verdict.correct for c in responses),
        "signal": fmean(not equal_rewards(group) for group in groups),
        "norm": 0.0 if products is None else products.square**0.5,
        "split_half": None if products is None else products.split_half,
    }


def _row(groups: Sequence[Group], found: Products | None, example: Products | None) -> dict[str, Any]:
    """A category: its cosine with the example's gradient, that of each half, and why there is none."""
    whole, halves = (None, [None, None]) if found is None or example is None else found.cosines(example.square)
    reason = "" if whole is not None else NO_EXAMPLE if example is None else NO_SIGNAL
    return {"cosine": whole, "halves": halves, "reason": reason, **_facts(groups, found)}


def _told(body: dict[str, Any]) -> str:
    """The map in a sentence."""

    def shown(value: float | None) -> str:
        return "none" if value is None else f"{value:+.3f}"

    each = ", ".join(f"{name or 'no category'} {shown(row['cosine'])}" for name, row in body["categories"].items())
    return (
        f"transfer map: cosine with the example's gradient: {each}; two halves of the example's own samples: "
        f"{shown(body['example']['split_half'])}"
    )
