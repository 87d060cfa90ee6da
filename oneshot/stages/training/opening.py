"""Everything that is looked at before step 0 of a run, recorded in the `preflight` event and said in a few lines.

In order, cheapest first, and each may refuse: the exact prompt, the base rate on the example, the gap between the
sampler's and the learner's log-probs, one worst-case step, room on the disk. Then the forecast.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from oneshot.errors import DataError
from oneshot.model.memory import forecast, gib
from oneshot.model.shapes import lookup
from oneshot.model.storage import check_room, disk_forecast, size
from oneshot.stages import graders
from oneshot.stages.probing.probe import Prober
from oneshot.stages.resources import forecasts
from oneshot.stages.resources.forecasts import Speed, time_forecast
from oneshot.stages.resources.worst_case import (
    Gap,
    WorstCase,
    logprob_gap,
    rows_at_once,
    run_worst_case,
    short_decode,
    speed_of,
    still_learner,
    weights_of,
)
from oneshot.stages.setup import Setup
from oneshot.stages.training.controls import needs_success
from oneshot.stages.training.preflight import MOST_CUT, BaseRate, base_rate, check_base_rate
from oneshot.types import Completion, Group, Problem, Sampling

GAP_LIMIT = {torch.float32: 1e-3, torch.float64: 1e-3}
"""Mean |Δ log p| over sampled tokens above which training stops: in float32 it is rounding, 1e-6 or so."""
GAP_WARNING = 0.02
"""The same in lower precision, where it only warns: ratios of such a policy are off by as much."""
SHOWN = 200
"""Characters of the scored sample that are shown and recorded."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What the checks look at, and where they say and record it."""

    setup: Setup
    problems: Sequence[Problem]
    held_out: int
    """Problems of one evaluation inside the run."""
    tasks: Sequence[tuple[int, int]] = ()
    """(responses, response limit) of the test tasks that are read with them."""
    note: Callable[[str], None]
    event: Callable[..., None]
    """`RunFolder.event`."""
    folder: Path
    """The run folder, for the room on its disk."""
    look: Callable[[Sequence[Group]], None] = lambda groups: None
    """Shown the base model's samples; a control arm takes from them what it pays, and may refuse."""
    yes: bool = False
    verbose: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    """The content of the event, as far as the checks came."""


def opening(given: Opening) -> BaseRate:
    """Run every check; returns the base rate.

    Raises:
        DataError: E303 never solved, E307 always solved, E304 sampler and learner disagree.
        MachineError: E201 the worst-case step does not fit, E202 the disk does not.
    """
    setup, config = given.setup, given.setup.config
    prompts = [setup.render(problem) for problem in given.problems]
    longest = max(prompts, key=len)
    _prompt(given, prompts[0], len(longest))
    _adapter(given)
    sampling = Sampling(
        temperature=config.rollout.temperature, max_new_tokens=config.rollout.max_new_tokens, seed=config.seed
    )
    probe = Prober(engine=setup.engine, render=setup.render, verify=setup.names.verify, sampling=sampling)
    began = time.perf_counter()
    rate, groups = base_rate(probe, given.problems)
    seconds = time.perf_counter() - began
    try:
        responses = [c for group in groups for c in group.completions]
        _sample(given, groups[0], responses)
        if doubtful := graders.doubts(groups):
            given.event("verdicts", step=None, **doubtful)
        given.facts.update(rate.as_dict(), zero_signal=rate.zero_signal(config.rollout.group_size))
        given.note(rate.sentence(config.rollout.group_size))
        if needs_success(config):
            check_base_rate(rate, allow_unsolved=config.data.allow_unsolved, yes=given.yes)
        given.look(groups)
        learner = still_learner(setup)
        _gap(given, logprob_gap(setup, groups, learner))
        shapes = lookup(config.model.name)
        memory = None if shapes is None else forecast(shapes, config, prompt=len(longest))
        worst = run_worst_case(setup, longest, learner, memory)
        given.facts["worst_case"] = worst.as_dict()
        given.note(f"worst-case step: {worst.sentence()}")
        tokens, rows = sum(len(c.tokens) for c in responses), len(responses)
        if rows_at_once(setup) > rows:  # more rows decode faster, so theirs is the speed to know
            seconds, tokens, rows = short_decode(setup, longest)
        _forecast(given, worst, speed_of(seconds, tokens, rows, worst), fmean(len(c.tokens) for c in responses))
    finally:
        given.event("preflight", **given.facts)
    return rate


def _prompt(given: Opening, tokens: tuple[int, ...], longest: int) -> None:
    """How many tokens the model is given, the tokens themselves, and what ends a response."""
    tokenizer, eos_ids = given.setup.policy.tokenizer, sorted(given.setup.policy.eos_ids)
    stops = {str(i): str(tokenizer.convert_ids_to_tokens(i)) for i in eos_ids}
    text = str(tokenizer.decode(list(tokens), skip_special_tokens=False))
    given.facts.update(prompt_tokens=len(tokens), longest_prompt=longest, prompt=text, prompt_ids=tokens, stops=stops)
    more = f" (the longest {longest})" if longest != len(tokens) else ""
    limit = given.setup.config.rollout.max_prompt_tokens
    named = ", ".join(f"{i} {stop}" for i, stop in stops.items())
    given.note(f"prompt: {len(tokens)} tokens{more} of at most {limit}; a response stops at {named}")
    if given.verbose:
        given.note(f"prompt, special tokens shown: {text!r}")


def _adapter(given: Opening) -> None:
    """What is trained, where it is not every weight."""
    policy, asked = given.setup.policy, given.setup.config.model
    if not policy.adapted:
        return
    trained, whole = weights_of(given.setup), sum(p.numel() for p in policy.model.parameters())
    alpha = asked.lora_alpha or 2 * asked.lora_rank
    given.facts["adapter"] = {"rank": asked.lora_rank, "alpha": alpha, "trained": trained, "frozen": whole - trained}
    given.note(
        f"adapter: rank {asked.lora_rank}, alpha {alpha:g}, {asked.lora_targets}; {trained:,} weights are trained, "
        f"{whole - trained:,} are frozen"
    )


def _sample(given: Opening, group: Group, responses: Sequence[Completion]) -> None:
    """One scored response, a right one where there is one, and how the responses of all samples ended."""
    shown = max(group.completions, key=lambda c: c.reward)
    verdict = shown.verdict
    assert verdict is not None, "collect scores every response"
    cut = fmean(not c.finished for c in responses)
    found = fmean(c.verdict is not None and (c.verdict.extracted or c.verdict.score) is not None for c in responses)
    text = shown.text if len(shown.text) <= SHOWN else shown.text[:SHOWN] + "..."
    word = "right" if verdict.correct else "wrong"
    given.facts["sample"] = {
        "response": text,
        "tokens": len(shown.tokens),
        "finished": shown.finished,
        "reward": shown.reward,
        "correct": verdict.correct,
        "extracted": verdict.extracted,
        "status": verdict.status,
    }
    given.facts.update(cut=cut, found=found, mean_length=fmean(len(c.tokens) for c in responses))
    read = f"read {verdict.extracted!r}" if verdict.extracted is not None else f"status {verdict.status}"
    given.note(f"sample: {word}, reward {shown.reward:g}, {read}, reference {group.problem.answer!r}: {text!r}")
    if cut > MOST_CUT or not found:
        given.note(
            f"warning: {cut:.0%} of the samples were cut at {given.setup.config.rollout.max_new_tokens} tokens and "
            f"{found:.0%} hold an answer; five steps like that stop the run (--rollout.max-new-tokens)"
        )


def _gap(given: Opening, gap: Gap) -> None:
    """Sampler and learner share the weights, so what they say of a token must agree up to rounding."""
    dtype = given.setup.policy.model.dtype
    limit = GAP_LIMIT.get(dtype)
    said = f"mean {gap.mean:.1e}, at most {gap.largest:.1e} over {gap.tokens} tokens"
    given.facts["gap"] = {"mean": gap.mean, "max": gap.largest, "tokens": gap.tokens, "limit": limit or GAP_WARNING}
    if gap.mean <= (limit or GAP_WARNING):
        given.note(f"sampler/learner log-prob gap: {said} (limit {limit or GAP_WARNING:g})")
        return
    if limit is None:
        given.note(f"warning: sampler and learner disagree on log p: {said}; in {dtype} above {GAP_WARNING:g} is much")
        return
    raise DataError(
        f"sampler and learner disagree about {given.setup.config.model.name} with the same weights: |log p - log p| "
        f"{said}, where {limit:g} is the limit in {str(dtype).removeprefix('torch.')}. Learning from these log-probs "
        "would be learning from another policy's.",
        code="E304",
        tries=("--optim.packing false   (padded micro-batches)", "another --model"),
        kept="Nothing was trained.",
    )


def _forecast(given: Opening, worst: WorstCase, speed: Speed, mean_length: float) -> None:
    """Time, memory and disk in two lines; E202 where the disk is too small."""
    setup, config = given.setup, given.setup.config
    told = time_forecast(
        config, speed, prompt=worst.prompt, mean_length=mean_length, held_out=given.held_out, tasks=given.tasks
    )
    disk = disk_forecast(weights_of(setup), config, sum(responses * limit for responses, limit in given.tasks))
    given.facts["forecast"] = {
        "time": forecasts.as_dict(told, speed),
        "memory": worst.needed,
        "disk": {**vars(disk), "total": disk.total},
    }
    given.note(f"time: {told.sentence()}")
    free = check_room(disk, given.folder)
    given.note(f"memory: {gib(worst.needed)} GiB; disk: at most {disk.sentence()}; {size(free)} free")
